/* SPDX-License-Identifier: Apache-2.0 */
/* Schedulers: their start and end, and what users ask of them. */
#include "x3m/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "term/build.h"
#include "x3m/alarm_retry.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"
#include "x3m/message_new.h"
#include "x3m/x3m.h"

#define PART_KEY "x3m_schedulers"

/* As the library. */
#define INTERVAL_MS (6u * 60 * 60 * 1000)
#define MAX_ALARMS 100000u
#define MAX_BYTES (64u * 1024 * 1024)

/* All schedulers of a node: attached to it, and freed with it. */
struct schedulers {
    pthread_mutex_t lock; /* guards all below, and the start of one more */
    SLIST_HEAD(, tenon_scheduler) list;
    unsigned count;
    bool stopping;
};

/* ---- the life of one ----------------------------------------------------- */

static void free_scheduler(tenon_scheduler *scheduler)
{
    tn_alarms_fini(scheduler);
    tn_alarm_store_close(scheduler->store);
    pthread_mutex_destroy(&scheduler->lock);
    pthread_mutex_destroy(&scheduler->saving);
    free(scheduler->name);
    free(scheduler);
}

static enum tenon_err check_config(const tenon_scheduler_config *config)
{
    bool callbacks = config->save_alarm != NULL || config->load_alarms != NULL;

    if (config->file != NULL) {
        return callbacks || config->cancel_alarm != NULL ||
                       config->file[0] == '\0'
                   ? TENON_E_INVAL
                   : TENON_OK;
    }
    return config->save_alarm != NULL && config->load_alarms != NULL &&
                   config->service_responded != NULL
               ? TENON_OK
               : TENON_E_INVAL;
}

static enum tenon_err open_store(tenon_scheduler *scheduler,
                                 const tenon_scheduler_config *config,
                                 tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };

    scheduler->store = tn_alarm_store_open(scheduler->node, config->file,
                                           config->service_responded == NULL
                                               ? tn_alarm_responded
                                               : config->service_responded,
                                           config->state, &why);
    if (scheduler->store == NULL) {
        return tn_error(err, why.code, "%s", why.text);
    }
    scheduler->callbacks = (struct tn_alarm_callbacks){
        .save = tn_alarm_store_save,
        .load = tn_alarm_store_load,
        .cancel = tn_alarm_store_cancel,
        .responded = tn_alarm_store_responded,
        .state = scheduler->store,
    };
    return TENON_OK;
}

static void set_limits(tenon_scheduler *scheduler,
                       const tenon_scheduler_config *config)
{
    scheduler->interval_ms = config->in_memory_interval_ms == 0
                                 ? INTERVAL_MS
                                 : config->in_memory_interval_ms;
    scheduler->max =
        config->in_memory_max == 0 ? MAX_ALARMS : config->in_memory_max;
    scheduler->max_bytes = config->in_memory_max_bytes == 0
                               ? MAX_BYTES
                               : config->in_memory_max_bytes;
}

static tenon_scheduler *new_scheduler(tenon_node *node,
                                      const tenon_scheduler_config *config,
                                      tenon_error *err)
{
    tenon_scheduler *scheduler = calloc(1, sizeof *scheduler);

    if (scheduler == NULL) {
        tn_error(err, TENON_E_NOMEM, "scheduler: out of memory");
        return NULL;
    }
    scheduler->node = node;
    scheduler->dispatch_timeout = config->dispatch_timeout;
    scheduler->state = config->state;
    scheduler->loaded_until_us = TENON_ALARMS_FROM_START;
    scheduler->clock_offset_us = tn_clock_offset_us();
    STAILQ_INIT(&scheduler->due);
    pthread_mutex_init(&scheduler->saving, NULL);
    pthread_mutex_init(&scheduler->lock, NULL);
    set_limits(scheduler, config);
    scheduler->callbacks = (struct tn_alarm_callbacks){
        .save = config->save_alarm,
        .load = config->load_alarms,
        .cancel = config->cancel_alarm,
        .responded = config->service_responded,
        .state = config->state,
    };
    enum tenon_err rc = TENON_OK;

    if (config->name != NULL) {
        scheduler->name = strdup(config->name);
        rc = scheduler->name != NULL
                 ? TENON_OK
                 : tn_error(err, TENON_E_NOMEM, "scheduler: out of memory");
    }
    if (rc == TENON_OK && config->file != NULL) {
        rc = open_store(scheduler, config, err);
    }
    if (rc < 0) {
        free_scheduler(scheduler);
        return NULL;
    }
    return scheduler;
}

