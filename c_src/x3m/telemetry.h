/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of one node, and executing the library's events for them. Every
 * function here does nothing when nobody has attached to its event. */
#ifndef TN_X3M_TELEMETRY_H
#define TN_X3M_TELEMETRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/telemetry.h>
#include <tenon/x3m.h>

#define TN_EVENT_LIST(X)                                                       \
    X(DISCOVERING_SERVICE, "discovering_service")                              \
    X(SERVICE_NOT_FOUND, "service_not_found")                                  \
    X(SERVICE_FOUND, "service_found")                                          \
    X(INVOKING_SERVICE, "invoking_service")                                    \
    X(SERVICE_RESPONDED, "service_responded")                                  \
    X(CHECKING_AUTHORIZED, "checking_if_service_call_is_authorized")           \
    X(REQUEST_RECEIVED, "service_request_received")                            \
    X(EXECUTING_SERVICE, "executing_service")                                  \
    X(EXECUTION_FINISHED, "execution_finished")                                \
    X(REGISTER_LOCAL_SERVICES, "register_local_services")                      \
    X(NODE_JOINED, "node_joined")                                              \
    X(NODE_LEFT, "node_left")                                                  \
    X(NEW_AGGR_SPAWNED, "new_aggr_spawned")                                    \
    X(HANDLE_MSG, "handle_msg")                                                \
    X(AGGREGATE_COMMIT_TIMEOUT, "aggregate_commit_timeout")

enum tn_event {
#define TN_EVENT_ENUM(name, text) TN_EVENT_##name,
    TN_EVENT_LIST(TN_EVENT_ENUM)
#undef TN_EVENT_ENUM
};

struct tn_hook;
struct tn_hook_run;

struct tn_telemetry {
    atomic_uint wanted;   /* bit n: a hook is attached to event n */
    pthread_mutex_t lock; /* guards the rest; no hook is called under it */
    pthread_cond_t idle;  /* a run of hooks has ended */
    LIST_HEAD(, tn_hook) hooks;
    unsigned count;
    LIST_HEAD(, tn_hook_run) runs; /* hooks are being called there */
};

struct tn_x3m;
struct tn_service;

void tn_telemetry_init(struct tn_telemetry *telemetry);
void tn_telemetry_fini(struct tn_telemetry *telemetry);

/* What an event measures. */
enum tn_measured {
    TN_MEASURED_NOTHING,
    TN_MEASURED_START, /* start, and mono_start: ns of tn_now_ns */
    TN_MEASURED_END,   /* time, and duration: now less that */
};

/* The events of a caller.
 *
 * ns            of the monotonic clock: see tn_measured.
 * service_node  NULL: the event has none. */
void tn_telemetry_caller(struct tn_x3m *x3m,
                         enum tn_event event,
                         enum tn_measured measured,
                         uint64_t ns,
                         const tenon_message *message,
                         const char *service_node);

/* The events of a provider. */
void tn_telemetry_received(struct tn_x3m *x3m,
                           const struct tn_service *service,
                           const tenon_message *message);
void tn_telemetry_executing(struct tn_x3m *x3m,
                            uint64_t start_ns,
                            const tenon_message *message);
void tn_telemetry_finished(struct tn_x3m *x3m,
                           uint64_t start_ns,
                           const tenon_message *reply);

/* The events of the registry. */
void tn_telemetry_registered(struct tn_x3m *x3m, const tenon_router *router);
void tn_telemetry_node(struct tn_x3m *x3m, bool joined, const char *node);

#endif
