/* SPDX-License-Identifier: Apache-2.0 */
/* The node's start and stop, and small things that belong to all of it. */
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "dist/flags.h"
#include "node/atoms.h"
#include "node/loop.h"
#include "node/output.h"
#include "node/quota.h"
#include "node/rules_load.h"

/* How long a stop waits for output. */
#define STOP_DRAIN_MS 800u

/* As erl_epmd waits for epmd. */
#define EPMD_TIMEOUT_MS 10000u
#define MAILBOX_MAX_MESSAGES 100000u
#define MAILBOX_MAX_BYTES (64u * 1024u * 1024u)

/* ---- start ------------------------------------------------------------- */

enum tenon_err
tn_sized_copy(void *to, size_t to_size, const void *from, size_t from_size)
{
    const uint8_t *bytes = from;
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    for (size_t i = to_size; i < from_size; i++) {
        if (bytes[i] != 0) {
            return TENON_E_INVAL;
        }
    }
    return TENON_OK;
}

static enum tenon_err set_identity(tenon_node *node,
                                   const tenon_node_config *config)
{
    bool is_long = config->name != NULL;
    const char *text = is_long ? config->name : config->sname;
    if (text == NULL || (is_long && config->sname != NULL)) {
        return tn_error(config->err, TENON_E_INVAL,
                        "could not start: expected either a long or a short "
                        "node name, got %s",
                        text == NULL ? "none" : "both");
    }
    enum tenon_err rc = tn_name_make(text, is_long, &node->name, config->err);
    if (rc == TENON_OK) {
        rc = tn_cookie_find(config->cookie, node->cookie, config->err);
    }
    if (rc == TENON_OK) {
        rc = tn_epmd_creation(&node->creation, config->err);
    }
    return rc;
}

/* The count of tokens starts anywhere, so that references of an earlier run are
 * not met again. */
static enum tenon_err set_secrets(tenon_node *node, tenon_error *err)
{
    uint64_t first;
    enum tenon_err rc = tn_random_bytes(&first, sizeof(first));
    atomic_init(&node->last_token, first);
    if (rc == TENON_OK) {
        rc = tn_random_bytes(&node->hash_key, sizeof(node->hash_key));
    }
    if (rc == TENON_OK) {
        rc = tn_random_bytes(&node->token_key, sizeof(node->token_key));
    }
    return rc == TENON_OK
               ? rc
               : tn_error(err, rc, "could not start: no random bytes");
}

static void init_lists(tenon_node *node)
{
    STAILQ_INIT(&node->inline_queue);
    STAILQ_INIT(&node->doomed);
    STAILQ_INIT(&node->ending);
    STAILQ_INIT(&node->loop_jobs);
    SLIST_INIT(&node->parts);
    SLIST_INIT(&node->peers.watches);
    STAILQ_INIT(&node->peers.lost);
}

static bool init_locks(tenon_node *node)
{
    if (pthread_mutex_init(&node->lock, NULL) != 0) {
        return false;
    }
    if (!tn_condition_init(&node->peer_changed)) {
        goto no_peer_changed;
    }
    if (!tn_condition_init(&node->stop_cond)) {
        goto no_stop_cond;
    }
    return true;
no_stop_cond:
    pthread_cond_destroy(&node->peer_changed);
no_peer_changed:
    pthread_mutex_destroy(&node->lock);
    return false;
}

static void fini_locks(tenon_node *node)
{
    pthread_cond_destroy(&node->stop_cond);
    pthread_cond_destroy(&node->peer_changed);
    pthread_mutex_destroy(&node->lock);
}

/* What a connection has a worker do. */
struct errand {
    struct tn_job job; /* first: the pool gives it back */
    void (*fn)(void *arg);
    void *arg;
};

static void run_errand(struct tn_job *job)
{
    struct errand *errand = (struct errand *)job;
    errand->fn(errand->arg);
    free(errand);
}

static bool run_on_worker(void *user, void (*fn)(void *), void *arg)
{
    struct errand *errand = malloc(sizeof(*errand));
    if (errand != NULL) {
        *errand = (struct errand){ .job = { .fn = run_errand },
                                   .fn = fn,
                                   .arg = arg };
        tn_node_push_job(user, &errand->job);
    }
    return errand != NULL;
}

