/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks, and the maps that they are given. */
#include "x3m/telemetry.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/node.h"
#include "term/build.h"
#include "term/calendar.h"
#include "term/format.h"
#include "x3m/message.h"
#include "x3m/message_new.h"
#include "x3m/router.h"
#include "x3m/x3m.h"

struct tn_hook {
    LIST_ENTRY(tn_hook) next;
    unsigned events; /* bits */
    unsigned users;  /* runs that are calling it, or are going to */
    tenon_telemetry_fn fn;
    void *user;
    char id[];
};

/* On the stack of a thread that calls hooks. */
struct tn_hook_run {
    LIST_ENTRY(tn_hook_run) next;
    pthread_t thread;
    struct tn_hook *hooks[TENON_TELEMETRY_HOOKS_MAX];
    unsigned count;
};

static const char *const names[] = {
#define TN_EVENT_TEXT(name, text) text,
    TN_EVENT_LIST(TN_EVENT_TEXT)
#undef TN_EVENT_TEXT
};
#define EVENTS (sizeof names / sizeof names[0])
#define ALL_EVENTS ((1u << EVENTS) - 1)

/* ---- hooks ------------------------------------------------------------- */

void tn_telemetry_init(struct tn_telemetry *telemetry)
{
    atomic_init(&telemetry->wanted, 0);
    pthread_mutex_init(&telemetry->lock, NULL);
    pthread_cond_init(&telemetry->idle, NULL);
    LIST_INIT(&telemetry->hooks);
    LIST_INIT(&telemetry->runs);
    telemetry->count = 0;
}

void tn_telemetry_fini(struct tn_telemetry *telemetry)
{
    while (!LIST_EMPTY(&telemetry->hooks)) {
        struct tn_hook *hook = LIST_FIRST(&telemetry->hooks);

        LIST_REMOVE(hook, next);
        free(hook);
    }
    pthread_cond_destroy(&telemetry->idle);
    pthread_mutex_destroy(&telemetry->lock);
}

