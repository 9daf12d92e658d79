/* SPDX-License-Identifier: Apache-2.0 */
/* uthash, told to report that memory is out instead of ending the program.
 * Include this, never <uthash.h>. */
#ifndef TN_BASE_HASH_H
#define TN_BASE_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* After HASH_ADD and its like: whether the element is in the table. False: out
 * of memory, and the table is as before. */
#define TN_HASH_HAS(hh, element) ((element)->hh.tbl != NULL)

#endif
