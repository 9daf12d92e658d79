/* SPDX-License-Identifier: Apache-2.0 */
#include "base/account.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct tn_budget {
    atomic_uint refs;
    size_t max;
    atomic_size_t used;
    atomic_size_t peak;
    atomic_uint_fast64_t refused;
    pthread_mutex_t lock; /* guards: */
    LIST_HEAD(, tn_account) accounts;
};

struct tn_account {
    LIST_ENTRY(tn_account) next; /* guarded by the budget's lock */
    atomic_uint refs;
    tn_budget *budget; /* kept */
    atomic_size_t bytes;
    atomic_uint counts[TN_QUOTA_KINDS];
    atomic_uint_fast64_t refused; /* since the last line about it */
    atomic_uint_fast64_t log_at_ms;
    const char *_Atomic what; /* was refused last */
    char name[];
};

/* ---- the budget ---------------------------------------------------------- */

tn_budget *tn_budget_new(size_t max_bytes)
{
    tn_budget *budget = calloc(1, sizeof *budget);
    if (budget == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&budget->lock, NULL) != 0) {
        free(budget);
        return NULL;
    }
    atomic_init(&budget->refs, 1);
    budget->max = max_bytes;
    LIST_INIT(&budget->accounts);
    return budget;
}

tn_budget *tn_budget_ref(tn_budget *budget)
{
    if (budget != NULL) {
        atomic_fetch_add_explicit(&budget->refs, 1, memory_order_relaxed);
    }
    return budget;
}

void tn_budget_unref(tn_budget *budget)
{
    if (budget != NULL && atomic_fetch_sub_explicit(
                              &budget->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&budget->lock);
        free(budget);
    }
}

size_t tn_budget_max(const tn_budget *budget)
{
    return budget == NULL ? SIZE_MAX : budget->max;
}

size_t tn_budget_used(const tn_budget *budget)
{
    return budget == NULL
               ? 0
               : atomic_load_explicit(&budget->used, memory_order_relaxed);
}

size_t tn_budget_peak(const tn_budget *budget)
{
    return budget == NULL
               ? 0
               : atomic_load_explicit(&budget->peak, memory_order_relaxed);
}

uint64_t tn_budget_refused(const tn_budget *budget)
{
    return atomic_load_explicit(&budget->refused, memory_order_relaxed);
}

/* ---- accounts ------------------------------------------------------------ */

/* False for one whose last reference is just being given back: it is still in
 * the list, and nobody may have it any more. */