/* The event's bit; 0: there is none of that name. */
static unsigned bit_of(const char *name)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        if (strcmp(names[i], name) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static struct tn_hook *find_locked(struct tn_telemetry *telemetry,
                                   const char *id)
{
    struct tn_hook *hook;

    LIST_FOREACH(hook, &telemetry->hooks, next)
    {
        if (strcmp(hook->id, id) == 0) {
            return hook;
        }
    }
    return NULL;
}

static void count_wanted_locked(struct tn_telemetry *telemetry)
{
    struct tn_hook *hook;
    unsigned wanted = 0;

    LIST_FOREACH(hook, &telemetry->hooks, next)
    {
        wanted |= hook->events;
    }
    atomic_store(&telemetry->wanted, wanted);
}

static enum tenon_err add_locked(struct tn_telemetry *telemetry,
                                 struct tn_hook *hook)
{
    if (find_locked(telemetry, hook->id) != NULL) {
        return TENON_E_EXISTS;
    }
    if (telemetry->count >= TENON_TELEMETRY_HOOKS_MAX) {
        return TENON_E_LIMIT;
    }
    telemetry->count++;
    LIST_INSERT_HEAD(&telemetry->hooks, hook, next);
    count_wanted_locked(telemetry);
    return TENON_OK;
}

enum tenon_err tenon_telemetry_attach(tenon_node *node,
                                      const char *id,
                                      const char *event,
                                      tenon_telemetry_fn fn,
                                      void *user)
{
    unsigned events = event == NULL ? ALL_EVENTS : bit_of(event);

    if (node == NULL || id == NULL || fn == NULL || events == 0) {
        return TENON_E_INVAL;
    }
    struct tn_x3m *x3m = tn_x3m_get(node);
    size_t bytes = strlen(id) + 1;
    struct tn_hook *hook = x3m == NULL ? NULL : calloc(1, sizeof *hook + bytes);

    if (hook == NULL) {
        return TENON_E_NOMEM;
    }
    hook->events = events;
    hook->fn = fn;
    hook->user = user;
    memcpy(hook->id, id, bytes);
    pthread_mutex_lock(&x3m->telemetry.lock);
    enum tenon_err rc = add_locked(&x3m->telemetry, hook);

    pthread_mutex_unlock(&x3m->telemetry.lock);
    if (rc < 0) {
        free(hook);
    }
    return rc;
}

static bool is_in_hook_locked(const struct tn_telemetry *telemetry)
{
    struct tn_hook_run *run;

    LIST_FOREACH(run, &telemetry->runs, next)
    {
        if (pthread_equal(run->thread, pthread_self())) {
            return true;
        }
    }
    return false;
}

static enum tenon_err remove_locked(struct tn_telemetry *telemetry,
                                    const char *id)
{
    struct tn_hook *hook = find_locked(telemetry, id);

    if (is_in_hook_locked(telemetry)) {
        return TENON_E_NOT_ALLOWED;
    }
    if (hook == NULL) {
        return TENON_E_NOT_FOUND;
    }
    LIST_REMOVE(hook, next);
    telemetry->count--;
    count_wanted_locked(telemetry);
    while (hook->users > 0) {
        pthread_cond_wait(&telemetry->idle, &telemetry->lock);
    }
    free(hook);
    return TENON_OK;
}

enum tenon_err tenon_telemetry_detach(tenon_node *node, const char *id)
{
    if (node == NULL || id == NULL) {
        return TENON_E_INVAL;
    }
    if (tn_on_loop(node)) {
        return TENON_E_NOT_ALLOWED;
    }
    struct tn_x3m *x3m = tn_x3m_get(node);

    if (x3m == NULL) {
        return TENON_E_NOT_FOUND;
    }
    pthread_mutex_lock(&x3m->telemetry.lock);
    enum tenon_err rc = remove_locked(&x3m->telemetry, id);

    pthread_mutex_unlock(&x3m->telemetry.lock);
    return rc;
}

/* ---- executing --------------------------------------------------------- */

static void begin_run(struct tn_telemetry *telemetry,
                      struct tn_hook_run *run,
                      unsigned event_bit)
{
    struct tn_hook *hook;

    run->thread = pthread_self();
    run->count = 0;
    pthread_mutex_lock(&telemetry->lock);
    LIST_FOREACH(hook, &telemetry->hooks, next)
    {
        if ((hook->events & event_bit) != 0) {
            hook->users++;
            run->hooks[run->count++] = hook;
        }
    }
    LIST_INSERT_HEAD(&telemetry->runs, run, next);
    pthread_mutex_unlock(&telemetry->lock);
}

static void end_run(struct tn_telemetry *telemetry, struct tn_hook_run *run)
{
    pthread_mutex_lock(&telemetry->lock);
    LIST_REMOVE(run, next);
    for (unsigned i = 0; i < run->count; i++) {
        run->hooks[i]->users--;
    }
    pthread_cond_broadcast(&telemetry->idle);
    pthread_mutex_unlock(&telemetry->lock);
}

static void call_hooks(struct tn_x3m *x3m,
                       unsigned event_bit,
                       const tenon_telemetry_event *event)
{
    struct tn_hook_run run;

    begin_run(&x3m->telemetry, &run, event_bit);
    for (unsigned i = 0; i < run.count; i++) {
        run.hooks[i]->fn(run.hooks[i]->user, event);
    }
    end_run(&x3m->telemetry, &run);
}

static bool is_wanted(const struct tn_x3m *x3m, unsigned event_bit)
{
    return (atomic_load_explicit(&x3m->telemetry.wanted, memory_order_relaxed) &
            event_bit) != 0;
}

static bool is_map_or_nothing(tenon_term term)
{
    return term.bytes == NULL || tenon_term_type(term) == TENON_TYPE_MAP;
}

enum tenon_err tenon_telemetry_execute(tenon_node *node,
                                       const char *event,
                                       tenon_term measurements,
                                       tenon_term metadata)
{
    static const uint8_t no_pairs[] = { 116, 0, 0, 0, 0 };
    const tenon_term empty = { no_pairs, sizeof no_pairs };
    unsigned bit = event == NULL ? 0 : bit_of(event);

    if (node == NULL || bit == 0 || !is_map_or_nothing(measurements) ||
        !is_map_or_nothing(metadata)) {
        return TENON_E_INVAL;
    }
    struct tn_x3m *x3m = tn_x3m_get(node);

    if (x3m != NULL && is_wanted(x3m, bit)) {
        call_hooks(x3m, bit,
                   &(tenon_telemetry_event){
                       .node = node,
                       .name = event,
                       .measurements =
                           measurements.bytes == NULL ? empty : measurements,
                       .metadata = metadata.bytes == NULL ? empty : metadata,
                   });
    }
    return TENON_OK;
}

/* ---- the library's events ---------------------------------------------- */

static void
build_measured(tenon_builder *out, enum tn_measured measured, uint64_t ns)
{
    bool is_start = measured == TN_MEASURED_START;

    if (measured == TN_MEASURED_NOTHING) {
        tenon_build_map(out, 0);
        return;
    }
    tenon_build_map(out, 2);
    tenon_build_atom(out, is_start ? "start" : "time");
    tn_build_datetime(out, tn_wall_ns());
    tenon_build_atom(out, is_start ? "mono_start" : "duration");
    tenon_build_uint(out, is_start ? ns : tn_now_ns() - ns);
}

/* One event with what it takes to build its maps. */
struct happening {
    struct tn_x3m *x3m;
    enum tn_event event;
    tenon_builder measurements;
    tenon_builder metadata;
};

/* False: nobody wants it. Else the metadata are to be built, and it ends with
 * execute. */
static bool begin(struct happening *happening,
                  struct tn_x3m *x3m,
                  enum tn_event event,
                  enum tn_measured measured,
                  uint64_t ns)
{
    if (!is_wanted(x3m, 1u << event)) {
        return false;
    }
    happening->x3m = x3m;
    happening->event = event;
    tn_builder_init(&happening->measurements, TENON_TERM_MAX_BYTES);
    tn_builder_init(&happening->metadata, TENON_TERM_MAX_BYTES);
    build_measured(&happening->measurements, measured, ns);
    return true;
}

static void execute(struct happening *happening)
{
    tenon_node *node = happening->x3m->node;
    tenon_telemetry_event event = {
        .node = node,
        .name = names[happening->event],
    };
    enum tenon_err rc =
        tenon_builder_term(&happening->measurements, &event.measurements);

    if (rc == TENON_OK) {
        rc = tenon_builder_term(&happening->metadata, &event.metadata);
    }
    if (rc == TENON_OK) {
        call_hooks(happening->x3m, 1u << happening->event, &event);
    } else {
        tn_log(&node->log, TN_WARN, "x3m_telemetry_dropped", "name", event.name,
               "error", tenon_err_text(rc), NULL);
    }
    tn_builder_fini(&happening->metadata);
    tn_builder_fini(&happening->measurements);
}

static void put_atom(tenon_builder *out, const char *key, const char *value)
{
    tenon_build_atom(out, key);
    tenon_build_atom(out, value);
}

static void put_message(tenon_builder *out, const tenon_message *message)
{
    tenon_build_atom(out, "message");
    tn_message_build(message, out);
}

void tn_telemetry_caller(struct tn_x3m *x3m,
                         enum tn_event event,
                         enum tn_measured measured,
                         uint64_t ns,
                         const tenon_message *message,
                         const char *service_node)
{
    struct happening happening;

    if (!begin(&happening, x3m, event, measured, ns)) {
        return;
    }
    tenon_build_map(&happening.metadata, service_node == NULL ? 2 : 3);
    put_message(&happening.metadata, message);
    put_atom(&happening.metadata, "caller_node", x3m->node->name.full);
    if (service_node != NULL) {
        put_atom(&happening.metadata, "service_node", service_node);
    }
    execute(&happening);
}

void tn_telemetry_received(struct tn_x3m *x3m,
                           const struct tn_service *service,
                           const tenon_message *message)
{
    struct happening happening;

    if (!begin(&happening, x3m, TN_EVENT_REQUEST_RECEIVED, TN_MEASURED_NOTHING,
               0)) {
        return;
    }
    tenon_build_map(&happening.metadata, 3);
    put_atom(&happening.metadata, "service", service->name);
    put_atom(&happening.metadata, "visibility",
             service->is_public ? "public" : "private");
    tenon_build_atom(&happening.metadata, "origin_node");
    tenon_build_term(&happening.metadata,
                     tn_message_field(message, TN_FIELD_ORIGIN_NODE));
    execute(&happening);
}

void tn_telemetry_executing(struct tn_x3m *x3m,
                            uint64_t start_ns,
                            const tenon_message *message)
{
    struct happening happening;

    if (!begin(&happening, x3m, TN_EVENT_EXECUTING_SERVICE, TN_MEASURED_START,
               start_ns)) {
        return;
    }
    tenon_build_map(&happening.metadata, 2);
    put_atom(&happening.metadata, "node", x3m->node->name.full);
    tenon_build_atom(&happening.metadata, "service");
    tenon_build_term(&happening.metadata,
                     tn_message_field(message, TN_FIELD_SERVICE_NAME));
    execute(&happening);
}

void tn_telemetry_finished(struct tn_x3m *x3m,
                           uint64_t start_ns,
                           const tenon_message *reply)
{
    struct happening happening;

    if (begin(&happening, x3m, TN_EVENT_EXECUTION_FINISHED, TN_MEASURED_END,
              start_ns)) {
        tenon_build_map(&happening.metadata, 1);
        put_message(&happening.metadata, reply);
        execute(&happening);
    }
}

/* #{Service => Router}; with the X3m lock held. */
static void build_services_locked(tenon_builder *out,
                                  const tenon_router *router,
                                  bool is_public)
{
    struct tn_service *service, *following;
    size_t count = 0;

    HASH_ITER(of_router, router->services, service, following)
    {
        count += service->is_public == is_public;
    }
    tenon_build_map(out, count);
    HASH_ITER(of_router, router->services, service, following)
    {
        if (service->is_public == is_public) {
            put_atom(out, service->name, router->module);
        }
    }
}

void tn_telemetry_registered(struct tn_x3m *x3m, const tenon_router *router)
{
    struct happening happening;

    if (!begin(&happening, x3m, TN_EVENT_REGISTER_LOCAL_SERVICES,
               TN_MEASURED_NOTHING, 0)) {
        return;
    }
    tenon_build_map(&happening.metadata, 2);
    tn_x3m_lock(x3m);
    tenon_build_atom(&happening.metadata, "public");
    build_services_locked(&happening.metadata, router, true);
    tenon_build_atom(&happening.metadata, "private");
    build_services_locked(&happening.metadata, router, false);
    tn_x3m_unlock(x3m);
    execute(&happening);
}

void tn_telemetry_node(struct tn_x3m *x3m, bool joined, const char *node)
{
    struct happening happening;

    if (begin(&happening, x3m,
              joined ? TN_EVENT_NODE_JOINED : TN_EVENT_NODE_LEFT,
              TN_MEASURED_NOTHING, 0)) {
        tenon_build_map(&happening.metadata, 1);
        put_atom(&happening.metadata, "node", node);
        execute(&happening);
    }
}
