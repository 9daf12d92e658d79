/* SPDX-License-Identifier: Apache-2.0 */
/* A mesh of global name servers in one thread: messages, monitors and timers
 * go from core to core through one queue, and time passes when it is empty.
 * Allocates nothing but the terms; one that there is no memory for costs the
 * connection, as in a node. */
#ifndef TEST_OTP_GLOBAL_SIM_H
#define TEST_OTP_GLOBAL_SIM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon.h>

#include "otp/gen.h"
#include "otp/global_core.h"
#include "unit/support/hash_key.h"

#define SIM_NODES 6
#define SIM_EVENTS 8192
#define SIM_CALLS 512
#define SIM_MONITORS 512
#define SIM_TOLD 64
/* A mesh that has not come to rest by then never does. */
#ifndef SIM_STEPS
#define SIM_STEPS 200000
#endif

enum sim_kind {
    SIM_MESSAGE,
    SIM_CALL,
    SIM_REPLY,
    SIM_RESOLVE,
    SIM_CONNECT,
    SIM_CUT
};

struct sim;

struct sim_event {
    enum sim_kind kind;
    int from, to;
    tenon_value *value;
    int call;
};

struct sim_call {
    struct tn_gcall *call; /* NULL: free */
    int from, to;
    bool tagged; /* its answer is on the way */
};

struct sim_monitor {
    bool set;
    int watcher;
    tenon_pid pid;
};

struct sim_node {
    struct sim *sim;
    int index;
    char name[32];
    struct tn_global *global;
    bool mute; /* takes messages and never gets to them */
};

struct sim {
    struct sim_node node[SIM_NODES];
    int count;
    bool linked[SIM_NODES][SIM_NODES];
    bool barred[SIM_NODES][SIM_NODES]; /* cannot connect */
    bool limits[SIM_NODES][SIM_NODES]; /* the rules of the first: the second */
    int ignored_count;
    tn_account *accounts[SIM_NODES]; /* of what each says; NULL: none */
    struct sim_event events[SIM_EVENTS];
    unsigned first, last;
    struct sim_call calls[SIM_CALLS];
    struct sim_monitor monitors[SIM_MONITORS];
    struct tn_gtimer *timers[64];
    uint64_t due[64];
    uint64_t now;
    tenon_pid dead[16];
    int dead_count;
    char told[SIM_TOLD][200]; /* messages to processes, and kills */
    int told_count;
    enum tenon_err ended[SIM_TOLD]; /* of changes */
    int ended_count;
};

static inline void sim_cut_later(struct sim *sim, int a, int b);

