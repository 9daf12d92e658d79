/* SPDX-License-Identifier: Apache-2.0 */
/* The cookies of nodes that have one of their own. Loop thread only. */
#ifndef TN_DIST_COOKIES_H
#define TN_DIST_COOKIES_H

#include <tenon/error.h>

struct tn_cookie;

/* Empty: { 0 }. */
struct tn_cookies {
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
