/* SPDX-License-Identifier: Apache-2.0 */
/* One thread at a time in the core of global: the loop, or the worker that runs
 * the name server's process. The loop never waits for a worker: what comes to
 * it meanwhile is kept, and done by that worker before it leaves. */
#ifndef TN_OTP_GLOBAL_SERIAL_H
#define TN_OTP_GLOBAL_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <tenon/error.h>

/* Embedded in what is to be done; not used any more once fn has begun. */
struct tn_gevent {
    STAILQ_ENTRY(tn_gevent) next;
    void (*fn)(struct tn_gevent *event);
};

struct tn_gserial {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t left;
    pthread_t holder; /* while depth is not 0 */
    unsigned depth;   /* a thread that is in may enter again */
    STAILQ_HEAD(, tn_gevent) events;
};

TENON_CHECK bool tn_gserial_init(struct tn_gserial *serial);
void tn_gserial_fini(struct tn_gserial *serial);

/* Waits until no other thread is in. The loop calls it where no worker can be
 * in: in the process. */
void tn_gserial_enter(struct tn_gserial *serial);
/* Does what has come meanwhile first. */
void tn_gserial_leave(struct tn_gserial *serial);

/* Has fn called in there: at once, or by the thread that is in. Threads: the
 * loop's, and the one that is in. Blocks: no. */
void tn_gserial_post(struct tn_gserial *serial, struct tn_gevent *event);
/* False: some thread is in there, this one perhaps. Else tn_gserial_leave must
 * follow. Threads: the loop's. Blocks: no. */
TENON_CHECK bool tn_gserial_try_enter(struct tn_gserial *serial);

#endif
