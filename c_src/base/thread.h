/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the library: how large their stacks are, and which signals they
 * see. */
#ifndef TN_BASE_THREAD_H
#define TN_BASE_THREAD_H

#include <pthread.h>

#include <tenon/error.h>

/* Printing or comparing the deepest term takes about 1 MiB, and handlers may
 * use libraries with deep stacks. Only what is touched costs memory. */
#define TN_STACK_BYTES (8u * 1024u * 1024u)

/* Starts a thread whose stack does not depend on the process's limits
 * (`ulimit -s`). Signals stay with the threads of the host program. Returns 0
 * or an errno. Threads: any. Blocks: no. */
TENON_CHECK int
tn_thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
