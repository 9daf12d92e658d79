/* SPDX-License-Identifier: Apache-2.0 */
/* The key of tables that belong to no node. */
#ifndef TEST_SUPPORT_HASH_KEY_H
#define TEST_SUPPORT_HASH_KEY_H

#include "base/siphash.h"

static const struct tn_sip_key test_hash_key = { 1, 2 };

#endif
