/* SPDX-License-Identifier: Apache-2.0 */
#include "node/quota.h"

#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/node.h"

/* The rest is for the program itself: what it keeps for its own purposes, the
 * stacks of its threads, what a message becomes in its handlers. */
#define PART_OF_MACHINE 2u

/* In a container the machine's memory says nothing: the first write above what
 * the cgroup has ends the process. */
static uint64_t memory_of_machine(void)
{
    uint64_t total = uv_get_total_memory();
    uint64_t constrained = uv_get_constrained_memory();
    return constrained != 0 && constrained < total ? constrained : total;
}

tn_budget *tn_quota_budget(size_t wanted)
{
    size_t max = TN_MEMORY_MAX_BYTES_DEFAULT;
    uint64_t part = memory_of_machine() / PART_OF_MACHINE;
    if (part != 0 && part < max) {
        max = (size_t)part;
    }
    return tn_budget_new(wanted != 0 ? wanted : max);
}

static bool refuse(tn_account *account, const char *what)
{
    tn_account_note_refused(account, what);
    return false;
}

bool tn_quota_take(tn_account *account,
                   enum tn_quota kind,
                   uint32_t max,
                   size_t bytes,
                   const char *what)
{
    if (!tn_account_take(account, kind, max)) {
        return refuse(account, what);
    }
    if (!tn_account_charge(account, bytes)) {
        tn_account_give_back(account, kind);
        return refuse(account, what);
    }
    return true;
}

bool tn_quota_charge(tn_account *account, size_t bytes, const char *what)
{
    return tn_account_charge(account, bytes) || refuse(account, what);
}

bool tn_quota_has_room(tn_account *account, size_t bytes, const char *what)
{
    return tn_account_has_room(account, bytes) || refuse(account, what);
}

void tn_quota_give_back(tn_account *account, enum tn_quota kind, size_t bytes)
{
    tn_account_give_back(account, kind);
    tn_account_discharge(account, bytes);
}

bool tn_charge_take(struct tn_charge *charge,
                    tn_account *account,
                    size_t bytes,
                    const char *what)
{
    if (!tn_quota_charge(account, bytes, what)) {
        return false;
    }
    *charge = (struct tn_charge){ tn_account_ref(account), bytes };
    return true;
}

void tn_charge_drop(struct tn_charge *charge)
{
    tn_account_discharge(charge->account, charge->bytes);
    tn_account_unref(charge->account);
    *charge = (struct tn_charge){ NULL, 0 };
}

void tn_quota_report(tenon_node *node, tn_account *account, bool last)
{
    if (!tn_account_was_refused(account)) {
        return;
    }
    const char *what = NULL;
    uint64_t times = tn_account_take_refused(account, tn_now_ms(), last, &what);
    if (times > 0) {
        tn_log(&node->log, TN_WARN, "quota_reached", "peer",
               tn_account_name(account), "of", what, "refused", TN_UINT(times),
               "memory", TN_UINT(tn_account_bytes(account)), NULL);
    }
}
