/* SPDX-License-Identifier: Apache-2.0 */
/* How messages get into mailboxes and out again: delivery, the turns that
 * processes get on workers and on the loop, and tenon_receive. */
#include "node/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/condition.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/loop.h"
#include "node/node.h"
#include "node/quota.h"

/* A message of at most this size is copied into memory that is used again; one
 * that arrived and has at least HOLD_BYTES holds its receive memory, unless
 * that is more than HOLD_TIMES as large: a small message may come in a frame
 * whose control part is large, or together with large ones. All others are
 * copied into memory of their own. */
#define SMALL_BYTES 512u
#define HOLD_BYTES 16384u
#define HOLD_TIMES 2u
#define SPARE_MAX 1024u

/* Messages that one process handles before others get their turn. */
#define RUN_BUDGET 64u
/* Of those that the loop runs, after how many the time is looked at. */
#define LOOK_EVERY 8u

/* Inline handlers on the loop's stack at a time: one that starts another
 * inline process (rex a function, a function the next one) runs it at once up
 * to here, and has it queued beyond. */
#define INLINE_DEPTH_MAX 4u

/* ---- messages ---------------------------------------------------------- */

static struct tn_message *message_room(struct tn_processes *all, size_t len)
{
    if (len <= SMALL_BYTES && !STAILQ_EMPTY(&all->spare)) {
        struct tn_message *spare = STAILQ_FIRST(&all->spare);
        STAILQ_REMOVE_HEAD(&all->spare, next);
        all->spare_count--;
        return spare;
    }
    size_t cap = len < SMALL_BYTES ? SMALL_BYTES : len;
    struct tn_message *message = malloc(sizeof(*message) + cap);
    if (message != NULL) {
        message->cap = cap;
        message->block = NULL;
    }
    return message;
}

/* What a message takes when it is kept, and the receive memory that it is to
 * hold; NULL: it is copied. */
struct keeping {
    size_t bytes;
    tn_block *block;
};

static struct keeping plan(tenon_term term, tn_conn *conn)
{
    struct keeping keeping = { .block = NULL };
    if (conn != NULL && term.len >= HOLD_BYTES) {
        keeping.block = tn_conn_hold(conn, term);
    }
    if (keeping.block != NULL) {
        keeping.bytes = tn_block_size(keeping.block);
        if (keeping.bytes / HOLD_TIMES > term.len) {
            tn_block_release(keeping.block);
            keeping.block = NULL;
        }
    }
    if (keeping.block == NULL) {
        keeping.bytes = sizeof(struct tn_message) +
                        (term.len < SMALL_BYTES ? SMALL_BYTES : term.len);
    }
    return keeping;
}

static struct tn_message *
message_room_for(struct tn_processes *all, tenon_term term, tn_block *block)
{
    struct tn_message *message =
        message_room(all, block != NULL ? 0 : term.len);
    if (message != NULL && block != NULL) {
        message->block = block;
        message->term = term;
    } else if (message != NULL) {
        memcpy(message->bytes, term.bytes, term.len);
        message->term = (tenon_term){ message->bytes, term.len };
    }
    return message;
}

/* The account pays for a copy; a block has been paid for when it was read. */
static struct tn_message *message_new(struct tn_processes *all,
                                      tenon_term term,
                                      const struct keeping *keeping,
                                      const struct tn_sender *sender)
{
    struct tn_message *message = message_room_for(all, term, keeping->block);
    if (message != NULL) {
        message->origin = tn_access_ref(sender->access);
        message->account = tn_account_ref(sender->account);
        message->kept_bytes = keeping->bytes;
        if (message->block == NULL) {
            tn_account_charge_always(message->account, message->kept_bytes);
        }
    }
    return message;
}

static void message_free(struct tn_processes *all, struct tn_message *message)
{
    tn_access_unref(message->origin);
    if (message->block == NULL) {
        tn_account_discharge(message->account, message->kept_bytes);
    }
    tn_account_unref(message->account);
    tn_block_release(message->block);
    message->block = NULL;
    if (message->cap == SMALL_BYTES && all->spare_count < SPARE_MAX) {
        STAILQ_INSERT_HEAD(&all->spare, message, next);
        all->spare_count++;
        return;
    }
    free(message);
}

