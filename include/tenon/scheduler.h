/* SPDX-License-Identifier: Apache-2.0 */
/* X3m.System's Scheduler: messages that are dispatched at a time or after a
 * delay, and again until their service has answered as it should.
 *
 * A scheduled message is an alarm. It is saved before the call that schedules
 * it returns, and forgotten when its completion is recorded: in one SQLite
 * file by default, or wherever the program's own callbacks keep it. An alarm
 * is delivered at least once: a node that dies between a delivery and the
 * record of it delivers again when it is back, with the same message id, by
 * which a service tells a repetition.
 *
 * The message carries in its assigns `dispatch_at` (DateTime, UTC: when it was
 * to go), `dispatch_attempts` (1 at the first delivery) and, when it was
 * already past as it was scheduled or loaded, `late?` true.
 *
 * Times are microseconds since 1970-01-01 UTC. */
#ifndef TENON_SCHEDULER_H
#define TENON_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/term.h>
#include <tenon/x3m.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most schedulers of one node. */
#define TENON_SCHEDULERS_MAX 16
/* Most deliveries of one scheduler at a time; others that are due wait. */
#define TENON_ALARM_DELIVERIES_MAX 1024
/* Largest message that is scheduled, in bytes. */
#define TENON_ALARM_MAX_BYTES (1024u * 1024u)
/* The last moment that is accepted: 2262-04-11 23:47:16.854775. */
#define TENON_ALARM_AT_MAX_US INT64_C(9223372036854775)

/* As the `from_us` of the first load: from the begin of time. */
#define TENON_ALARMS_FROM_START INT64_MIN

/* Belongs to its node and lives until the node has stopped. */
typedef struct tenon_scheduler tenon_scheduler;

/* What one load has found so far. */
typedef struct tenon_alarms tenon_alarms;

enum tenon_alarm_next {
    TENON_ALARM_DONE,  /* :ok */
    TENON_ALARM_RETRY, /* {:retry, in_ms, message} */
};

/* Saves an alarm, or puts it in the place of the one with the same message id.
 *
 * message       borrowed; tenon_alarm_at tells when it is due. It may be
 *               changed, and is dispatched as it is then.
 * aggregate_id  borrowed; as it was given, may be NULL.
 * err           borrowed; to be filled on failure.
 * The alarm is safe when TENON_OK is returned; with an error it is not
 * scheduled, and whoever schedules gets that error.
 * Called on the thread that schedules; may block, must not call the
 * scheduler. This and the next two are never called at the same time. */
typedef enum tenon_err (*tenon_save_alarm_fn)(tenon_message *message,
                                              const char *aggregate_id,
                                              void *state,
                                              tenon_error *err);

/* Gives all alarms that are due from `from_us` on and before `until_us` to
 * tenon_alarms_add, the earliest first; stops when that gives LIMIT: the rest
 * is asked for again. Ids that are in memory already are ignored.
 * Called by tenon_scheduler_start, and on workers; else as save_alarm. */
typedef enum tenon_err (*tenon_load_alarms_fn)(int64_t from_us,
                                               int64_t until_us,
                                               tenon_alarms *alarms,
                                               void *state,
                                               tenon_error *err);

/* Forgets the alarm with that message id. Errors: NOT_FOUND. As save_alarm. */
typedef enum tenon_err (*tenon_cancel_alarm_fn)(const char *id,
                                                size_t id_len,
                                                void *state,
                                                tenon_error *err);

/* Decides what follows from a delivery. Callbacks that keep alarms themselves
 * record here that one is done.
 *
 * message      borrowed; the reply, or the message with the response that the
 *              dispatcher made ({:service_unavailable, service} and the like).
 *              For a retry it may be changed; it then goes again with request
 *              nil, valid? true, response nil, events [], halted? false.
 * retry_in_ms  set it with TENON_ALARM_RETRY; 0 is at once.
 * Called on a worker, for several messages at a time; may block, and may
 * schedule other messages. Source: service_responded/2. */
typedef enum tenon_alarm_next (*tenon_service_responded_fn)(
    tenon_message *message, uint64_t *retry_in_ms, void *state);

/* How long to wait for the reply, in milliseconds; 0: 5000. As
 * service_responded. Source: dispatch_timeout/1. */
typedef uint32_t (*tenon_dispatch_timeout_fn)(const tenon_message *message,
                                              void *state);

/* How to start a scheduler. Zero means default. Either `file`, or save_alarm,
 * load_alarms and service_responded must be given. */
typedef struct tenon_scheduler_config {
    /* copied; by which tenon_scheduler_get finds it. NULL: the node's
     * scheduler without a name. */
    const char *name;
    /* copied; the file of the embedded store, made when it is not there (with
     * access for its owner only). It belongs to one process at a time; while
     * that runs, FILE-wal beside it is part of it. */
    const char *file;
    tenon_save_alarm_fn save_alarm;
    tenon_load_alarms_fn load_alarms;
    tenon_cancel_alarm_fn cancel_alarm; /* NULL: alarms cannot be cancelled */
    /* With `file`, NULL: when nobody has answered (service_unavailable,
     * service_timeout, badrpc, no_nodes_available), again after a second, and
     * after twice as long each further time, up to a minute; all other
     * responses are done. */
    tenon_service_responded_fn service_responded;
    tenon_dispatch_timeout_fn dispatch_timeout;
    void *state;
    /* Alarms are loaded so often, for twice as long; 0: 6 hours. */
    uint32_t in_memory_interval_ms;
    /* Most alarms, and bytes of messages, in memory; those that do not fit
     * stay where they are saved and come into memory as others leave.
     * 0: 100000 and 64 MiB. */
    uint32_t in_memory_max;
    size_t in_memory_max_bytes;
    /* borrowed until the start returns, may be NULL; filled on failure. */
    tenon_error *err;
} tenon_scheduler_config;