static enum tenon_err start_dist(tenon_node *node,
                                 const tenon_node_config *config)
{
    struct tn_dist_config dist = {
        .loop = &node->loop,
        .name = node->name.full,
        .cookie = node->cookie,
        .creation = node->creation,
        .hash_key = &node->hash_key,
        .flags = config->hidden ? TN_FLAGS_OURS_HIDDEN : TN_FLAGS_OURS,
        .setup_timeout_ms = config->connect_timeout_ms,
        .ticktime_ms = config->ticktime_ms,
        .max_frame_bytes = config->frame_max_bytes,
        .out_max_bytes = config->output_max_bytes,
        .budget = node->budget,
        .run_on_worker = run_on_worker,
        .turn = &node->turn,
        .log = &node->log,
        .events = &tn_peer_events,
        .user = node,
    };
    enum tenon_err rc = tn_transport_read(&node->transport, config, &dist);
    if (rc == TENON_OK) {
        rc = tn_dist_new(&dist, &node->dist, config->err);
    }
    tn_tls_context_unref(dist.tls);
    return rc;
}

static void client_message(tenon_process *self, void *state, tenon_term message)
{
    (void)state;
    tn_requests_on_message(self->node, tn_process_origin(self), message);
}

static enum tenon_err start_client(tenon_node *node, tenon_error *err)
{
    static const struct tn_process_class client = {
        .on_message = client_message,
        .kind = "client",
    };
    node->client = tn_process_start(
        node,
        &(struct tn_process_spec){
            .class = &client, .run_inline = true, .immortal = true },
        err);
    node->group_leader = node->client;
    return node->client == NULL ? TENON_E_NOMEM : TENON_OK;
}

static void set_limits(tenon_node *node, const tenon_node_config *config)
{
    node->port = config->port;
    node->port_max = config->port_max;
    node->no_epmd = config->no_epmd;
    node->hidden = config->hidden;
    node->no_global = config->no_global;
    node->no_connect_all = config->no_connect_all;
    node->connect_timeout_ms = config->connect_timeout_ms != 0
                                   ? config->connect_timeout_ms
                                   : TN_SETUP_TIMEOUT_MS_DEFAULT;
    node->stop_workers_ms = TN_STOP_WORKERS_MS;
    node->stop_max_ms = TENON_STOP_MAX_MS;
    node->ticktime_ms =
        config->ticktime_ms != 0 ? config->ticktime_ms : TN_TICKTIME_MS_DEFAULT;
    node->output_max_bytes = config->output_max_bytes != 0
                                 ? config->output_max_bytes
                                 : TN_OUT_MAX_BYTES_DEFAULT;
}

static enum tenon_err start_parts(tenon_node *node,
                                  const tenon_node_config *config)
{
    uint32_t workers =
        config->worker_max != 0 ? config->worker_max : TN_WORKERS_MAX_DEFAULT;
    uint32_t messages = config->mailbox_max_messages != 0
                            ? config->mailbox_max_messages
                            : MAILBOX_MAX_MESSAGES;
    size_t bytes = config->mailbox_max_bytes != 0 ? config->mailbox_max_bytes
                                                  : MAILBOX_MAX_BYTES;
    enum tenon_err rc = tn_workers_init(&node->workers, workers, config->err);
    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_processes_init(&node->processes, messages, bytes, config->err);
    if (rc != TENON_OK) {
        goto no_processes;
    }
    rc = tn_loop_init(node, config->err);
    if (rc != TENON_OK) {
        goto no_loop;
    }
    rc = start_dist(node, config);
    if (rc == TENON_OK) {
        rc = tn_rules_load(node, config);
    }
    if (rc == TENON_OK) {
        rc = start_client(node, config->err);
    }
    if (rc != TENON_OK) {
        tn_loop_close(node, true);
        goto no_loop;
    }
    return TENON_OK;
no_loop:
    tn_processes_fini(&node->processes);
no_processes:
    if (tn_workers_stop(&node->workers, 0)) {
        tn_workers_fini(&node->workers);
    }
    return rc;
}

tenon_node *tn_node_start(const tenon_node_config *config)
{
    tn_open_standard_descriptors();
    tenon_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "out of memory for a node");
        return NULL;
    }
    init_lists(node);
    set_limits(node, config);
    if (set_secrets(node, config->err) != TENON_OK ||
        tn_output_start(node, config) != TENON_OK ||
        set_identity(node, config) != TENON_OK) {
        goto failed;
    }
    if (!init_locks(node)) {
        tn_error(config->err, TENON_E_SYSTEM, "could not make the node's lock");
        goto failed;
    }
    node->budget = tn_quota_budget(config->memory_max_bytes);
    if (node->budget == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "out of memory for a node");
        fini_locks(node);
        goto failed;
    }
    if (start_parts(node, config) != TENON_OK) {
        fini_locks(node);
        goto failed;
    }
    return node;