/* What a message counts for its mailbox, whose number of messages bounds what
 * is around them. */
static size_t counted_bytes(tenon_term message, const tn_block *block)
{
    return block != NULL ? tn_block_size(block) : message.len;
}

static bool is_wanted(const tenon_process *process, tenon_term message)
{
    return !process->only_urgent ||
           (process->class->is_urgent != NULL &&
            process->class->is_urgent(process->state, message));
}

/* The message that is taken next. One that waits while others pass it is
 * looked at once. */
static struct tn_message *next_message(tenon_process *process)
{
    for (;;) {
        struct tn_message *message = process->passed == NULL
                                         ? STAILQ_FIRST(&process->mailbox)
                                         : STAILQ_NEXT(process->passed, next);
        if (message == NULL || is_wanted(process, message->term)) {
            return message;
        }
        process->passed = message;
    }
}

/* glibc has no STAILQ_REMOVE_AFTER. */
static void remove_after(struct tn_message_queue *queue,
                         struct tn_message *before,
                         const struct tn_message *message)
{
    STAILQ_NEXT(before, next) = STAILQ_NEXT(message, next);
    if (STAILQ_NEXT(before, next) == NULL) {
        queue->stqh_last = &STAILQ_NEXT(before, next);
    }
}

static struct tn_message *pop_message(tenon_process *process)
{
    struct tn_message *message = next_message(process);
    if (message == NULL) {
        return NULL;
    }
    if (process->passed == NULL) {
        STAILQ_REMOVE_HEAD(&process->mailbox, next);
    } else {
        remove_after(&process->mailbox, process->passed, message);
    }
    process->mailbox_count--;
    process->mailbox_bytes -= counted_bytes(message->term, message->block);
    return message;
}

void tn_process_discard_locked(tenon_process *process,
                               struct tn_message *message)
{
    process->passed = NULL; /* may be this one */
    STAILQ_REMOVE(&process->mailbox, message, tn_message, next);
    process->mailbox_count--;
    process->mailbox_bytes -= counted_bytes(message->term, message->block);
    message_free(&process->node->processes, message);
}

void tn_process_drop_messages_locked(tenon_process *process)
{
    struct tn_message *message;
    process->only_urgent = false;
    process->passed = NULL;
    while ((message = pop_message(process)) != NULL) {
        message_free(&process->node->processes, message);
    }
}

/* ---- scheduling -------------------------------------------------------- */

static bool has_work(tenon_process *process)
{
    if (process->exited) {
        return !process->on_exit_done;
    }
    return process->class->on_message != NULL && next_message(process) != NULL;
}

bool tn_process_is_idle_locked(tenon_process *process)
{
    return process->run == TN_RUN_IDLE && !has_work(process);
}

/* A message that is not for the loop, although the process runs inline. */
static bool is_for_worker(const tenon_process *process, tenon_term message)
{
    if (tn_is_turn_on_worker(message)) {
        return true;
    }
    return message.len >= TN_LARGE_MESSAGE_BYTES
               ? process->class->large_on_worker
               : process->class->is_long != NULL &&
                     process->class->is_long(message);
}

static bool next_is_for_worker(tenon_process *process)
{
    const struct tn_message *next =
        process->exited ? NULL : next_message(process);
    return next != NULL && is_for_worker(process, next->term);
}

static void enqueue_locked(tenon_process *process, bool *wake)
{
    process->run = TN_RUN_QUEUED;
    atomic_fetch_add(&process->refs, 1);
    if (process->run_inline && !next_is_for_worker(process)) {
        STAILQ_INSERT_TAIL(&process->node->inline_queue, process, inline_next);
        *wake = true;
    } else {
        tn_node_push_job(process->node, &process->job);
    }
}

void tn_process_schedule_locked(tenon_process *process, bool *wake)
{
    if (process->arrived != NULL) {
        pthread_cond_broadcast(process->arrived);
    }
    if (process->run == TN_RUN_IDLE && has_work(process)) {
        enqueue_locked(process, wake);
    }
}

