/* SPDX-License-Identifier: Apache-2.0 */
/* The way to a peer that we call: its host's address, the port from its epmd,
 * the TCP connection. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "dist/conn_impl.h"
#include "dist/epmd.h"

static void ask_epmd(tn_conn *conn);

/* ---- TCP ----------------------------------------------------------------- */

static void fail_connect(tn_conn *conn, int error)
{
    char address[TN_ADDRESS_TEXT_BYTES];

    tn_conn_fail_sys(conn, TENON_E_NODEDOWN, error,
                     "could not connect to node \"%s\" at %s", conn->name,
                     tn_address_print(&conn->address, address));
}

static void connect_node(tn_conn *conn)
{
    const struct tn_way *way = conn->way;

    conn->address = way->addresses[way->address_at];
    tn_address_set_port(&conn->address, way->port);
    int fd = tn_sock_new(tn_address_family(&conn->address));

    if (fd < 0) {
        fail_connect(conn, -fd);
        return;
    }
    int rc = tn_sock_connect(fd, &conn->address);

    if (rc < 0) {
        close(fd);
        fail_connect(conn, -rc);
        return;
    }
    conn->state = TN_CONN_CONNECTING;
    /* Also when it is connected at once: the loop says so in its next turn. */
    tn_conn_watch(conn, fd, UV_WRITABLE);
}

void tn_connect_writable(tn_conn *conn)
{
    int rc = tn_sock_connected(conn->fd);

    if (rc < 0) {
        fail_connect(conn, -rc);
        return;
    }
    tn_secure_begin(conn);
}

/* ---- epmd ---------------------------------------------------------------- */

static void on_ask_closed(uv_handle_t *handle)
{
    struct tn_ask *ask = handle->data;
    tn_conn *conn = ask->conn;

    tn_buf_fini(&ask->request);
    free(ask);
    conn->open_handles--;
    if (conn->state == TN_CONN_CLOSING) {
        tn_conn_handle_closed(conn);
    }
}

static void end_ask(tn_conn *conn)
{
    struct tn_ask *ask = conn->way->ask;

    conn->way->ask = NULL;
    uv_close((uv_handle_t *)&ask->poll, on_ask_closed);
    close(ask->fd);
}

/* The next address, if there is one, else the end. */
static void fail_ask(tn_conn *conn, int error)
{
    struct tn_way *way = conn->way;

    if (way->ask != NULL) {
        end_ask(conn);
    }
    if (++way->address_at < way->address_count) {
        ask_epmd(conn);
        return;
    }
    tn_conn_fail_sys(conn, TENON_E_EPMD, error,
                     "could not connect to node \"%s\": asking the epmd of "
                     "host \"%s\"",
                     conn->name, way->name.host);
}

/* True when all of the request is out. */
static bool send_request(tn_conn *conn, struct tn_ask *ask)
{
    ssize_t n = tn_sock_write(ask->fd, ask->request.bytes, ask->request.len);

    if (n < 0 && n != -EAGAIN) {
        fail_ask(conn, (int)-n);
        return false;
    }
    tn_buf_consume(&ask->request, n < 0 ? 0 : (size_t)n);
    return ask->request.len == 0;
}

static void read_answer(tn_conn *conn, struct tn_ask *ask)
{
    tenon_error err;
    ssize_t n = tn_sock_read(ask->fd, ask->answer + ask->answer_len,
                             sizeof ask->answer - ask->answer_len);

    if (n == -EAGAIN) {
        return;
    }
    if (n <= 0) {
        /* Closed before the whole answer came. */
        fail_ask(conn, n < 0 ? (int)-n : ECONNRESET);
        return;
    }
    ask->answer_len += (size_t)n;
    int rc = tn_epmd_get_lookup(ask->answer, ask->answer_len, &conn->way->port,
                                &err);

    if (rc < 0) {
        tn_conn_fail(conn, (enum tenon_err)rc,
                     "could not connect to node \"%s\": %s", conn->name,
                     err.text);
    } else if (rc > 0) {
        end_ask(conn);
        connect_node(conn);
    }
}

static void on_epmd(uv_poll_t *poll, int status, int events)
{
    struct tn_ask *ask = poll->data;
    tn_conn *conn = ask->conn;

    (void)status;
    if (events & UV_READABLE) {
        read_answer(conn, ask);
        return;
    }
    int rc = tn_sock_connected(ask->fd);

    if (rc < 0) {
        fail_ask(conn, -rc);
    } else if (send_request(conn, ask)) {
        uv_poll_start(&ask->poll, UV_READABLE, on_epmd);
    }
}

