/* SPDX-License-Identifier: Apache-2.0 */
/* What all connections of a node share: the settings, the ticks, and the
 * loop's ear for what other threads want of it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "dist/conn_impl.h"

/* ---- what other threads want ------------------------------------------- */

void tn_dist_want(tn_conn *conn)
{
    tn_dist *dist = conn->dist;

    if (conn->is_closed || conn->is_wanting) {
        return;
    }
    conn->is_wanting = true;
    tn_conn_ref(conn);
    uv_mutex_lock(&dist->lock);
    STAILQ_INSERT_TAIL(&dist->wanting, conn, wanting_link);
    uv_mutex_unlock(&dist->lock);
    uv_async_send(&dist->attention);
}

/* Those that want attention again meanwhile wait for the next turn. */
static void attend_all(tn_dist *dist)
{
    struct tn_conn_queue now = STAILQ_HEAD_INITIALIZER(now);
    tn_conn *conn;

    uv_mutex_lock(&dist->lock);
    STAILQ_CONCAT(&now, &dist->wanting);
    uv_mutex_unlock(&dist->lock);
    while ((conn = STAILQ_FIRST(&now)) != NULL) {
        STAILQ_REMOVE_HEAD(&now, wanting_link);
        uv_mutex_lock(&conn->lock);
        conn->is_wanting = false;
        uv_mutex_unlock(&conn->lock);
        tn_connect_attend(conn);
        tn_out_attend(conn);
        tn_large_attend(conn);
        tn_secure_attend(conn);
        tn_conn_unref(conn);
    }
}

static void on_attention(uv_async_t *async)
{
    attend_all(async->data);
}

/* ---- ticks --------------------------------------------------------------- */

/* A dead peer is found after one ticktime and a quarter without a byte: BEAM
 * nodes, too, send a tick at least every quarter. */
static void look_at(tn_conn *conn)
{
    if (conn->state != TN_CONN_UP) {
        return;
    }
    if (conn->bytes_in != conn->bytes_in_seen || conn->starving_ns != 0) {
        conn->bytes_in_seen = conn->bytes_in;
        conn->silent_looks = 0;
    } else if (++conn->silent_looks > TN_TICK_INTENSITY) {
        tn_conn_fail(conn, TENON_E_TICK,
                     "node \"%s\": nothing was heard for %u ms", conn->name,
                     conn->dist->config.ticktime_ms / TN_TICK_INTENSITY *
                         (TN_TICK_INTENSITY + 1));
        return;
    }
    tn_out_tick(conn);
}

static void on_tick(uv_timer_t *timer)
{
    tn_dist *dist = timer->data;
    tn_conn *conn, *next;

    for (conn = LIST_FIRST(&dist->conns); conn != NULL; conn = next) {
        next = LIST_NEXT(conn, link);
        look_at(conn);
    }
}

/* ---- made and freed ------------------------------------------------------ */

static void set_defaults(struct tn_dist_config *config)
{
#define DEFAULT(field, value)                                                  \
    if (config->field == 0) {                                                  \
        config->field = (value);                                               \
    }
    DEFAULT(setup_timeout_ms, TN_SETUP_TIMEOUT_MS_DEFAULT)
    DEFAULT(room_timeout_ms, config->setup_timeout_ms)
    DEFAULT(ticktime_ms, TN_TICKTIME_MS_DEFAULT)
    DEFAULT(max_frame_bytes, TN_FRAME_MAX_BYTES_DEFAULT)
    DEFAULT(out_max_bytes, TN_OUT_MAX_BYTES_DEFAULT)
    DEFAULT(max_conns, TN_CONNS_MAX_DEFAULT)
    DEFAULT(max_handshakes, TN_HANDSHAKES_MAX_DEFAULT)
#undef DEFAULT
    if (tn_address_family(&config->listen_at) == AF_UNSPEC) {
        config->listen_at = tn_address_all(AF_INET);
    }
}

static enum tenon_err copy_identity(tn_dist *dist,
                                    const struct tn_dist_config *config,
                                    tenon_error *err)
{
    size_t len = strlen(config->cookie);

    if (len == 0 || len > TN_COOKIE_MAX_BYTES) {
        return tn_error(err, TENON_E_INVAL,
                        "connections: expected a cookie of 1 to %u bytes, got "
                        "%zu",
                        TN_COOKIE_MAX_BYTES, len);
    }
    memcpy(dist->cookie, config->cookie, len + 1);
    enum tenon_err rc = tn_name_split(config->name, &dist->name, err);

    dist->config.name = dist->name.full;
    dist->config.cookie = dist->cookie;
    return rc;
}

static void start_handles(tn_dist *dist)
{
    uv_loop_t *loop = dist->config.loop;
    uint64_t every_ms = dist->config.ticktime_ms / TN_TICK_INTENSITY;

    if (every_ms == 0) {
        every_ms = 1;
    }
    uv_timer_init(loop, &dist->tick);
    uv_timer_init(loop, &dist->accept_pause);
    dist->tick.data = dist;
    dist->accept_pause.data = dist;
    dist->attention.data = dist;
    dist->open_handles = 3;
    uv_timer_start(&dist->tick, on_tick, every_ms, every_ms);
}

