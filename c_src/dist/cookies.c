/* SPDX-License-Identifier: Apache-2.0 */
/* A table of cookies by the name of the node. */
#include "dist/cookies.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/node.h>

#include "base/hash.h"
#include "dist/conn.h"

struct tn_cookie {
    UT_hash_handle hh; /* by peer */
    char cookie[TN_COOKIE_MAX_BYTES + 1];
    char peer[];
};

static struct tn_cookie *find(const struct tn_cookies *cookies,
                              const char *peer)
{
    struct tn_cookie *entry = NULL;

    TN_HASH_FIND(hh, cookies->table, cookies->hash_key, peer, strlen(peer),
                 entry);
    return entry;
}

static void drop(struct tn_cookies *cookies, struct tn_cookie *entry)
{
    HASH_DELETE(hh, cookies->table, entry);
    OPENSSL_cleanse(entry->cookie, sizeof entry->cookie);
    free(entry);
}

static enum tenon_err
add(struct tn_cookies *cookies, const char *peer, struct tn_cookie **added)
{
    size_t len = strlen(peer);

    if (HASH_COUNT(cookies->table) >= TENON_COOKIES_MAX) {
        return TENON_E_LIMIT;
    }
    struct tn_cookie *entry = calloc(1, sizeof *entry + len + 1);

    if (entry == NULL) {
        return TENON_E_NOMEM;
    }
    memcpy(entry->peer, peer, len + 1);
    TN_HASH_ADD(hh, cookies->table, cookies->hash_key, entry->peer, len, entry);
    if (!TN_HASH_HAS(hh, entry)) {
        free(entry);
        return TENON_E_NOMEM;
    }
    *added = entry;
    return TENON_OK;
}

enum tenon_err
tn_cookies_set(struct tn_cookies *cookies, const char *peer, const char *cookie)
{
    struct tn_cookie *entry = find(cookies, peer);
    enum tenon_err rc = TENON_OK;

    if (cookie == NULL) {
        if (entry != NULL) {
            drop(cookies, entry);
        }
        return TENON_OK;
    }
    if (entry == NULL) {
        rc = add(cookies, peer, &entry);
    }
    if (rc == TENON_OK) {
        memcpy(entry->cookie, cookie, strlen(cookie) + 1);
    }
    return rc;
}

const char *tn_cookies_of(const struct tn_cookies *cookies,
                          const char *peer,
                          const char *otherwise)
{
    const struct tn_cookie *entry = find(cookies, peer);

    return entry != NULL ? entry->cookie : otherwise;
}

void tn_cookies_fini(struct tn_cookies *cookies)
{
    struct tn_cookie *entry, *following;

    HASH_ITER(hh, cookies->table, entry, following)
    {
        drop(cookies, entry);
    }
}
