/* SPDX-License-Identifier: Apache-2.0 */
/* What one peer has this node keep: bytes, and things of several kinds. All
 * accounts of a node share its budget of bytes.
 *
 * The budget is shared by one rule: an account may hold as many bytes as are
 * still free. So one peer gets at most half of the budget, each of two a
 * third, each of n one part of n + 1; the peer that holds most is the first to
 * be refused; and something is always left for the next one. The rule needs no
 * lock and no look at the other accounts.
 *
 * Threads: any, for all of these. */
#ifndef TN_BASE_ACCOUNT_H
#define TN_BASE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Things that are counted one by one. */
enum tn_quota {
    TN_QUOTA_MONITORS,
    TN_QUOTA_LINKS,
    TN_QUOTA_PROCESSES,
    TN_QUOTA_OFFERS, /* of services */
    TN_QUOTA_LOCKS,  /* of the whole cluster; as the next */
    TN_QUOTA_NAMES,
    TN_QUOTA_WAITING, /* questions that are answered later */
    TN_QUOTA_MEMBERS, /* of process groups */
    TN_QUOTA_WATCHES,
    TN_QUOTA_GROUP_BYTES, /* of names of process groups */
    TN_QUOTA_SCOPES,      /* processes that announce such */
    TN_QUOTA_EXCHANGES,   /* messages of an exchange of global names */
    TN_QUOTA_KINDS,
};

/* Both have counted references. NULL stands for an account without limits
 * that nobody counts, everywhere. */
typedef struct tn_budget tn_budget;
typedef struct tn_account tn_account;

/* max_bytes: of all accounts together. owned: tn_budget_unref. NULL: out of
 * memory. */
tn_budget *tn_budget_new(size_t max_bytes);
tn_budget *tn_budget_ref(tn_budget *budget);
void tn_budget_unref(tn_budget *budget);

size_t tn_budget_max(const tn_budget *budget);
size_t tn_budget_used(const tn_budget *budget);
/* The most that were used at a time. */
size_t tn_budget_peak(const tn_budget *budget);
/* How often any of its accounts was refused something. */
uint64_t tn_budget_refused(const tn_budget *budget);

/* The account of a peer. One that comes back while something of its former
 * connection is still kept gets the account that it had.
 *
 * budget  kept.
 * name    copied.
 * owned: tn_account_unref. NULL: out of memory. */
tn_account *tn_account_of(tn_budget *budget, const char *name);
tn_account *tn_account_ref(tn_account *account);
void tn_account_unref(tn_account *account);

const char *tn_account_name(const tn_account *account);
size_t tn_account_bytes(const tn_account *account);

/* Adds bytes; false when there is no room for them: nothing is added. */
bool tn_account_charge(tn_account *account, size_t bytes);
/* Adds bytes that are kept in any case. */
void tn_account_charge_always(tn_account *account, size_t bytes);
void tn_account_discharge(tn_account *account, size_t bytes);
/* Whether tn_account_charge would add them. */
bool tn_account_has_room(const tn_account *account, size_t bytes);

/* Counts one more of a kind; false when there are `max` already. */
bool tn_account_take(tn_account *account, enum tn_quota kind, uint32_t max);
void tn_account_give_back(tn_account *account, enum tn_quota kind);
/* The same with n of them. */
bool tn_account_take_many(tn_account *account,
                          enum tn_quota kind,
                          uint32_t n,
                          uint32_t max);
void tn_account_give_back_many(tn_account *account,
                               enum tn_quota kind,
                               uint32_t n);
uint32_t tn_account_count(const tn_account *account, enum tn_quota kind);

/* Counts and notes that the account was refused something. what: a static
 * string. */
void tn_account_note_refused(tn_account *account, const char *what);
bool tn_account_was_refused(const tn_account *account);
/* Takes what was noted, to be logged: 0 when there is nothing, or, unless
 * `last`, when something was taken less than TN_REFUSED_LOG_MS ago.
 *
 * what  set when the result is not 0: what was refused last. */
#define TN_REFUSED_LOG_MS 1000u
uint64_t tn_account_take_refused(tn_account *account,
                                 uint64_t now_ms,
                                 bool last,
                                 const char **what);

#endif