static bool is_full(const tenon_process *process, size_t len)
{
    const struct tn_processes *all = &process->node->processes;
    return process->mailbox_count >= all->message_max ||
           process->mailbox_bytes > all->bytes_max ||
           len > all->bytes_max - process->mailbox_bytes;
}

/* Loop thread. */
static struct tn_sender sender_of(const tn_conn *conn)
{
    const struct tn_peer *peer = conn == NULL ? NULL : tn_conn_user(conn);
    return (struct tn_sender){
        .access = peer == NULL ? NULL : peer->access,
        .account = conn == NULL ? NULL : tn_conn_account(conn),
    };
}

static enum tenon_err shed(tenon_process *process, enum tenon_err rc)
{
    process->node->counts.messages_shed++;
    process->shed++;
    return rc;
}

/* As tn_process_deliver_locked. */
static enum tenon_err deliver_locked(tenon_process *process,
                                     tenon_term message,
                                     tn_conn *conn,
                                     const struct tn_sender *sender,
                                     bool forced,
                                     bool *wake)
{
    tenon_node *node = process->node;
    if (process->exited) {
        return TENON_E_NOPROC;
    }
    struct keeping keeping = plan(message, conn);
    /* A block is on the account already. */
    size_t more = keeping.block == NULL ? keeping.bytes : 0;
    if (!forced && (is_full(process, counted_bytes(message, keeping.block)) ||
                    !tn_quota_has_room(sender->account, more, "messages"))) {
        tn_block_release(keeping.block);
        return shed(process, TENON_E_LIMIT);
    }
    struct tn_message *waiting =
        message_new(&node->processes, message, &keeping, sender);
    if (waiting == NULL) {
        tn_block_release(keeping.block);
        return shed(process, TENON_E_NOMEM);
    }
    STAILQ_INSERT_TAIL(&process->mailbox, waiting, next);
    process->mailbox_count++;
    process->mailbox_bytes += counted_bytes(message, waiting->block);
    tn_process_schedule_locked(process, wake);
    return TENON_OK;
}

enum tenon_err tn_process_deliver_locked(tenon_process *process,
                                         tenon_term message,
                                         tn_conn *conn,
                                         bool forced,
                                         bool *wake)
{
    struct tn_sender sender = sender_of(conn);
    return deliver_locked(process, message, conn, &sender, forced, wake);
}

enum tenon_err tn_process_deliver_for_locked(tenon_process *process,
                                             tenon_term message,
                                             tn_account *account,
                                             bool forced,
                                             bool *wake)
{
    struct tn_sender sender = { .account = account };
    return deliver_locked(process, message, NULL, &sender, forced, wake);
}

/* The lock is released for the log function and taken again. */
static void report_shed_locked(tenon_process *process)
{
    uint64_t shed = process->shed;
    if (shed == 0) {
        return;
    }
    process->shed = 0;
    char name[256] = "";
    if (process->name != NULL) {
        memcpy(name, process->name, strlen(process->name) + 1);
    }
    tn_unlock(process->node);
    tn_log(&process->node->log, TN_WARN, "mailbox_full", "process",
           TN_UINT(process->id), "name", name[0] != '\0' ? name : NULL,
           "dropped", TN_UINT(shed), NULL);
    tn_lock(process->node);
}

/* Takes the last callback. The lock is released meanwhile. */
static void run_exit_locked(tenon_process *process)
{
    process->on_exit_done = true;
    report_shed_locked(process);
    tn_process_drop_messages_locked(process);
    if (process->class->on_exit == NULL) {
        return;
    }
    tenon_term reason = process->exit_reason == NULL
                            ? tn_atom_killed
                            : tenon_value_term(process->exit_reason);
    tn_unlock(process->node);
    process->class->on_exit(process, process->state, reason);
    tn_lock(process->node);
}

