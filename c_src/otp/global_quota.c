/* SPDX-License-Identifier: Apache-2.0 */
/* What the peers that send messages to the name server make it keep. */
#include "otp/global_core.h"

bool tn_gkept_take(struct tn_global *global,
                   struct tn_gkept *kept,
                   enum tn_quota kind,
                   uint32_t max,
                   size_t bytes)
{
    static const char *const names[TN_QUOTA_KINDS] = {
        [TN_QUOTA_LOCKS] = "global locks",
        [TN_QUOTA_NAMES] = "global names",
        [TN_QUOTA_WATCHES] = "holders of global locks",
        [TN_QUOTA_WAITING] = "questions to global",
        [TN_QUOTA_EXCHANGES] = "exchanges of global names",
    };
    tn_account *account = global->account;

    if (account == NULL) {
        return true;
    }
    if (!global->io->take(global->io_user, account, kind, max, bytes,
                          names[kind])) {
        return false;
    }
    *kept = (struct tn_gkept){ tn_account_ref(account), kind, bytes };
    return true;
}

void tn_gkept_give_back(struct tn_gkept *kept)
{
    if (kept->account != NULL) {
        tn_account_give_back(kept->account, kept->kind);
        tn_account_discharge(kept->account, kept->bytes);
        tn_account_unref(kept->account);
        kept->account = NULL;
    }
}

bool tn_gheld_set(struct tn_global *global,
                  struct tn_gheld *held,
                  tenon_term term)
{
    struct tn_gheld fresh = { 0 };

    if (tn_gkept_take(global, &fresh.kept, TN_QUOTA_EXCHANGES,
                      TN_GLOBAL_PEER_EXCHANGES_MAX,
                      TN_GLOBAL_HELD_TIMES * term.len)) {
        fresh.value = tenon_value_new(term);
    }
    if (fresh.value == NULL) {
        tn_gkept_give_back(&fresh.kept);
        return false;
    }
    tn_gheld_drop(held);
    *held = fresh;
    return true;
}

void tn_gheld_drop(struct tn_gheld *held)
{
    tenon_value_free(held->value);
    held->value = NULL;
    tn_gkept_give_back(&held->kept);
}
