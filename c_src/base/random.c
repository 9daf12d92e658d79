/* SPDX-License-Identifier: Apache-2.0 */
/* Unpredictable bytes from OpenSSL. */
#include "base/random.h"

#include <limits.h>

#include <openssl/rand.h>

enum tenon_err tn_random_bytes(void *p, size_t n)
{
    if (n > INT_MAX) {
        return TENON_E_INVAL;
    }
    return RAND_bytes(p, (int)n) == 1 ? TENON_OK : TENON_E_SYSTEM;
}