failed:
    tn_budget_unref(node->budget);
    tn_rules_load_fini(node);
    tn_transport_fini(&node->transport);
    tn_output_stop(node);
    tn_output_free(node);
    free(node);
    return NULL;
}

enum tenon_err tn_node_publish(tenon_node *node, tenon_error *err)
{
    enum tenon_err rc = tn_dist_listen(node->dist, node->port, node->port_max,
                                       &node->port, err);
    if (rc == TENON_OK && !node->no_epmd) {
        rc = tn_epmd_register(&node->loop, &node->name, node->cookie,
                              node->creation, node->port, EPMD_TIMEOUT_MS,
                              &node->log, &node->epmd, err);
    }
    memset(node->cookie, 0, sizeof(node->cookie));
    return rc == TENON_OK ? tn_loop_start(node, err) : rc;
}

/* ---- stop -------------------------------------------------------------- */

static void tell_parts(tenon_node *node)
{
    struct tn_part *part;
    SLIST_FOREACH(part, &node->parts, next)
    {
        if (part->on_stop != NULL) {
            part->on_stop(node, part->part);
        }
    }
}

static void free_parts(tenon_node *node)
{
    struct tn_part *part;
    while ((part = SLIST_FIRST(&node->parts)) != NULL) {
        SLIST_REMOVE_HEAD(&node->parts, next);
        if (part->free != NULL) {
            part->free(part->part);
        }
        free(part);
    }
}

static void free_node(tenon_node *node)
{
    free_parts(node);
    tn_peers_fini(node);
    if (node->group_leader != node->client) {
        tenon_process_release(node->group_leader);
    }
    tenon_process_release(node->client);
    tn_processes_fini(&node->processes);
    tn_functions_fini(&node->functions);
    tn_timers_fini(&node->timers);
    tn_rules_load_fini(node);
    tn_transport_fini(&node->transport);
    tn_budget_unref(node->budget);
    tn_output_free(node);
    fini_locks(node);
    free(node);
}

bool tn_node_end(tenon_node *node)
{
    /* A start that failed has its own line, and nothing that ends. */
    enum tn_level level = node->loop_started ? TN_INFO : TN_DEBUG;
    tn_log(&node->log, level, "stopping", "node", node->name.full, NULL);
    tell_parts(node);
    tn_lock(node);
    node->stopping = true;
    pthread_cond_broadcast(&node->stop_cond);
    pthread_cond_broadcast(&node->peer_changed);
    tn_unlock(node);
    tn_processes_end_all(node);
    tn_requests_stop(node);
    tn_writer_close(node->stdout_writer, TN_OUTPUT_DRAIN_MS);
    tn_loop_drain(node, STOP_DRAIN_MS);
    bool ended = tn_workers_stop(&node->workers, node->stop_workers_ms);
    tn_writer_wait(node->stdout_writer); /* it sends answers */
    tn_loop_close(node, ended);
    if (ended) {
        tn_workers_fini(&node->workers);
    }
    tn_log(&node->log, ended ? level : TN_WARN, "stopped", "node",
           node->name.full, "handlers", ended ? NULL : "still running", NULL);
    return ended;
}

void tn_node_dispose(tenon_node *node, bool ended)
{
    tn_output_stop(node);
    if (ended) {
        free_node(node);
    }
}

void tenon_node_stop(tenon_node *node)
{
    if (node != NULL) {
        tn_node_dispose(node, tn_node_end(node));
    }
}

/* ---- what belongs to all ----------------------------------------------- */

const char *tenon_node_name(const tenon_node *node)
{
    return node->name.full;
}

uint16_t tenon_node_port(const tenon_node *node)
{
    return node->port;
}

static struct tn_part *find_part_locked(tenon_node *node, const char *key)
{
    struct tn_part *entry;
    SLIST_FOREACH(entry, &node->parts, next)
    {
        if (strcmp(entry->key, key) == 0) {
            return entry;
        }
    }
    return NULL;
}