/* Fills what can fail before there is a handle. Returns 0 or -errno. */
static int prepare_ask(tn_conn *conn, struct tn_ask *ask)
{
    struct tn_way *way = conn->way;
    struct tn_address epmd = way->addresses[way->address_at];

    tn_address_set_port(&epmd, tn_epmd_port());
    ask->conn = conn;
    tn_buf_init(&ask->request, TN_EPMD_ANSWER_BYTES);
    if (tn_epmd_put_lookup(&ask->request, way->name.alive, NULL) < 0) {
        return -ENOMEM;
    }
    ask->fd = tn_sock_new(tn_address_family(&epmd));
    if (ask->fd < 0) {
        return ask->fd;
    }
    int rc = tn_sock_connect(ask->fd, &epmd);

    if (rc >= 0) {
        rc = uv_poll_init(conn->dist->config.loop, &ask->poll, ask->fd);
    }
    if (rc < 0) {
        close(ask->fd);
    }
    return rc;
}

static void ask_epmd(tn_conn *conn)
{
    struct tn_ask *ask = calloc(1, sizeof *ask);

    conn->state = TN_CONN_EPMD;
    if (ask == NULL) {
        tn_conn_fail(conn, TENON_E_NOMEM,
                     "could not connect to node \"%s\": %s", conn->name,
                     "out of memory");
        return;
    }
    int rc = prepare_ask(conn, ask);

    if (rc < 0) {
        tn_buf_fini(&ask->request);
        free(ask);
        fail_ask(conn, -rc);
        return;
    }
    ask->poll.data = ask;
    conn->way->ask = ask;
    conn->open_handles++;
    uv_poll_start(&ask->poll, UV_WRITABLE, on_epmd);
}

/* ---- the host's address -------------------------------------------------- */

static void addresses_known(tn_conn *conn)
{
    if (conn->way->port == 0) {
        ask_epmd(conn);
    } else {
        connect_node(conn);
    }
}

/* The threads are not libuv's: its pool cannot let go of one that waits for a
 * name server, and a node that stops would wait with it. */
void tn_resolvers_leave(atomic_uint *resolvers)
{
    if (atomic_fetch_sub(resolvers, 1) == 1) {
        free(resolvers);
    }
}

static void keep_addresses(struct tn_resolved *resolved,
                           const struct addrinfo *found)
{
    for (; found != NULL && resolved->count < TN_ADDRESSES_MAX;
         found = found->ai_next) {
        resolved->count +=
            tn_address_take(found->ai_addr, found->ai_addrlen, resolved->family,
                            &resolved->addresses[resolved->count]);
    }
}

/* Has a reference of the connection, which may have ended meanwhile. */
static void *run_resolver(void *arg)
{
    tn_conn *conn = arg;
    struct tn_resolved *resolved = conn->resolving;
    struct addrinfo hints = { .ai_family = resolved->family,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;

    resolved->error = getaddrinfo(resolved->host, NULL, &hints, &found);
    if (resolved->error == 0) {
        keep_addresses(resolved, found);
        freeaddrinfo(found);
    }
    tn_resolvers_leave(resolved->resolvers);
    uv_mutex_lock(&conn->lock);
    resolved->is_done = true;
    tn_dist_want(conn);
    uv_mutex_unlock(&conn->lock);
    tn_conn_unref(conn);
    return NULL;
}

/* Detached, and deaf to the host program's signals. Returns 0 or an errno. */
static int start_resolver(tn_conn *conn)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    int rc = pthread_attr_init(&attributes);

    if (rc != 0) {
        return rc;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, TN_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, run_resolver, tn_conn_ref(conn));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (rc != 0) {
        tn_conn_unref(conn);
    }
    return rc;
}

void tn_connect_attend(tn_conn *conn)
{
    struct tn_way *way = conn->way;

    uv_mutex_lock(&conn->lock);
    bool is_done = conn->resolving != NULL && conn->resolving->is_done;

    uv_mutex_unlock(&conn->lock);
    if (conn->state != TN_CONN_RESOLVING || !is_done) {
        return;
    }
    const struct tn_resolved *resolved = conn->resolving;

    if (resolved->count == 0) {
        tn_conn_fail(conn, TENON_E_NODEDOWN,
                     "could not connect to node \"%s\": host \"%s\": %s",
                     conn->name, way->name.host,
                     resolved->error != 0 ? gai_strerror(resolved->error)
                                          : "has no address of our family");
        return;
    }
    memcpy(way->addresses, resolved->addresses, sizeof way->addresses);
    way->address_count = resolved->count;
    addresses_known(conn);
}

/* What the thread needs; false when the connection was closed for that. */
static bool prepare_resolver(tn_conn *conn)
{
    atomic_uint *resolvers = conn->dist->resolvers;
    struct tn_resolved *resolved = calloc(1, sizeof *resolved);

    if (resolved == NULL) {
        tn_conn_fail(conn, TENON_E_NOMEM,
                     "could not connect to node \"%s\": out of memory",
                     conn->name);
        return false;
    }
    memcpy(resolved->host, conn->way->name.host, sizeof resolved->host);
    resolved->resolvers = resolvers;
    resolved->family = tn_address_family(&conn->dist->config.listen_at);
    conn->resolving = resolved;
    if (atomic_fetch_add(resolvers, 1) > TN_RESOLVERS_MAX) {
        tn_resolvers_leave(resolvers);
        tn_conn_fail(conn, TENON_E_LIMIT,
                     "could not connect to node \"%s\": %u other host names "
                     "are being resolved",
                     conn->name, TN_RESOLVERS_MAX);
        return false;
    }
    return true;
}

