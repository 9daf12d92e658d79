/* SPDX-License-Identifier: Apache-2.0 */
/* The cookies of nodes that have one of their own. Loop thread only. */
#ifndef TN_DIST_COOKIES_H
#define TN_DIST_COOKIES_H

#include <tenon/error.h>

#include "base/siphash.h"

struct tn_cookie;

/* Empty: no more than the key. */
struct tn_cookies {
    const struct tn_sip_key *hash_key; /* the node's */
    struct tn_cookie *table;
};

/* As tn_dist_set_cookie. */
TENON_CHECK enum tenon_err tn_cookies_set(struct tn_cookies *cookies,
                                          const char *peer,
                                          const char *cookie);
/* The cookie of that node; `otherwise` when it has none of its own. */
const char *tn_cookies_of(const struct tn_cookies *cookies,
                          const char *peer,
                          const char *otherwise);
void tn_cookies_fini(struct tn_cookies *cookies);

#endif
