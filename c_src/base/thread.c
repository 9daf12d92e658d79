/* SPDX-License-Identifier: Apache-2.0 */
/* Threads are born with all signals blocked: one that came before the new
 * thread blocks them itself would be the host program's. */
#include "base/thread.h"

#include <signal.h>

int tn_thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_attr_setstacksize(&attr, TN_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    if (rc == 0) {
        rc = pthread_create(thread, &attr, run, arg);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}