enum tenon_err tn_node_attach(tenon_node *node,
                              const char *key,
                              void *part,
                              void (*on_stop)(tenon_node *node, void *part),
                              void (*free_part)(void *part))
{
    struct tn_part *entry = malloc(sizeof(*entry));
    if (entry == NULL) {
        return TENON_E_NOMEM;
    }
    *entry = (struct tn_part){
        .key = key, .part = part, .on_stop = on_stop, .free = free_part
    };
    tn_lock(node);
    bool exists = find_part_locked(node, key) != NULL;
    if (!exists) {
        SLIST_INSERT_HEAD(&node->parts, entry, next);
    }
    tn_unlock(node);
    if (exists) {
        free(entry);
        return TENON_E_EXISTS;
    }
    return TENON_OK;
}

void *tn_node_part(tenon_node *node, const char *key)
{
    tn_lock(node);
    struct tn_part *entry = find_part_locked(node, key);
    void *part = entry == NULL ? NULL : entry->part;
    tn_unlock(node);
    return part;
}

/* A count that is enciphered costs less than random bytes of the system. */
static uint64_t next_token(tenon_node *node, uint64_t *number)
{
    *number =
        atomic_fetch_add_explicit(&node->last_token, 1, memory_order_relaxed);
    return tn_siphash24(&node->token_key, number, sizeof(*number));
}

uint64_t tn_node_make_token(tenon_node *node)
{
    uint64_t number;
    return next_token(node, &number);
}

/* Three words as OTP 23 wants them, the first below 2^18: that is the count, so
 * that two references can be the same only if they are 262144 apart, and their
 * tokens are the same besides. */
void tn_node_make_ref(tenon_node *node, tenon_ref *ref)
{
    uint64_t number;
    uint64_t token = next_token(node, &number);
    memset(ref, 0, sizeof(*ref));
    ref->creation = node->creation;
    ref->word_count = 3;
    ref->words[0] = (uint32_t)(number & 0x3ffffu);
    ref->words[1] = (uint32_t)token;
    ref->words[2] = (uint32_t)(token >> 32);
    memcpy(ref->node, node->name.full, sizeof(ref->node));
}

void tenon_make_ref(tenon_node *node, tenon_ref *ref)
{
    tn_node_make_ref(node, ref);
}

enum tenon_err tenon_sleep(tenon_node *node, uint32_t ms)
{
    if (node == NULL || tn_on_loop(node)) {
        return TENON_E_NOT_ALLOWED;
    }
    struct timespec until;
    tn_deadline(ms, &until);
    tn_workers_block(&node->workers);
    tn_lock(node);
    while (!node->stopping &&
           tn_condition_wait(&node->stop_cond, &node->lock, &until)) {
    }
    bool stopped = node->stopping;
    tn_unlock(node);
    tn_workers_unblock(&node->workers);
    return stopped ? TENON_E_STOPPED : TENON_OK;
}

static void count_peers(tenon_node *node, void *user)
{
    tn_peers_count(node, user);
}

static void count_turns(const tenon_node *node, tenon_node_stats *stats)
{
    struct tn_histogram_view view;
    _Static_assert(TENON_LOOP_TURN_BUCKETS == TN_HISTOGRAM_BUCKETS,
                   "the public number of buckets is that of the histogram");
    tn_histogram_read(&node->turn.taken, &view);
    stats->loop_turns = view.count;
    stats->loop_cpu_us = view.sum_ns / 1000;
    stats->loop_turn_max_us = view.max_ns / 1000;
    memcpy(stats->loop_turn_counts, view.counts, sizeof view.counts);
}

void tenon_node_get_stats(tenon_node *node,
                          tenon_node_stats *stats,
                          size_t size)
{
    tenon_node_stats all = { 0 };
    (void)tn_node_call_on_loop(node, count_peers, &all);
    tn_lock(node);
    all.processes = node->processes.count;
    all.pending_calls = node->requests.count;
    all.monitors = node->monitors.monitor_count;
    all.links = node->monitors.link_count;
    tn_unlock(node);
    all.memory_bytes = tn_budget_used(node->budget);
    all.memory_peak_bytes = tn_budget_peak(node->budget);
    all.quotas_reached = tn_budget_refused(node->budget);
    pthread_mutex_lock(&node->workers.lock);
    all.workers = node->workers.total;
    pthread_mutex_unlock(&node->workers.lock);
    count_turns(node, &all);
    all.log_lines_suppressed = tn_log_rate_left_out(node->log.rate);
    all.log_lines_lost = tn_writer_lost(node->log_writer);
    all.prints_refused = tn_writer_lost(node->stdout_writer);
    memset(stats, 0, size);
    memcpy(stats, &all, size < sizeof(all) ? size : sizeof(all));
}