/* Starts a scheduler and loads its alarms; what is due goes at once.
 *
 * config  borrowed.
 * size    sizeof the caller's tenon_scheduler_config (as tenon_node_start).
 * NULL on failure, with the reason in config->err: INVAL, EXISTS (the name, or
 * the file is in use), SYSTEM (the file cannot be used, and why), LIMIT
 * (TENON_SCHEDULERS_MAX), NOMEM, STOPPED, NOT_ALLOWED (loop thread), or what
 * load_alarms gave.
 * Threads: any but the loop. Blocks: on the store; half a second while
 * another process holds the file.
 * Source: X3m.System.Scheduler's start_link/1. */
TENON_API TENON_CHECK tenon_scheduler *tenon_scheduler_start_sized(
    tenon_node *node, const tenon_scheduler_config *config, size_t size);

static inline tenon_scheduler *
tenon_scheduler_start(tenon_node *node, const tenon_scheduler_config *config)
{
    return tenon_scheduler_start_sized(node, config, sizeof *config);
}

/* The node's scheduler of that name; name NULL: the one without, such as that
 * of `tenon run --alarms FILE`. NULL: there is none. Threads: any. */
TENON_API tenon_scheduler *tenon_scheduler_get(tenon_node *node,
                                               const char *name);

/* Schedules a message: it is dispatched in that many milliseconds, or at that
 * time, at once when it is past. An alarm with the same message id gives way
 * to it. A time follows the wall clock when that is set; a delay does not mind
 * it, unless it was loaded again: after a restart, or because it ends later
 * than alarms are in memory.
 *
 * message       borrowed.
 * aggregate_id  borrowed, UTF-8, may be NULL; kept with the alarm.
 * err           borrowed, may be NULL; filled on failure only.
 * Errors: INVAL, LIMIT (TENON_ALARM_MAX_BYTES), EXISTS (it is being delivered
 * right now), NOMEM, STOPPED, NOT_ALLOWED (loop thread), SYSTEM (the file), or
 * what save_alarm gave: it is not scheduled then.
 * Threads: any but the loop. Blocks: until it is saved.
 * Source: X3m.System.Scheduler's dispatch/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_scheduler_dispatch_in(tenon_scheduler *scheduler,
                            const tenon_message *message,
                            const char *aggregate_id,
                            uint64_t in_ms,
                            tenon_error *err);
TENON_API TENON_CHECK enum tenon_err
tenon_scheduler_dispatch_at(tenon_scheduler *scheduler,
                            const tenon_message *message,
                            const char *aggregate_id,
                            int64_t at_us,
                            tenon_error *err);

/* Cancels the alarm with that message id. One that is being delivered right
 * now is not delivered again.
 * Errors: NOT_FOUND, INVAL (no cancel_alarm), STOPPED, NOT_ALLOWED (loop
 * thread), SYSTEM, or what cancel_alarm gave: it is still scheduled then.
 * Threads: any but the loop. Blocks: on the store. */
TENON_API TENON_CHECK enum tenon_err tenon_scheduler_cancel(
    tenon_scheduler *scheduler, const char *id, tenon_error *err);

/* What a scheduler holds in memory, and what it has done since its start. */
typedef struct tenon_scheduler_stats {
    uint64_t in_memory;
    uint64_t in_memory_bytes;
    uint64_t delivering;
    uint64_t delivered; /* ended with TENON_ALARM_DONE */
    uint64_t retried;
} tenon_scheduler_stats;

/* stats: borrowed, `size` bytes of it are filled (sizeof *stats).
 * Threads: any. Blocks: no. */
TENON_API void tenon_scheduler_get_stats(tenon_scheduler *scheduler,
                                         tenon_scheduler_stats *stats,
                                         size_t size);

/* For load_alarms: hands over one alarm.
 *
 * message  copied; %X3m.System.Message{} as it was saved.
 * at_us    when it is due; that is not its dispatch_at when it waits for a
 *          retry.
 * Errors: LIMIT (no more fit), BADTERM (no message; it is logged and left
 * out), INVAL, NOMEM. Threads: that of load_alarms. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err
tenon_alarms_add(tenon_alarms *alarms, tenon_term message, int64_t at_us);

/* When a scheduled message is to go: its assigns' dispatch_at.
 * Errors: NOT_FOUND (there is none, or it is no DateTime). Threads: any. */
TENON_API TENON_CHECK enum tenon_err
tenon_alarm_at(const tenon_message *message, int64_t *at_us);

#ifdef __cplusplus
}
#endif

#endif