/* After a callback: the end that the handler has asked for. */
static void end_if_asked_locked(tenon_process *process, bool *wake)
{
    if (!process->exit_at_end || process->exited) {
        return;
    }
    tenon_value *reason = process->exit_reason;
    process->exit_reason = NULL;
    tn_process_end_locked(process, tenon_value_term(reason), wake);
    tenon_value_free(reason);
}

static void count_handled_locked(tenon_process *process)
{
    process->handled++;
    process->shed_told = false;
    process->node->processes.handled++;
}

/* Runs up to RUN_BUDGET messages of a process whose `run` is NOW, as long as it
 * belongs to this thread; the lock is held on entry and exit. */
static void
run_messages_locked(tenon_process *process, bool on_loop, bool *wake)
{
    tenon_node *node = process->node;
    bool run_inline = process->run_inline;
    for (unsigned done = 0;
         done < RUN_BUDGET && !process->exited &&
         process->run_inline == run_inline &&
         (!run_inline || next_is_for_worker(process) != on_loop);
         done++) {
        struct tn_message *message = pop_message(process);
        if (message == NULL) {
            break;
        }
        if (process->shed != 0) {
            report_shed_locked(process);
        }
        count_handled_locked(process);
        process->sender =
            (struct tn_sender){ message->origin, message->account };
        tn_unlock(node);
        process->class->on_message(process, process->state, message->term);
        tn_lock(node);
        process->sender = (struct tn_sender){ NULL, NULL };
        message_free(&node->processes, message);
        end_if_asked_locked(process, wake);
        if (on_loop && done % LOOK_EVERY == 0 && tn_loop_is_spent(node)) {
            break;
        }
    }
}

/* After a run: gives the process back to the scheduler. */
static void stop_running_locked(tenon_process *process, bool *wake)
{
    if (process->exited && !process->on_exit_done) {
        run_exit_locked(process);
    }
    process->run = TN_RUN_IDLE;
    if (has_work(process)) {
        enqueue_locked(process, wake);
    }
}

/* One turn of a process that was queued; takes over the queue's reference. */
static void run_queued(tenon_process *process, bool on_loop)
{
    tenon_node *node = process->node;
    bool wake = false;
    tn_lock(node);
    const tenon_process *outer = node->on_loop;
    process->run = TN_RUN_NOW;
    process->runner = pthread_self();
    if (on_loop) {
        node->on_loop = process;
    }
    run_messages_locked(process, on_loop, &wake);
    if (on_loop) {
        node->on_loop = outer;
    }
    stop_running_locked(process, &wake);
    tn_leave(node, wake);
    tenon_process_release(process);
}

void tn_process_run_job(struct tn_job *job)
{
    run_queued((tenon_process *)((char *)job - offsetof(tenon_process, job)),
               false);
}

/* Those that queue up meanwhile wait for the next turn of the loop: processes
 * that send to each other must not keep it from its sockets. */
void tn_processes_run_inline(tenon_node *node)
{
    struct tn_process_queue turn = STAILQ_HEAD_INITIALIZER(turn);
    tenon_process *process;
    tn_lock(node);
    STAILQ_CONCAT(&turn, &node->inline_queue);
    tn_unlock(node);
    while ((process = STAILQ_FIRST(&turn)) != NULL) {
        STAILQ_REMOVE_HEAD(&turn, inline_next);
        run_queued(process, true);
        if (tn_loop_is_spent(node)) {
            break;
        }
    }
    if (!STAILQ_EMPTY(&turn)) {
        tn_lock(node);
        STAILQ_CONCAT(&turn, &node->inline_queue);
        STAILQ_CONCAT(&node->inline_queue, &turn);
        tn_unlock(node);
    }
}

/* With the lock, which is released meanwhile: an idle inline process handles a
 * message on the loop thread without it having been queued. */