static inline int sim_find(struct sim *sim, const char *name)
{
    for (int i = 0; i < sim->count; i++) {
        if (strcmp(sim->node[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* False: no memory. */
static inline bool sim_queue(struct sim *sim,
                             enum sim_kind kind,
                             int from,
                             int to,
                             tenon_term term,
                             int call)
{
    tenon_value *value = term.bytes != NULL ? tenon_value_new(term) : NULL;
    if (term.bytes != NULL && value == NULL) {
        return false;
    }
    sim->events[sim->last++ % SIM_EVENTS] =
        (struct sim_event){ kind, from, to, value, call };
    return true;
}

static inline void sim_tell(struct sim *sim,
                            const char *verb,
                            const tenon_pid *pid,
                            tenon_term message)
{
    char text[150] = "";
    if (message.bytes != NULL) {
        tenon_term_print(message, text, sizeof text);
    }
    if (sim->told_count < SIM_TOLD) {
        snprintf(sim->told[sim->told_count++], sizeof sim->told[0],
                 "%s %u@%.20s %s", verb, pid->id, pid->node, text);
    }
}

/* ---- io ---------------------------------------------------------------- */

static inline void sim_send(void *io, const char *node, tenon_term message)
{
    struct sim_node *me = io;
    int to = sim_find(me->sim, node);
    if (to >= 0 && me->sim->linked[me->index][to] &&
        !sim_queue(me->sim, SIM_MESSAGE, me->index, to, message, -1)) {
        sim_cut_later(me->sim, me->index, to);
    }
}

/* Pid 1 of a node is its name server. */
static inline void sim_send_pid(void *io, tenon_term pid, tenon_term message)
{
    struct sim_node *me = io;
    tenon_pid to;
    if (tenon_term_pid(pid, &to) < 0) {
        return;
    }
    if (to.id == 1) {
        sim_send(io, to.node, message);
    } else {
        sim_tell(me->sim, "send", &to, message);
    }
}

static inline void
sim_reply(void *io, tenon_term from, tenon_term tag, tenon_term value)
{
    struct sim_node *me = io;
    tenon_pid pid;
    int64_t call;
    if (tenon_term_int64(tag, &call) == TENON_OK && call >= 0 &&
        call < SIM_CALLS) {
        struct sim_call *waiting = &me->sim->calls[call];
        if (waiting->call != NULL &&
            !sim_queue(me->sim, SIM_REPLY, me->index, waiting->from, value,
                       (int)call)) {
            sim_cut_later(me->sim, me->index, waiting->from);
        }
    } else if (tenon_term_is_atom(tag, "told") &&
               tenon_term_pid(from, &pid) == TENON_OK) {
        sim_tell(me->sim, "reply", &pid, value);
    }
}

static inline void sim_ask(struct sim_node *me,
                           enum sim_kind kind,
                           const char *node,
                           tenon_term request,
                           struct tn_gcall *call)
{
    int to = sim_find(me->sim, node), slot = 0;
    while (slot < SIM_CALLS - 1 && me->sim->calls[slot].call != NULL) {
        slot++;
    }
    if (to < 0 || !me->sim->linked[me->index][to]) {
        tn_gcall_end(call, (tenon_term){ NULL, 0 });
        return;
    }
    me->sim->calls[slot] =
        (struct sim_call){ .call = call, .from = me->index, .to = to };
    if (!sim_queue(me->sim, kind, me->index, to, request, slot)) {
        sim_cut_later(me->sim, me->index, to);
    }
}

static inline void
sim_call(void *io, const char *node, tenon_term request, struct tn_gcall *call)
{
    sim_ask(io, SIM_CALL, node, request, call);
}

static inline void
sim_resolve(void *io, const char *node, tenon_term args, struct tn_gcall *call)
{
    sim_ask(io, SIM_RESOLVE, node, args, call);
}

static inline void
sim_tell_request(void *io, const char *node, tenon_term request)
{
    struct sim_node *me = io;
    int to = sim_find(me->sim, node);
    if (to >= 0 && me->sim->linked[me->index][to] &&
        !sim_queue(me->sim, SIM_CALL, me->index, to, request, -1)) {
        sim_cut_later(me->sim, me->index, to);
    }
}

static inline void sim_connect(void *io, const char *node)
{
    struct sim_node *me = io;
    (void)sim_queue(me->sim, SIM_CONNECT, me->index, sim_find(me->sim, node),
                    (tenon_term){ NULL, 0 }, -1);
}

/* Needs no memory, and comes after what is being done now. */
static inline void sim_cut_later(struct sim *sim, int a, int b)
{
    (void)sim_queue(sim, SIM_CUT, a, b, (tenon_term){ NULL, 0 }, -1);
}

static inline void sim_disconnect(void *io, const char *node)
{
    struct sim_node *me = io;
    int to = sim_find(me->sim, node);
    if (to >= 0) {
        sim_cut_later(me->sim, me->index, to);
    }
}

static inline enum tenon_err
sim_monitor(void *io, const tenon_pid *pid, tenon_ref *ref)
{
    struct sim_node *me = io;
    for (uint32_t i = 0; i < SIM_MONITORS; i++) {
        struct sim_monitor *monitor = &me->sim->monitors[i];
        if (!monitor->set) {
            *monitor = (struct sim_monitor){ true, me->index, *pid };
            *ref = (tenon_ref){ .creation = 7, .word_count = 3 };
            ref->words[0] = i;
            memcpy(ref->node, me->name, 32);
            return TENON_OK;
        }
    }
    return TENON_E_LIMIT;
}

static inline void sim_demonitor(void *io, const tenon_ref *ref)
{
    struct sim_node *me = io;
    me->sim->monitors[ref->words[0]].set = false;
}

static inline bool sim_is_alive(void *io, const tenon_pid *pid)
{
    struct sim_node *me = io;
    for (int i = 0; i < me->sim->dead_count && i < 16; i++) {
        if (tenon_pid_equal(&me->sim->dead[i], pid)) {
            return false;
        }
    }
    return true;
}

static inline bool
sim_timer_start(void *io, struct tn_gtimer *timer, uint32_t ms)
{
    struct sim_node *me = io;
    for (int i = 0; i < 64; i++) {
        if (me->sim->timers[i] == NULL) {
            me->sim->timers[i] = timer;
            me->sim->due[i] = me->sim->now + ms;
            timer->armed = true;
            return true;
        }
    }
    return false;
}

static inline void sim_timer_stop(void *io, struct tn_gtimer *timer)
{
    struct sim_node *me = io;
    for (int i = 0; i < 64; i++) {
        if (me->sim->timers[i] == timer) {
            me->sim->timers[i] = NULL;
        }
    }
    timer->armed = false;
}

static inline uint64_t sim_now_ms(void *io)
{
    return ((struct sim_node *)io)->sim->now;
}

static inline void sim_fire(struct sim *sim, uint32_t i)
{
    struct sim_monitor monitor = sim->monitors[i];
    tenon_ref ref = { .creation = 7, .word_count = 3, .words = { i } };
    memcpy(ref.node, sim->node[monitor.watcher].name, 32);
    sim->monitors[i].set = false;
    tn_global_down(sim->node[monitor.watcher].global, &ref);
}

static inline void sim_die(struct sim *sim, const tenon_pid *pid)
{
    sim->dead[sim->dead_count++ % 16] = *pid;
    for (uint32_t i = 0; i < SIM_MONITORS; i++) {
        if (sim->monitors[i].set &&
            tenon_pid_equal(&sim->monitors[i].pid, pid)) {
            sim_fire(sim, i);
        }
    }
}

static inline void sim_kill(void *io, const tenon_pid *pid)
{
    struct sim_node *me = io;
    sim_tell(me->sim, "kill", pid, (tenon_term){ NULL, 0 });
    sim_die(me->sim, pid);
}

static inline void sim_warn(void *io, const char *event, const char *node)
{
    (void)io;
    (void)event;
    (void)node;
}

static inline bool sim_is_limited(void *io, const char *node)
{
    struct sim_node *me = io;
    int other = sim_find(me->sim, node);
    return other >= 0 && me->sim->limits[me->index][other];
}

static inline void
sim_ignored(void *io, const char *by, const char *what, const char *about)
{
    struct sim_node *me = io;
    (void)by;
    (void)what;
    (void)about;
    me->sim->ignored_count++;
}

static inline bool sim_take(void *io,
                            tn_account *account,
                            enum tn_quota kind,
                            uint32_t max,
                            size_t bytes,
                            const char *what)
{
    (void)io;
    if (!tn_account_take(account, kind, max)) {
        tn_account_note_refused(account, what);
        return false;
    }
    if (!tn_account_charge(account, bytes)) {
        tn_account_give_back(account, kind);
        tn_account_note_refused(account, what);
        return false;
    }
    return true;
}

static const struct tn_global_io sim_io = {
    .send = sim_send,
    .send_pid = sim_send_pid,
    .reply = sim_reply,
    .call = sim_call,
    .tell = sim_tell_request,
    .resolve = sim_resolve,
    .connect = sim_connect,
    .disconnect = sim_disconnect,
    .monitor = sim_monitor,
    .demonitor = sim_demonitor,
    .is_alive = sim_is_alive,
    .timer_start = sim_timer_start,
    .timer_stop = sim_timer_stop,
    .now_ms = sim_now_ms,
    .kill = sim_kill,
    .warn = sim_warn,
    .take = sim_take,
    .is_limited = sim_is_limited,
    .ignored = sim_ignored,
};

/* ---- links ------------------------------------------------------------- */

static inline void sim_link(struct sim *sim, int a, int b)
{
    if (a < 0 || b < 0 || sim->linked[a][b] || sim->barred[a][b]) {
        return;
    }
    sim->linked[a][b] = sim->linked[b][a] = true;
    tn_global_peer_up(sim->node[a].global, sim->node[b].name);
    tn_global_peer_up(sim->node[b].global, sim->node[a].name);
}

static inline void sim_lose(struct sim *sim, int me, int other)
{
    for (uint32_t i = 0; i < SIM_MONITORS; i++) {
        if (sim->monitors[i].set && sim->monitors[i].watcher == me &&
            strcmp(sim->monitors[i].pid.node, sim->node[other].name) == 0) {
            sim_fire(sim, i);
        }
    }
    for (int i = 0; i < SIM_CALLS; i++) {
        struct tn_gcall *call = sim->calls[i].call;
        if (call != NULL && sim->calls[i].from == me &&
            sim->calls[i].to == other) {
            sim->calls[i].call = NULL;
            tn_gcall_end(call, (tenon_term){ NULL, 0 });
        }
    }
    tn_global_peer_down(sim->node[me].global, sim->node[other].name);
}

/* What is on the way is lost. */
static inline void sim_cut(struct sim *sim, int a, int b)
{
    if (!sim->linked[a][b]) {
        return;
    }
    sim->linked[a][b] = sim->linked[b][a] = false;
    for (unsigned i = sim->first; i != sim->last; i++) {
        struct sim_event *event = &sim->events[i % SIM_EVENTS];
        if ((event->from == a && event->to == b) ||
            (event->from == b && event->to == a)) {
            if (event->kind != SIM_CONNECT && event->kind != SIM_CUT) {
                event->to = -1;
            }
        }
    }
    sim_lose(sim, a, b);
    sim_lose(sim, b, a);
}

/* ---- running ----------------------------------------------------------- */

static inline void
sim_give(struct sim *sim, const struct sim_event *event, tenon_term message)
{
    bool limited = sim->limits[event->to][event->from];
    tn_global_message_by(sim->node[event->to].global,
                         limited ? sim->node[event->from].name : NULL,
                         sim->accounts[event->from], message);
}

static inline void sim_deliver_call(struct sim *sim,
                                    const struct sim_event *event)
{
    tenon_pid holder = { .id = 2, .creation = 9 };
    memcpy(holder.node, sim->node[event->from].name, 32);
    tenon_value *message = tenon_value_format("{:\"$gen_call\", {~p, ~i}, ~t}",
                                              &holder, (int64_t)event->call,
                                              tenon_value_term(event->value));
    if (message == NULL) {
        sim_cut_later(sim, event->from, event->to);
        return;
    }
    sim_give(sim, event, tenon_value_term(message));
    tenon_value_free(message);
}

static inline void sim_deliver_resolve(struct sim *sim,
                                       const struct sim_event *event)
{
    tenon_term arg[4], result = { NULL, 0 };
    tenon_builder *out = tenon_builder_new();
    if (out != NULL && tn_list_views(tenon_value_term(event->value), arg, 4) &&
        tn_gresolve(&sim_io, &sim->node[event->to], arg[0], arg[1], arg[2],
                    arg[3], out) == TENON_OK) {
        (void)!tenon_builder_term(out, &result);
    }
    if (!sim_queue(sim, SIM_REPLY, event->to, event->from, result,
                   event->call)) {
        sim_cut_later(sim, event->from, event->to);
    }
    tenon_builder_free(out);
}

static inline void sim_deliver(struct sim *sim, const struct sim_event *event)
{
    if (event->to >= 0 && event->kind == SIM_CUT) {
        sim_cut(sim, event->from, event->to);
        return;
    }
    if (event->to < 0 || sim->node[event->to].mute) {
        return;
    }
    struct tn_gcall *call;
    switch (event->kind) {
    case SIM_MESSAGE:
        sim_give(sim, event, tenon_value_term(event->value));
        break;
    case SIM_CALL:
        sim_deliver_call(sim, event);
        break;
    case SIM_RESOLVE:
        sim_deliver_resolve(sim, event);
        break;
    case SIM_REPLY:
        call = sim->calls[event->call].call;
        sim->calls[event->call].call = NULL;
        if (call != NULL) {
            tn_gcall_end(call, tenon_value_term(event->value));
        }
        break;
    case SIM_CONNECT:
        if (sim->barred[event->from][event->to]) {
            tn_global_connect_failed(sim->node[event->from].global,
                                     sim->node[event->to].name);
        } else {
            sim_link(sim, event->from, event->to);
        }
        break;
    case SIM_CUT:
        break;
    }
}

static inline bool sim_fire_timer(struct sim *sim)
{
    int next = -1;
    for (int i = 0; i < 64; i++) {
        if (sim->timers[i] != NULL &&
            (next < 0 || sim->due[i] < sim->due[next])) {
            next = i;
        }
    }
    if (next < 0) {
        return false;
    }
    struct tn_gtimer *timer = sim->timers[next];
    sim->timers[next] = NULL;
    sim->now = sim->due[next];
    timer->armed = false;
    timer->fn(timer->global, timer->user);
    return true;
}

/* Until nothing is on the way and no timer runs; false: it does not end. */
static inline bool sim_run(struct sim *sim)
{
    for (int steps = 0; steps < SIM_STEPS; steps++) {
        if (sim->first == sim->last) {
            if (!sim_fire_timer(sim)) {
                return true;
            }
            continue;
        }
        struct sim_event event = sim->events[sim->first++ % SIM_EVENTS];
        sim_deliver(sim, &event);
        tenon_value_free(event.value);
    }
    return false;
}

/* ---- life -------------------------------------------------------------- */

static inline tenon_pid sim_pid(const struct sim *sim, int node, uint32_t id)
{
    tenon_pid pid = { .id = id, .creation = 9 };
    memcpy(pid.node, sim->node[node].name, 32);
    return pid;
}

/* Nodes a@sim, b@sim, ...; false: no memory, nothing to free. */
static inline bool sim_init(struct sim *sim, int count)
{
    memset(sim, 0, sizeof *sim);
    for (int i = 0; i < count; i++) {
        struct sim_node *node = &sim->node[i];
        *node = (struct sim_node){ .sim = sim, .index = i };
        snprintf(node->name, sizeof node->name, "%c@sim", 'a' + i);
        tenon_pid locker = sim_pid(sim, i, 1), holder = sim_pid(sim, i, 2);
        node->global = tn_global_new(&sim_io, node, node->name, &test_hash_key,
                                     &locker, &holder);
        sim->count = i + 1;
        if (node->global == NULL) {
            while (i-- > 0) {
                tn_global_free(sim->node[i].global);
            }
            return false;
        }
        node->global->incarnation = i + 1;
    }
    return true;
}

static inline void sim_fini(struct sim *sim)
{
    for (int i = 0; i < sim->count; i++) {
        tn_global_stop(sim->node[i].global);
    }
    for (int a = 0; a < sim->count; a++) {
        for (int b = 0; b < a; b++) {
            sim_cut(sim, a, b);
        }
    }
    while (sim->first != sim->last) {
        tenon_value_free(sim->events[sim->first++ % SIM_EVENTS].value);
    }
    for (int i = 0; i < sim->count; i++) {
        tn_global_free(sim->node[i].global);
    }
}

#endif
