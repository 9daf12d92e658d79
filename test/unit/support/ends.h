/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes' ends of connections for tests: a tn_dist each, all on one loop, with
 * an owner that records what it is told; and a raw socket that plays a peer. */
#ifndef TN_TEST_ENDS_H
#define TN_TEST_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/log.h"
#include "dist/conn.h"

#define ENDS_COOKIE "ends"

/* One node. Counters only grow. */
struct end {
    uv_loop_t *loop;
    tn_dist *dist;
    uint16_t port;
    char name[64];

    tn_conn *up;         /* kept; the newest connection that is up */
    enum tn_status say;  /* what on_hello answers */
    bool resolve_names;  /* on_hello decides by names, as BEAM nodes do */
    bool replace;        /* what on_alive answers */
    bool refuse_streams; /* what on_stream answers */
    tn_conn *own;        /* kept; the attempt under way */

    unsigned hellos, ups, downs, alives, authenticated, batches, closed;
    uint64_t signals;
    struct tn_signal last; /* kind, flags and id only */
    tenon_error why;       /* of the last on_down */
    bool was_up;           /* likewise */
    char order[256];       /* one letter an event: h A a u d */

    /* Called for each signal, may be NULL. */
    void (*on_signal)(struct end *end,
                      tn_conn *conn,
                      const struct tn_signal *signal);
    void *user;

    struct tn_log log_to;
    char log[8192]; /* the lines that were logged */
    size_t log_len;
};

/* config: what differs from the defaults; loop, name, log, events and user are
 * filled in here, cookie, flags and creation when they are 0. Listens. */
void end_open(struct end *end,
              uv_loop_t *loop,
              const char *name,
              const struct tn_dist_config *config);
/* Frees the node and runs the loop until nothing of it is left. */
void end_close(struct end *end);

/* Connects one to another. */
void end_connect(struct end *from, const struct end *to);
/* Connects and waits until both are up. */
void end_join(struct end *from, struct end *to);

/* Turns the loop until the condition holds; fails the test after the deadline.
 */
#define RUN_UNTIL(loop, condition)                                             \
    do {                                                                       \
        uint64_t run_deadline = end_deadline();                                \
        while (!(condition)) {                                                 \
            end_turn((loop), run_deadline, #condition, __FILE__, __LINE__);    \
        }                                                                      \
    } while (0)

uint64_t end_deadline(void);
void end_turn(uv_loop_t *loop,
              uint64_t deadline,
              const char *waiting_for,
              const char *file,
              int line);

/* ---- a peer by hand ------------------------------------------------------ */

/* A socket connected to the end, non-blocking. */
int raw_connect(const struct end *to);
/* The same from another address of this machine, "127.0.0.2". */
int raw_connect_from(const struct end *to, const char *source);
/* The same, with the handshake done under that name; to is a node of which port,
 * name and a loop of the test's are known. */
int raw_handshake(const struct end *to, const char *name);
/* The same, when the end knows that it is up. */
int raw_join(struct end *to, const char *name);
void raw_write(int fd, const void *bytes, size_t len);
/* True when the other side has closed; bytes before that are dropped. */
bool raw_is_closed(int fd);

/* ---- terms --------------------------------------------------------------- */

/* A pid of that node, written to buf (80 bytes). */
tenon_term
make_pid(uint8_t *buf, const char *node, uint32_t id, uint32_t creation);
/* An atom, written to buf (its length and 2). */
tenon_term make_atom(uint8_t *buf, const char *text);
/* A message to the name `to` with an integer as payload. */
struct message {
    uint8_t from[80], to[20], payload[8];
    struct tn_signal signal;
};
const struct tn_signal *make_message(struct message *message,
                                     const char *node,
                                     const char *to,
                                     int32_t n);
/* The integer of such a message. */
int32_t message_number(const struct tn_signal *signal);

#endif