static void run_here_locked(tenon_process *process,
                            tenon_term message,
                            const struct tn_sender *sender,
                            bool *wake)
{
    tenon_node *node = process->node;
    const tenon_process *outer = node->on_loop;
    process->run = TN_RUN_NOW;
    process->runner = pthread_self();
    node->on_loop = process;
    atomic_fetch_add(&process->refs, 1);
    node->inline_depth++;
    count_handled_locked(process);
    /* Another thread may change the rules, and the connection may end. */
    process->sender = (struct tn_sender){ tn_access_ref(sender->access),
                                          tn_account_ref(sender->account) };
    tn_unlock(node);
    process->class->on_message(process, process->state, message);
    tn_lock(node);
    tn_access_unref(process->sender.access);
    tn_account_unref(process->sender.account);
    process->sender = (struct tn_sender){ NULL, NULL };
    node->inline_depth--;
    node->on_loop = outer;
    end_if_asked_locked(process, wake);
    stop_running_locked(process, wake);
}

static bool can_run_here(const tenon_process *process, tenon_term message)
{
    return process->run_inline && !is_for_worker(process, message) &&
           process->run == TN_RUN_IDLE && !process->exited &&
           !process->only_urgent && STAILQ_EMPTY(&process->mailbox) &&
           process->node->inline_depth < INLINE_DEPTH_MAX;
}

/* The first message that is shed is told at once: a process that never gets to
 * its messages would never tell. The process, kept, when it was; the lock is
 * released meanwhile. */
static tenon_process *tell_first_shed_locked(tenon_process *process)
{
    if (process->shed_told) {
        return NULL;
    }
    process->shed_told = true;
    tenon_process *full = tenon_process_keep(process);
    report_shed_locked(full);
    return full;
}

void tn_process_deliver_from(tenon_node *node,
                             tn_conn *conn,
                             tenon_term target,
                             tenon_term message)
{
    bool wake = false;
    tenon_process *ran = NULL;
    tenon_process *full = NULL;
    tn_lock(node);
    tenon_process *process = tn_process_target_locked(node, target);
    if (process == NULL) {
        node->counts.messages_to_nobody++;
    } else if (can_run_here(process, message)) {
        struct tn_sender sender = sender_of(conn);
        ran = process;
        run_here_locked(process, message, &sender, &wake);
    } else if (tn_process_deliver_locked(process, message, conn, false,
                                         &wake) != TENON_OK) {
        tn_monitor_call_shed_locked(process, tn_conn_user(conn), message,
                                    &wake);
        full = tell_first_shed_locked(process);
    }
    tn_leave(node, wake);
    tenon_process_release(ran);
    tenon_process_release(full);
}

static enum tenon_err give(tenon_process *process,
                           tenon_term message,
                           tn_conn *conn,
                           const struct tn_sender *sender)
{
    tenon_node *node = process->node;
    bool wake = false;
    tenon_process *ran = NULL;
    enum tenon_err rc = TENON_OK;
    tn_lock(node);
    process->unborn = false;
    if (tn_on_loop(node) && can_run_here(process, message)) {
        ran = process;
        run_here_locked(process, message, sender, &wake);
    } else {
        rc = deliver_locked(process, message, conn, sender, false, &wake);
    }
    tn_leave(node, wake);
    tenon_process_release(ran);
    return rc;
}

enum tenon_err
tn_process_give_from(tenon_process *process, tn_conn *conn, tenon_term message)
{
    struct tn_sender sender = sender_of(conn);
    return give(process, message, conn, &sender);
}

enum tenon_err tn_process_give(tenon_process *process, tenon_term message)
{
    static const struct tn_sender nobody;
    return give(process, message, NULL, &nobody);
}

enum tenon_err tn_process_give_for(tenon_process *process,
                                   const struct tn_sender *sender,
                                   tenon_term message)
{
    return give(process, message, NULL, sender);
}

enum tenon_err tn_process_go_on_worker(tenon_process *self)
{
    bool wake = false;
    tn_lock(self->node);
    self->run_inline = false;
    enum tenon_err rc =
        tn_process_deliver_locked(self, tn_atom_ok, NULL, true, &wake);
    tn_leave(self->node, wake);
    return rc;
}