static bool try_ref(tn_account *account)
{
    unsigned refs = atomic_load_explicit(&account->refs, memory_order_relaxed);
    while (refs > 0) {
        if (atomic_compare_exchange_weak_explicit(
                &account->refs, &refs, refs + 1, memory_order_acquire,
                memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static tn_account *find_locked(const tn_budget *budget, const char *name)
{
    tn_account *account;
    LIST_FOREACH(account, &budget->accounts, next)
    {
        if (strcmp(account->name, name) == 0 && try_ref(account)) {
            return account;
        }
    }
    return NULL;
}

static tn_account *open_locked(tn_budget *budget, const char *name)
{
    size_t len = strlen(name) + 1;
    tn_account *account = calloc(1, sizeof *account + len);
    if (account != NULL) {
        atomic_init(&account->refs, 1);
        account->budget = tn_budget_ref(budget);
        memcpy(account->name, name, len);
        LIST_INSERT_HEAD(&budget->accounts, account, next);
    }
    return account;
}

tn_account *tn_account_of(tn_budget *budget, const char *name)
{
    pthread_mutex_lock(&budget->lock);
    tn_account *account = find_locked(budget, name);
    if (account == NULL) {
        account = open_locked(budget, name);
    }
    pthread_mutex_unlock(&budget->lock);
    return account;
}

tn_account *tn_account_ref(tn_account *account)
{
    if (account != NULL) {
        atomic_fetch_add_explicit(&account->refs, 1, memory_order_relaxed);
    }
    return account;
}

void tn_account_unref(tn_account *account)
{
    if (account == NULL || atomic_fetch_sub_explicit(
                               &account->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    tn_budget *budget = account->budget;
    pthread_mutex_lock(&budget->lock);
    LIST_REMOVE(account, next);
    pthread_mutex_unlock(&budget->lock);
    free(account);
    tn_budget_unref(budget);
}

const char *tn_account_name(const tn_account *account)
{
    return account == NULL ? "" : account->name;
}

size_t tn_account_bytes(const tn_account *account)
{
    return account == NULL
               ? 0
               : atomic_load_explicit(&account->bytes, memory_order_relaxed);
}

/* ---- bytes --------------------------------------------------------------- */

/* Whether `bytes` more leave as much free as the account then holds. Written
 * so that no sum can wrap. */
static bool fits(size_t max, size_t used, size_t mine, size_t bytes)
{
    size_t left = used < max ? max - used : 0;
    return mine <= left && bytes <= (left - mine) / 2;
}

bool tn_account_has_room(const tn_account *account, size_t bytes)
{
    return account == NULL ||
           fits(account->budget->max, tn_budget_used(account->budget),
                tn_account_bytes(account), bytes);
}

static void note_peak(tn_budget *budget, size_t used)
{
    size_t peak = tn_budget_peak(budget);
    while (used > peak && !atomic_compare_exchange_weak_explicit(
                              &budget->peak, &peak, used, memory_order_relaxed,
                              memory_order_relaxed)) {
    }
}

static void add(tn_account *account, size_t bytes)
{
    atomic_fetch_add_explicit(&account->bytes, bytes, memory_order_relaxed);
    size_t before = atomic_fetch_add_explicit(&account->budget->used, bytes,
                                              memory_order_relaxed);
    note_peak(account->budget, before + bytes);
}

bool tn_account_charge(tn_account *account, size_t bytes)
{
    /* Two threads that ask at once may both be let in: they are few, and what
     * each adds is bounded by a frame. */
    if (!tn_account_has_room(account, bytes)) {
        return false;
    }
    if (account != NULL) {
        add(account, bytes);
    }
    return true;
}

void tn_account_charge_always(tn_account *account, size_t bytes)
{
    if (account != NULL) {
        add(account, bytes);
    }
}

void tn_account_discharge(tn_account *account, size_t bytes)
{
    if (account != NULL) {
        atomic_fetch_sub_explicit(&account->bytes, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&account->budget->used, bytes,
                                  memory_order_relaxed);
    }
}

/* ---- things -------------------------------------------------------------- */

bool tn_account_take_many(tn_account *account,
                          enum tn_quota kind,
                          uint32_t n,
                          uint32_t max)
{
    if (account == NULL) {
        return true;
    }
    if (n > max) {
        return false;
    }
    unsigned before = atomic_fetch_add_explicit(&account->counts[kind], n,
                                                memory_order_relaxed);
    if (before <= max - n) {
        return true;
    }
    tn_account_give_back_many(account, kind, n);
    return false;
}

void tn_account_give_back_many(tn_account *account,
                               enum tn_quota kind,
                               uint32_t n)
{
    if (account != NULL) {
        atomic_fetch_sub_explicit(&account->counts[kind], n,
                                  memory_order_relaxed);
    }
}

bool tn_account_take(tn_account *account, enum tn_quota kind, uint32_t max)
{
    return tn_account_take_many(account, kind, 1, max);
}

void tn_account_give_back(tn_account *account, enum tn_quota kind)
{
    tn_account_give_back_many(account, kind, 1);
}

uint32_t tn_account_count(const tn_account *account, enum tn_quota kind)
{
    return account == NULL ? 0
                           : atomic_load_explicit(&account->counts[kind],
                                                  memory_order_relaxed);
}

/* ---- refusals ------------------------------------------------------------ */

void tn_account_note_refused(tn_account *account, const char *what)
{
    if (account != NULL) {
        atomic_fetch_add_explicit(&account->budget->refused, 1,
                                  memory_order_relaxed);
        atomic_store_explicit(&account->what, what, memory_order_relaxed);
        atomic_fetch_add_explicit(&account->refused, 1, memory_order_release);
    }
}

bool tn_account_was_refused(const tn_account *account)
{
    return account != NULL &&
           atomic_load_explicit(&account->refused, memory_order_acquire) > 0;
}

uint64_t tn_account_take_refused(tn_account *account,
                                 uint64_t now_ms,
                                 bool last,
                                 const char **what)
{
    if (!tn_account_was_refused(account)) {
        return 0;
    }
    uint_fast64_t at =
        atomic_load_explicit(&account->log_at_ms, memory_order_relaxed);
    if (now_ms < at && !last) {
        return 0;
    }
    atomic_store_explicit(&account->log_at_ms, now_ms + TN_REFUSED_LOG_MS,
                          memory_order_relaxed);
    *what = atomic_load_explicit(&account->what, memory_order_relaxed);
    return atomic_exchange_explicit(&account->refused, 0, memory_order_relaxed);
}