static void resolve(tn_conn *conn)
{
    if (!prepare_resolver(conn)) {
        return;
    }
    int rc = start_resolver(conn);

    if (rc != 0) {
        tn_resolvers_leave(conn->resolving->resolvers);
        tn_conn_fail_sys(conn, TENON_E_SYSTEM, rc,
                         "could not connect to node \"%s\": resolving its host",
                         conn->name);
    }
}

/* ---- starting ------------------------------------------------------------ */

void tn_connect_stop(tn_conn *conn)
{
    if (conn->way != NULL && conn->way->ask != NULL) {
        end_ask(conn);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    static const char *const steps[] = {
        [TN_CONN_RESOLVING] = "resolving its host",
        [TN_CONN_EPMD] = "asking its epmd",
        [TN_CONN_CONNECTING] = "connecting",
        [TN_CONN_SECURING] = "the handshake of TLS (is it a node without?)",
        [TN_CONN_SHAKING_HANDS] = "the handshake",
    };
    tn_conn *conn = timer->data;

    tn_conn_fail(conn, TENON_E_TIMEOUT,
                 "could not connect to node \"%s\": %s was not over after %u "
                 "ms",
                 conn->name, steps[conn->state],
                 conn->dist->config.setup_timeout_ms);
}

/* The first step is taken by the loop: nothing is called back before the
 * caller has the connection. */
static void on_start(uv_timer_t *timer)
{
    tn_conn *conn = timer->data;
    struct tn_way *way = conn->way;

    if (tn_address_parse(way->name.host,
                         tn_address_family(&conn->dist->config.listen_at),
                         &way->addresses[0])) {
        way->address_count = 1;
        addresses_known(conn);
    } else {
        resolve(conn);
    }
}

/* Names cost nothing: those at a host that does not answer may take only a part
 * of the connections while they are tried. */
static enum tenon_err
check_attempts(const tn_dist *dist, const struct tn_name *to, tenon_error *err)
{
    const tn_conn *conn;
    uint32_t attempts = 0, to_host = 0;

    LIST_FOREACH(conn, &dist->conns, link)
    {
        if (conn->is_initiator && conn->state < TN_CONN_UP) {
            attempts++;
            to_host += strcmp(conn->way->name.host, to->host) == 0;
        }
    }
    if (attempts >= TN_CONNS_PART(dist->config.max_conns) ||
        to_host >= TN_CONNS_HOST_PART(dist->config.max_conns)) {
        return tn_error(err, TENON_E_LIMIT,
                        "could not connect to node \"%s\": %u attempts are "
                        "under way, %u of them to that host",
                        to->full, attempts, to_host);
    }
    return TENON_OK;
}

static enum tenon_err
check_may_connect(const tn_dist *dist, const char *peer, tenon_error *err)
{
    if (dist->is_stopping) {
        return tn_error(err, TENON_E_STOPPED,
                        "could not connect to node \"%s\": this node stops",
                        peer);
    }
    if (strcmp(peer, dist->name.full) == 0) {
        return tn_error(err, TENON_E_NAME,
                        "could not connect to node \"%s\": this node has that "
                        "name",
                        peer);
    }
    if (dist->conn_count >= dist->config.max_conns) {
        return tn_error(err, TENON_E_LIMIT,
                        "could not connect to node \"%s\": expected at most %u "
                        "connections",
                        peer, dist->config.max_conns);
    }
    return TENON_OK;
}

enum tenon_err tn_conn_connect_port(tn_dist *dist,
                                    const char *peer,
                                    uint16_t port,
                                    tn_conn **conn,
                                    tenon_error *err)
{
    struct tn_name name;
    enum tenon_err rc = tn_name_split(peer, &name, err);

    if (rc == TENON_OK) {
        rc = check_may_connect(dist, peer, err);
    }
    if (rc == TENON_OK) {
        rc = check_attempts(dist, &name, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct tn_way *way = calloc(1, sizeof *way);
    tn_conn *made = way != NULL ? tn_conn_new(dist, true) : NULL;

    if (made == NULL) {
        free(way);
        return tn_error(err, TENON_E_NOMEM,
                        "could not connect to node \"%s\": out of memory",
                        peer);
    }
    way->name = name;
    way->port = port;
    made->way = way;
    made->state = TN_CONN_RESOLVING;
    made->is_known = true;
    memcpy(made->name, name.full, sizeof made->name);
    uv_timer_start(&made->timer, on_deadline, dist->config.setup_timeout_ms, 0);
    uv_timer_start(&made->later, on_start, 0, 0);
    *conn = tn_conn_ref(made);
    return TENON_OK;
}

enum tenon_err tn_conn_connect(tn_dist *dist,
                               const char *peer,
                               tn_conn **conn,
                               tenon_error *err)
{
    return tn_conn_connect_port(dist, peer, dist->config.peer_port, conn, err);
}