/* Nothing is begun any more; what is under way ends by itself. */
static void stop_scheduler(tenon_scheduler *scheduler)
{
    tn_scheduler_lock(scheduler);
    scheduler->running = false;
    tn_scheduler_unlock(scheduler);
    /* A load that has begun is over then, and so is a save. */
    pthread_mutex_lock(&scheduler->saving);
    pthread_mutex_unlock(&scheduler->saving);
}

/* ---- all of a node ------------------------------------------------------- */

static void free_schedulers(void *part)
{
    struct schedulers *all = part;

    while (!SLIST_EMPTY(&all->list)) {
        tenon_scheduler *scheduler = SLIST_FIRST(&all->list);

        SLIST_REMOVE_HEAD(&all->list, next);
        free_scheduler(scheduler);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static void stop_schedulers(tenon_node *node, void *part)
{
    struct schedulers *all = part;
    tenon_scheduler *scheduler;

    (void)node;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    SLIST_FOREACH(scheduler, &all->list, next)
    {
        stop_scheduler(scheduler);
    }
    pthread_mutex_unlock(&all->lock);
}

/* NULL: NOMEM. */
static struct schedulers *get_all(tenon_node *node)
{
    struct schedulers *all = tn_node_part(node, PART_KEY);

    if (all != NULL) {
        return all;
    }
    all = calloc(1, sizeof *all);
    if (all == NULL) {
        return NULL;
    }
    pthread_mutex_init(&all->lock, NULL);
    SLIST_INIT(&all->list);
    if (tn_node_attach(node, PART_KEY, all, stop_schedulers, free_schedulers) <
        0) {
        free_schedulers(all);
        return tn_node_part(node, PART_KEY);
    }
    return all;
}

static bool has_name(const tenon_scheduler *scheduler, const char *name)
{
    return name == NULL || scheduler->name == NULL
               ? name == scheduler->name
               : strcmp(scheduler->name, name) == 0;
}

/* With the lock held. */
static tenon_scheduler *find(const struct schedulers *all, const char *name)
{
    tenon_scheduler *scheduler;

    SLIST_FOREACH(scheduler, &all->list, next)
    {
        if (has_name(scheduler, name)) {
            return scheduler;
        }
    }
    return NULL;
}

/* With the lock held. */
static enum tenon_err
check_place(const struct schedulers *all, const char *name, tenon_error *err)
{
    if (all->stopping) {
        return tn_error(err, TENON_E_STOPPED, "scheduler: the node stops");
    }
    if (all->count == TENON_SCHEDULERS_MAX) {
        return tn_error(err, TENON_E_LIMIT,
                        "scheduler: the node has %d already",
                        TENON_SCHEDULERS_MAX);
    }
    if (find(all, name) != NULL) {
        return tn_error(err, TENON_E_EXISTS,
                        "scheduler: the node has one named \"%s\" already",
                        name == NULL ? "" : name);
    }
    return TENON_OK;
}

/* With the lock held. */
static tenon_scheduler *start(struct schedulers *all,
                              tenon_node *node,
                              const tenon_scheduler_config *config)
{
    if (check_place(all, config->name, config->err) < 0) {
        return NULL;
    }
    tenon_scheduler *scheduler = new_scheduler(node, config, config->err);

    if (scheduler == NULL) {
        return NULL;
    }
    if (tn_scheduler_load(scheduler, config->err) < 0) {
        free_scheduler(scheduler);
        return NULL;
    }
    SLIST_INSERT_HEAD(&all->list, scheduler, next);
    all->count++;
    tn_scheduler_lock(scheduler);
    scheduler->running = true;
    tn_alarms_rearm(scheduler, true);
    tn_scheduler_tick(scheduler);
    tn_scheduler_unlock(scheduler);
    return scheduler;
}

tenon_scheduler *tenon_scheduler_start_sized(
    tenon_node *node, const tenon_scheduler_config *config, size_t size)
{
    tenon_scheduler_config given = { 0 };

    if (node == NULL || config == NULL ||
        tn_sized_copy(&given, sizeof given, config, size) < 0 ||
        check_config(&given) < 0) {
        tn_error(config == NULL ? NULL : given.err, TENON_E_INVAL,
                 "scheduler: expected a node, and a file or callbacks");
        return NULL;
    }
    if (tn_on_loop(node)) {
        tn_error(given.err, TENON_E_NOT_ALLOWED,
                 "scheduler: it cannot be started on the loop thread");
        return NULL;
    }
    /* So that services are known when the first alarm is due. */
    if (tn_x3m_start(node, given.err) == NULL) {
        return NULL;
    }
    struct schedulers *all = get_all(node);

    if (all == NULL) {
        tn_error(given.err, TENON_E_NOMEM, "scheduler: out of memory");
        return NULL;
    }
    pthread_mutex_lock(&all->lock);
    tenon_scheduler *scheduler = start(all, node, &given);

    pthread_mutex_unlock(&all->lock);
    return scheduler;
}

tenon_scheduler *tenon_scheduler_get(tenon_node *node, const char *name)
{
    struct schedulers *all = node == NULL ? NULL : tn_node_part(node, PART_KEY);

    if (all == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&all->lock);
    tenon_scheduler *scheduler = find(all, name);

    pthread_mutex_unlock(&all->lock);
    return scheduler;
}

/* ---- scheduling ---------------------------------------------------------- */

static enum tenon_err assign_time(tenon_message *message, int64_t at_us)
{
    static const uint8_t zero_bytes[] = { 97, 0 };
    tenon_builder builder;
    tenon_term at;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tn_build_datetime(&builder, at_us * 1000);
    enum tenon_err rc = tenon_builder_term(&builder, &at);

    if (rc == TENON_OK) {
        rc = tenon_message_assign(message, "dispatch_at", at);
    }
    tn_builder_fini(&builder);
    return rc < 0 ? rc
                  : tenon_message_assign(
                        message, "dispatch_attempts",
                        (tenon_term){ zero_bytes, sizeof zero_bytes });
}

/* The message as it is saved. NULL: NOMEM or LIMIT. */
static tenon_message *
make_alarm(const tenon_message *message, int64_t at_us, tenon_error *err)
{
    tenon_message *alarm = tn_message_copy(message);

    if (alarm == NULL || assign_time(alarm, at_us) < 0 ||
        tenon_message_term(alarm).bytes == NULL) {
        tn_error(err, TENON_E_NOMEM, "scheduler: out of memory");
        tenon_message_free(alarm);
        return NULL;
    }
    size_t len = tenon_message_term(alarm).len;

    if (len > TENON_ALARM_MAX_BYTES) {
        tn_error(err, TENON_E_LIMIT,
                 "scheduler: expected a message of at most %u bytes, got %zu",
                 TENON_ALARM_MAX_BYTES, len);
        tenon_message_free(alarm);
        return NULL;
    }
    return alarm;
}

/* Stops the alarm that has that id, so that it does not go while it is
 * replaced or cancelled. One that is being delivered goes on; EXISTS then.
 * With saving held. */
static enum tenon_err hold(tenon_scheduler *scheduler,
                           const void *id,
                           size_t id_len,
                           tenon_error *err)
{
    enum tenon_err rc = TENON_OK;

    tn_scheduler_lock(scheduler);
    struct tn_alarm *alarm = tn_alarm_find(scheduler, id, id_len);

    if (!scheduler->running) {
        rc = tn_error(err, TENON_E_STOPPED, "scheduler: the node stops");
    } else if (alarm != NULL && alarm->state == TN_ALARM_DELIVERING) {
        rc = tn_error(err, TENON_E_EXISTS,
                      "scheduler: the alarm with that message id is being "
                      "delivered");
    } else if (alarm != NULL) {
        tn_alarm_hold(alarm);
    }
    tn_scheduler_unlock(scheduler);
    return rc;
}

/* The alarm that was held goes on. With saving held. */
static void go_on(tenon_scheduler *scheduler, const void *id, size_t id_len)
{
    tn_scheduler_lock(scheduler);
    struct tn_alarm *alarm = tn_alarm_find(scheduler, id, id_len);

    if (alarm != NULL && alarm->state == TN_ALARM_HELD) {
        tn_alarm_arm(alarm);
    }
    tn_scheduler_unlock(scheduler);
}

/* The alarm is saved: brings it into memory, or leaves it to a later load.
 * With saving held. */
static void take_over(tenon_scheduler *scheduler,
                      const tenon_message *message,
                      const struct tn_alarm_time *time,
                      const void *id,
                      size_t id_len)
{
    bool is_near = time->at_us < scheduler->loaded_until_us;
    enum tenon_err rc = TENON_OK;

    tn_scheduler_lock(scheduler);
    if (is_near) {
        rc = tn_alarm_put(scheduler, message, time);
    }
    if (!is_near || rc < 0) {
        struct tn_alarm *held = tn_alarm_find(scheduler, id, id_len);

        if (held != NULL) {
            tn_alarm_remove(held);
        }
    }
    tn_scheduler_unlock(scheduler);
    if (rc < 0) {
        tn_scheduler_rewind(scheduler, time->at_us);
    }
}

static enum tenon_err save(tenon_scheduler *scheduler,
                           tenon_message *message,
                           const char *aggregate_id,
                           const struct tn_alarm_time *time,
                           tenon_error *err)
{
    const void *id = NULL;
    size_t id_len = 0;

    if (tenon_term_binary(tn_message_field(message, TN_FIELD_ID), &id,
                          &id_len) < 0) {
        return tn_error(err, TENON_E_INVAL, "scheduler: message without id");
    }
    pthread_mutex_lock(&scheduler->saving);
    enum tenon_err rc = hold(scheduler, id, id_len, err);

    if (rc == TENON_OK) {
        rc = scheduler->callbacks.save(message, aggregate_id,
                                       scheduler->callbacks.state, err);
        if (rc == TENON_OK) {
            take_over(scheduler, message, time, id, id_len);
        } else {
            go_on(scheduler, id, id_len);
        }
    }
    pthread_mutex_unlock(&scheduler->saving);
    return rc;
}

static enum tenon_err schedule(tenon_scheduler *scheduler,
                               const tenon_message *message,
                               const char *aggregate_id,
                               const struct tn_alarm_time *time,
                               tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };

    if (message == NULL || time->at_us < 0 ||
        time->at_us > TENON_ALARM_AT_MAX_US) {
        return tn_error(err, TENON_E_INVAL,
                        "scheduler: no message, or a time out of range");
    }
    if (tn_on_loop(scheduler->node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "scheduler: nothing is saved on the loop thread");
    }
    tenon_message *alarm = make_alarm(message, time->at_us, &why);

    if (alarm == NULL) {
        return tn_error(err, why.code, "%s", why.text);
    }
    enum tenon_err rc = save(scheduler, alarm, aggregate_id, time, &why);

    tenon_message_free(alarm);
    return rc < 0 ? tn_error(err, rc, "%s", why.text) : TENON_OK;
}

enum tenon_err tenon_scheduler_dispatch_in(tenon_scheduler *scheduler,
                                           const tenon_message *message,
                                           const char *aggregate_id,
                                           uint64_t in_ms,
                                           tenon_error *err)
{
    struct tn_alarm_time time = {
        .at_us = tn_us_after(tn_wall_us(), in_ms),
    };

    if (scheduler == NULL) {
        return tn_error(err, TENON_E_INVAL, "scheduler: there is none");
    }
    return schedule(scheduler, message, aggregate_id, &time, err);
}

enum tenon_err tenon_scheduler_dispatch_at(tenon_scheduler *scheduler,
                                           const tenon_message *message,
                                           const char *aggregate_id,
                                           int64_t at_us,
                                           tenon_error *err)
{
    struct tn_alarm_time time = {
        .at_us = at_us,
        .by_clock = true,
        .late = at_us < tn_wall_us(),
    };

    if (scheduler == NULL) {
        return tn_error(err, TENON_E_INVAL, "scheduler: there is none");
    }
    return schedule(scheduler, message, aggregate_id, &time, err);
}

/* ---- cancelling ---------------------------------------------------------- */

/* It is not saved any more. With saving held. */
static void end_cancel(tenon_scheduler *scheduler, const char *id)
{
    tn_scheduler_lock(scheduler);
    struct tn_alarm *alarm = tn_alarm_find(scheduler, id, strlen(id));

    if (alarm != NULL && alarm->state == TN_ALARM_DELIVERING) {
        alarm->cancelled = true;
    } else if (alarm != NULL) {
        tn_alarm_remove(alarm);
    }
    tn_scheduler_unlock(scheduler);
}

static enum tenon_err
cancel(tenon_scheduler *scheduler, const char *id, tenon_error *err)
{
    pthread_mutex_lock(&scheduler->saving);
    enum tenon_err rc = hold(scheduler, id, strlen(id), err);

    if (rc == TENON_OK || rc == TENON_E_EXISTS) {
        rc = scheduler->callbacks.cancel(id, strlen(id),
                                         scheduler->callbacks.state, err);
        if (rc == TENON_OK || rc == TENON_E_NOT_FOUND) {
            end_cancel(scheduler, id);
        } else {
            go_on(scheduler, id, strlen(id));
        }
    }
    pthread_mutex_unlock(&scheduler->saving);
    return rc;
}

enum tenon_err tenon_scheduler_cancel(tenon_scheduler *scheduler,
                                      const char *id,
                                      tenon_error *err)
{
    tenon_error why = { .code = TENON_E_INVAL };

    if (scheduler == NULL || id == NULL ||
        scheduler->callbacks.cancel == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "scheduler: no scheduler, no id, or no cancel_alarm");
    }
    if (tn_on_loop(scheduler->node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "scheduler: nothing is cancelled on the loop thread");
    }
    enum tenon_err rc = cancel(scheduler, id, &why);

    return rc < 0 ? tn_error(err, rc, "%s", why.text) : TENON_OK;
}

/* ---- numbers ------------------------------------------------------------- */

void tenon_scheduler_get_stats(tenon_scheduler *scheduler,
                               tenon_scheduler_stats *stats,
                               size_t size)
{
    tenon_scheduler_stats now = { 0 };

    if (scheduler == NULL || stats == NULL) {
        return;
    }
    tn_scheduler_lock(scheduler);
    now.in_memory = HASH_COUNT(scheduler->alarms);
    now.in_memory_bytes = scheduler->bytes;
    now.delivering = scheduler->delivering;
    now.delivered = scheduler->delivered;
    now.retried = scheduler->retried;
    tn_scheduler_unlock(scheduler);
    memset(stats, 0, size);
    memcpy(stats, &now, size < sizeof now ? size : sizeof now);
}