enum tenon_err tn_process_poke(tenon_process *process)
{
    static const uint8_t poke[] = { 0 };
    bool wake = false;
    tn_lock(process->node);
    enum tenon_err rc = tn_process_deliver_locked(
        process, (tenon_term){ poke, sizeof(poke) }, NULL, true, &wake);
    tn_leave(process->node, wake);
    return rc;
}

enum tenon_err tn_process_turn_on_worker(tenon_process *process)
{
    static const uint8_t turn[] = { 1 };
    static const struct tn_sender nobody;
    const tenon_term message = { turn, sizeof turn };
    struct keeping keeping = plan(message, NULL);
    bool wake = false;
    tn_lock(process->node);
    struct tn_message *first = process->exited
                                   ? NULL
                                   : message_new(&process->node->processes,
                                                 message, &keeping, &nobody);
    if (first != NULL) {
        STAILQ_INSERT_HEAD(&process->mailbox, first, next);
        process->mailbox_count++;
        process->mailbox_bytes += counted_bytes(message, first->block);
        tn_process_schedule_locked(process, &wake);
    }
    enum tenon_err rc = first != NULL     ? TENON_OK
                        : process->exited ? TENON_E_NOPROC
                                          : TENON_E_NOMEM;
    tn_leave(process->node, wake);
    return rc;
}

void tn_process_only_urgent(tenon_process *process, bool only_urgent)
{
    tn_lock(process->node);
    process->only_urgent = only_urgent;
    process->passed = NULL;
    tn_unlock(process->node);
}

bool tn_process_is_self(const tenon_process *process)
{
    tn_lock(process->node);
    bool self = process->run == TN_RUN_NOW &&
                pthread_equal(process->runner, pthread_self());
    tn_unlock(process->node);
    return self;
}

/* ---- receiving --------------------------------------------------------- */

/* With the lock, which the wait releases. */
static enum tenon_err wait_for_message(tenon_process *mailbox,
                                       uint32_t timeout_ms)
{
    struct timespec until;
    tn_deadline(timeout_ms, &until);
    while (STAILQ_EMPTY(&mailbox->mailbox)) {
        if (mailbox->exited) {
            return TENON_E_NOPROC;
        }
        if (timeout_ms == 0 ||
            !tn_condition_wait(mailbox->arrived, &mailbox->node->lock,
                               timeout_ms == TENON_NO_TIMEOUT ? NULL
                                                              : &until)) {
            return TENON_E_TIMEOUT;
        }
    }
    return TENON_OK;
}

/* What could not be handed over goes back to where it was. */
static void put_back(tenon_process *mailbox, struct tn_message *message)
{
    tn_lock(mailbox->node);
    if (mailbox->exited) {
        message_free(&mailbox->node->processes, message);
    } else {
        STAILQ_INSERT_HEAD(&mailbox->mailbox, message, next);
        mailbox->mailbox_count++;
        mailbox->mailbox_bytes += counted_bytes(message->term, message->block);
    }
    tn_unlock(mailbox->node);
}

enum tenon_err tenon_receive(tenon_process *mailbox,
                             uint32_t timeout_ms,
                             tenon_value **message)
{
    if (mailbox == NULL || message == NULL || mailbox->arrived == NULL) {
        return TENON_E_INVAL;
    }
    tenon_node *node = mailbox->node;
    if (timeout_ms != 0 && tn_on_loop(node)) {
        return TENON_E_NOT_ALLOWED;
    }
    tn_workers_block(&node->workers);
    tn_lock(node);
    enum tenon_err rc = wait_for_message(mailbox, timeout_ms);
    struct tn_message *taken = NULL;
    if (rc == TENON_OK) {
        taken = pop_message(mailbox);
        count_handled_locked(mailbox);
        report_shed_locked(mailbox);
    }
    tn_unlock(node);
    tn_workers_unblock(&node->workers);
    if (rc != TENON_OK) {
        return rc;
    }
    tenon_value *copy = tenon_value_new(taken->term);
    if (copy == NULL) {
        put_back(mailbox, taken);
        return TENON_E_NOMEM;
    }
    tn_lock(node);
    message_free(&node->processes, taken);
    tn_unlock(node);
    *message = copy;
    return TENON_OK;
}