static void release_shared(tn_dist *dist)
{
    tn_tls_context_unref(dist->tls);
    tn_cookies_fini(&dist->cookies);
    tn_cookies_fini(&dist->more_cookies);
    tn_block_pool_free(dist->pool);
    tn_budget_unref(dist->config.budget);
    if (dist->resolvers != NULL) {
        tn_resolvers_leave(dist->resolvers);
    }
    free(dist);
}

static bool allocate(tn_dist *dist)
{
    dist->pool = tn_block_pool_new();
    dist->resolvers = malloc(sizeof *dist->resolvers);
    if (dist->resolvers != NULL) {
        atomic_init(dist->resolvers, 1);
    }
    return dist->pool != NULL && dist->resolvers != NULL &&
           uv_mutex_init(&dist->lock) == 0;
}

enum tenon_err tn_dist_new(const struct tn_dist_config *config,
                           tn_dist **dist,
                           tenon_error *err)
{
    tn_dist *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return tn_error(err, TENON_E_NOMEM, "connections: out of memory");
    }
    made->config = *config;
    set_defaults(&made->config);
    made->cookies.hash_key = config->hash_key;
    made->more_cookies.hash_key = config->hash_key;
    made->listen_fd = -1;
    if (config->tls != NULL) {
        made->tls = tn_tls_context_ref(config->tls);
    }
    LIST_INIT(&made->conns);
    LIST_INIT(&made->handshakes);
    TAILQ_INIT(&made->postponed);
    STAILQ_INIT(&made->wanting);
    enum tenon_err rc = copy_identity(made, config, err);

    if (rc < 0) {
        tn_tls_context_unref(made->tls);
        free(made);
        return rc;
    }
    (void)tn_budget_ref(made->config.budget);
    if (!allocate(made)) {
        release_shared(made);
        return tn_error(err, TENON_E_NOMEM, "connections: out of memory");
    }
    int failed =
        uv_async_init(made->config.loop, &made->attention, on_attention);

    if (failed < 0) {
        uv_mutex_destroy(&made->lock);
        release_shared(made);
        return tn_error_sys(err, TENON_E_SYSTEM, -failed,
                            "connections: waking the loop");
    }
    start_handles(made);
    *dist = made;
    return TENON_OK;
}

void tn_dist_settle(tn_dist *dist)
{
    if (!dist->is_stopping || dist->conn_count > 0 || dist->open_handles > 0) {
        return;
    }
    struct tn_dist_config config = dist->config;

    uv_mutex_destroy(&dist->lock);
    release_shared(dist);
    if (config.events->on_closed != NULL) {
        config.events->on_closed(config.user);
    }
}

void tn_dist_handle_closed(uv_handle_t *handle)
{
    tn_dist *dist = handle->data;

    dist->open_handles--;
    tn_dist_settle(dist);
}

void tn_dist_free(tn_dist *dist)
{
    tn_conn *conn, *next;

    if (dist == NULL || dist->is_stopping) {
        return;
    }
    dist->is_stopping = true;
    tn_listen_stop(dist);
    for (conn = LIST_FIRST(&dist->conns); conn != NULL; conn = next) {
        next = LIST_NEXT(conn, link);
        tn_conn_fail(conn, TENON_E_STOPPED, "this node stops");
    }
    /* No connection is open: nothing new can want attention. */
    attend_all(dist);
    uv_close((uv_handle_t *)&dist->tick, tn_dist_handle_closed);
    uv_close((uv_handle_t *)&dist->accept_pause, tn_dist_handle_closed);
    uv_close((uv_handle_t *)&dist->attention, tn_dist_handle_closed);
}

void tn_dist_set_tls(tn_dist *dist, tn_tls_context *tls)
{
    tn_tls_context_unref(dist->tls);
    dist->tls = tls;
}

enum tenon_err
tn_dist_set_cookie(tn_dist *dist, const char *peer, const char *cookie)
{
    return tn_cookies_set(&dist->cookies, peer, cookie);
}

void tn_dist_swap_cookies(tn_dist *dist, struct tn_cookies *cookies)
{
    struct tn_cookies before = dist->more_cookies;

    dist->more_cookies = *cookies;
    *cookies = before;
}

uint32_t tn_dist_draw(uint32_t below)
{
    uint32_t drawn = 0;

    /* Without random bytes it is always the same, which is an answer too. */
    if (below > 1 && tn_random_bytes(&drawn, sizeof drawn) != TENON_OK) {
        return 0;
    }
    return drawn % below;
}

const char *tn_dist_cookie_of(const tn_dist *dist, const char *peer)
{
    return tn_cookies_of(
        &dist->cookies, peer,
        tn_cookies_of(&dist->more_cookies, peer, dist->cookie));
}
