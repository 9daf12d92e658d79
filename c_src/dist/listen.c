/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: accepting, within the limits. */
#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "dist/conn_impl.h"

/* Connections accepted in one turn of the loop. */
#define ACCEPT_BURST 16
/* Pause when the process has no descriptor left: the ready socket would keep
 * the loop spinning. */
#define ACCEPT_PAUSE_MS 200u

static void
refuse(tn_dist *dist, int fd, const struct tn_address *peer, const char *reason)
{
    char address[TN_ADDRESS_TEXT_BYTES];

    tn_log(dist->config.log, TN_WARN, "handshake_refused", "peer",
           tn_address_print(peer, address), "error", "LIMIT", "reason", reason,
           NULL);
    close(fd);
}

/* ---- room for one more -------------------------------------------------- */

/* How many unfinished handshakes have come from there. */
static unsigned begun_from(tn_dist *dist, const struct tn_address *source)
{
    tn_conn *conn;
    unsigned count = 0;

    LIST_FOREACH(conn, &dist->handshakes, handshake_link)
    {
        count += tn_address_is_same_source(&conn->address, source);
    }
    return count;
}

/* How far a handshake has come: over TLS, then with a name. */
static unsigned progress(const tn_conn *conn)
{
    return 2u * (conn->state == TN_CONN_SHAKING_HANDS) + conn->is_known;
}

/* Of the source that has begun most, counting the one that comes now; of those
 * the least advanced; of those any. The oldest, or the newest, would be chosen
 * by who comes fastest or stays longest: then a peer that is slow from the
 * same source would never get in. */
static tn_conn *choose(tn_dist *dist, const struct tn_address *newcomer)
{
    tn_conn *conn, *chosen = NULL;
    unsigned most = 0, least = 0;
    uint32_t alike = 0;

    LIST_FOREACH(conn, &dist->handshakes, handshake_link)
    {
        unsigned begun = begun_from(dist, &conn->address) +
                         tn_address_is_same_source(&conn->address, newcomer);
        unsigned far = progress(conn);

        if (chosen == NULL || begun > most || (begun == most && far < least)) {
            most = begun;
            least = far;
            alike = 0;
        } else if (begun < most || far > least) {
            continue;
        }
        if (tn_dist_draw(++alike) == 0) {
            chosen = conn;
        }
    }
    return chosen;
}

/* A newcomer is let in where another has to go: refusing it instead would let a
 * handful of silent connections keep every real peer out. */
static void make_way(tn_dist *dist, const struct tn_address *newcomer)
{
    tn_conn *chosen = choose(dist, newcomer);

    if (chosen != NULL) {
        tn_conn_fail(chosen, TENON_E_LIMIT,
                     "too many unfinished handshakes, most of them from this "
                     "address");
    }
}

/* Half of the connections may be of one source. */
static bool source_has_its_part(const tn_dist *dist,
                                const struct tn_address *source)
{
    const tn_conn *conn;
    uint32_t count = 0;

    LIST_FOREACH(conn, &dist->conns, link)
    {
        count += !conn->is_initiator &&
                 tn_address_is_same_source(&conn->address, source);
    }
    return count >= TN_CONNS_PART(dist->config.max_conns);
}

static void admit(tn_dist *dist, int fd, const struct tn_address *peer)
{
    if (dist->handshake_count >= dist->config.max_handshakes) {
        make_way(dist, peer);
    }
    if (dist->conn_count >= dist->config.max_conns) {
        refuse(dist, fd, peer, "too many connections");
        return;
    }
    if (source_has_its_part(dist, peer)) {
        refuse(dist, fd, peer, "too many connections from this address");
        return;
    }
    tn_conn *conn = tn_conn_new(dist, false);

    if (conn == NULL) {
        refuse(dist, fd, peer, "out of memory");
        return;
    }
    conn->address = *peer;
    if (tn_conn_watch(conn, fd, UV_READABLE)) {
        tn_secure_begin(conn);
    }
}

/* ---- accepting ----------------------------------------------------------- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    tn_dist *dist = timer->data;

    if (dist->listen_fd >= 0) {
        uv_poll_start(&dist->listen_poll, UV_READABLE, on_connection);
    }
}

static void pause_accepting(tn_dist *dist, int error)
{
    char text[96];

    tn_log(dist->config.log, TN_ERROR, "accept_paused", "reason",
           tn_errno_text(error, text, sizeof text), NULL);
    uv_poll_stop(&dist->listen_poll);
    uv_timer_start(&dist->accept_pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    tn_dist *dist = poll->data;
    struct tn_address peer;

    (void)status;
    (void)events;
    /* One at least: those who are there must not keep others out. */
    for (int i = 0; i < ACCEPT_BURST && dist->listen_fd >= 0 &&
                    (i == 0 || !tn_turn_is_spent(dist->config.turn));
         i++) {
        int fd = tn_sock_accept(dist->listen_fd, &peer);

        if (fd == -EAGAIN || fd == -EWOULDBLOCK) {
            return;
        }
        if (fd < 0) {
            pause_accepting(dist, -fd);
            return;
        }
        admit(dist, fd, &peer);
    }
}

/* At the first free port from that of `at` on, which is set to it. Returns
 * the descriptor or -errno. */
static int listen_between(struct tn_address *at, uint16_t last)
{
    uint16_t first = tn_address_port(at);

    for (uint32_t port = first;; port++) {
        tn_address_set_port(at, (uint16_t)port);
        int fd = tn_sock_listen(at);

        if (fd != -EADDRINUSE || port >= last) {
            return fd;
        }
    }
}

static enum tenon_err fail_listen(const tn_dist *dist,
                                  uint16_t first,
                                  uint16_t last,
                                  int error,
                                  tenon_error *err)
{
    char text[TN_ADDRESS_TEXT_BYTES];
    struct tn_address at = dist->config.listen_at;

    tn_address_set_port(&at, first);
    if (last > first) {
        return tn_error_sys(err, TENON_E_LISTEN, error,
                            "listening at %s and the ports up to %u",
                            tn_address_print(&at, text), (unsigned)last);
    }
    return tn_error_sys(err, TENON_E_LISTEN, error, "listening at %s",
                        tn_address_print(&at, text));
}

enum tenon_err tn_dist_listen(tn_dist *dist,
                              uint16_t first,
                              uint16_t last,
                              uint16_t *bound,
                              tenon_error *err)
{
    if (dist->listen_fd >= 0) {
        return tn_error(err, TENON_E_LISTEN, "listening: is listening already");
    }
    struct tn_address at = dist->config.listen_at;

    tn_address_set_port(&at, first);
    int fd = listen_between(&at, last);

    if (fd < 0) {
        return fail_listen(dist, first, last, -fd, err);
    }
    int rc = uv_poll_init(dist->config.loop, &dist->listen_poll, fd);

    if (rc < 0) {
        close(fd);
        return fail_listen(dist, first, last, -rc, err);
    }
    dist->listen_fd = fd;
    dist->listen_poll.data = dist;
    dist->open_handles++;
    uv_poll_start(&dist->listen_poll, UV_READABLE, on_connection);
    *bound = tn_address_port(&at);
    return TENON_OK;
}

void tn_listen_stop(tn_dist *dist)
{
    if (dist->listen_fd < 0) {
        return;
    }
    uv_close((uv_handle_t *)&dist->listen_poll, tn_dist_handle_closed);
    close(dist->listen_fd);
    dist->listen_fd = -1;
}
