/* SPDX-License-Identifier: Apache-2.0 */
/* demo.so: the handlers that the tests and the demo call: a server :echo, in
 * the pg group :tenon_demo, a module :demo of functions, a task supervisor
 * Demo.Tasks that runs them, and a router Demo.Router of X3m services. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/sha.h>

#include <tenon.h>

#define MODULE "demo"
#define ROUTER "Elixir.Demo.Router"
#define TASKS "Elixir.Demo.Tasks"
#define LATE_ROUTER "Elixir.Demo.LateRouter"
/* The module that has the same functions where the router is Elixir's. */
#define HANDLER "Elixir.Demo.Handler"

/* What the handlers share. */
struct demo {
    pthread_mutex_t lock;
    tenon_call *kept; /* of c_keep, for c_answer; NULL: none. Under the lock */
};

/* ---- the server :echo -------------------------------------------------- */

static void echo_call(tenon_call *call, void *state)
{
    (void)state;
    tenon_reply_term(call, tenon_call_request(call));
}

/* A cast of {pid, term} sends term to pid; all else is nobody's. */
static void echo_cast(tenon_process *self, tenon_term request, void *state)
{
    tenon_pid to;
    tenon_term message;

    (void)state;
    if (tenon_match(request, "{~p, ~t}", &to, &message)) {
        tenon_send(tenon_process_node(self), &(tenon_dest){ .pid = &to },
                   message, NULL);
    }
}

/* The group is in the node's default scope, see tenon run --pg-scope. */
static enum tenon_err join_group(tenon_process *echo, tenon_error *err)
{
    tenon_value *group = tenon_value_format(":tenon_demo");
    enum tenon_err rc = tenon_pg_start(tenon_process_node(echo), NULL, err);

    if (rc == TENON_OK) {
        rc = tenon_pg_join(echo, NULL, tenon_value_term(group));
    }
    tenon_value_free(group);
    return rc;
}

/* Several nodes may run this library: one of their servers has the name, and
 * the others go on without it. */
static enum tenon_err
register_echo(tenon_node *node, tenon_process *echo, tenon_error *err)
{
    tenon_value *name = tenon_value_format(":tenon_echo");
    tenon_pid pid;

    tenon_process_pid(echo, &pid);
    enum tenon_err rc = tenon_global_register(
        node, tenon_value_term(name), &pid, TENON_GLOBAL_RANDOM_NOTIFY, 0, err);

    tenon_value_free(name);
    /* Neither of a hidden node nor with --no-global. */
    return rc == TENON_E_NOTSUP || rc == TENON_E_EXISTS ? TENON_OK : rc;
}

/* Another node's server has got the name :tenon_echo. */
static void echo_info(tenon_process *self, tenon_term message, void *state)
{
    (void)state;
    if (tenon_match(message, "{:global_name_conflict, _}")) {
        tenon_node_log(tenon_process_node(self), TENON_LOG_INFO,
                       "tenon_echo_elsewhere", NULL);
    }
}

static enum tenon_err start_echo(tenon_node *node, tenon_error *err)
{
    tenon_process *echo = tenon_server_start(node, &(tenon_server_config){
                                                       .name = "echo",
                                                       .on_call = echo_call,
                                                       .on_cast = echo_cast,
                                                       .on_info = echo_info,
                                                       .run_inline = true,
                                                       .err = err,
                                                   });

    if (echo == NULL) {
        return err->code;
    }
    enum tenon_err rc = join_group(echo, err);

    if (rc == TENON_OK) {
        rc = register_echo(node, echo, err);
    }

    tenon_process_release(echo);
    return rc;
}

/* ---- adding integers of any size --------------------------------------- */

static BIGNUM *to_bignum(tenon_term integer)
{
    uint8_t room[64];
    uint8_t *magnitude = room;
    size_t len = 0;
    bool negative = false;
    enum tenon_err rc =
        tenon_term_integer(integer, &negative, magnitude, sizeof room, &len);

    if (rc == TENON_E_TERM_RANGE) {
        magnitude = malloc(len);
        rc = magnitude == NULL
                 ? TENON_E_NOMEM
                 : tenon_term_integer(integer, &negative, magnitude, len, &len);
    }
    BIGNUM *number =
        rc == TENON_OK ? BN_lebin2bn(magnitude, (int)len, NULL) : NULL;

    if (number != NULL) {
        BN_set_negative(number, negative);
    }
    if (magnitude != room) {
        free(magnitude);
    }
    return number;
}

static bool add_to(BIGNUM *sum, tenon_term integer)
{
    BIGNUM *number = to_bignum(integer);
    bool added = number != NULL && BN_add(sum, sum, number) == 1;

    BN_free(number);
    return added;
}

static bool build_bignum(tenon_builder *out, const BIGNUM *number)
{
    int len = BN_num_bytes(number);
    uint8_t *magnitude = malloc((size_t)len + 1);
    bool built = magnitude != NULL &&
                 BN_bn2lebinpad(number, magnitude, len) == len &&
                 tenon_build_integer(out, BN_is_negative(number) != 0,
                                     magnitude, (size_t)len) == TENON_OK;

    free(magnitude);
    return built;
}

/* Puts the sum into `out`. False when it is no proper list of integers, or
 * out of memory. */
static bool build_sum(tenon_builder *out, tenon_term numbers)
{
    BIGNUM *sum = BN_new();
    bool added = sum != NULL && tenon_term_is_proper_list(numbers);
    tenon_cursor at;
    tenon_term number;

    tenon_cursor_init(&at, numbers);
    while (added && tenon_cursor_next(&at, &number)) {
        added = add_to(sum, number);
    }
    bool built = added && build_bignum(out, sum);

    BN_free(sum);
    return built;
}

/* ---- the module :demo -------------------------------------------------- *
 * A function that is given what it has no clause for raises :badarg. */

static void demo_echo(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_term(call, tenon_call_arg(call, 0));
}

static void demo_whoami(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, "~a", tenon_node_name(tenon_call_node(call)));
}

/* Waits for the time that the term says. INVAL when it says none. A node that
 * stops ends the wait with STOPPED. */
static enum tenon_err wait_for(tenon_call *call, tenon_term ms)
{
    uint64_t wait_ms;

    if (tenon_term_uint64(ms, &wait_ms) != TENON_OK || wait_ms >= UINT32_MAX) {
        return TENON_E_INVAL;
    }
    return tenon_sleep(tenon_call_node(call), (uint32_t)wait_ms);
}

static void demo_sleep(tenon_call *call, void *user)
{
    (void)user;
    switch (wait_for(call, tenon_call_arg(call, 0))) {
    case TENON_OK:
        tenon_reply(call, ":ok");
        break;
    case TENON_E_STOPPED:
        tenon_exit(call, ":shutdown"); /* as the node ends its processes */
        break;
    default:
        tenon_raise(call, ":badarg");
    }
}

static void demo_sum(tenon_call *call, void *user)
{
    tenon_builder *sum = tenon_builder_new();
    tenon_term term;

    (void)user;
    if (build_sum(sum, tenon_call_arg(call, 0)) &&
        tenon_builder_term(sum, &term) == TENON_OK) {
        tenon_reply_term(call, term);
    } else {
        tenon_raise(call, ":badarg");
    }
    tenon_builder_free(sum);
}

static void demo_sha256(tenon_call *call, void *user)
{
    const void *data;
    size_t len;
    uint8_t digest[SHA256_DIGEST_LENGTH];

    (void)user;
    if (tenon_term_binary(tenon_call_arg(call, 0), &data, &len) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    SHA256(data, len, digest);
    tenon_reply(call, "~b", (const void *)digest, sizeof digest);
}

static void demo_raise(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, "~t", tenon_call_arg(call, 0));
}

static void demo_exit(tenon_call *call, void *user)
{
    (void)user;
    tenon_exit(call, "~t", tenon_call_arg(call, 0));
}

static void demo_throw(tenon_call *call, void *user)
{
    (void)user;
    tenon_throw(call, "~t", tenon_call_arg(call, 0));
}

/* The group leader of whoever runs the function: an iex session, say. */
static tenon_dest leader_of(tenon_call *call, tenon_pid *pid)
{
    tenon_call_group_leader(call, pid);
    return (tenon_dest){ .pid = pid };
}

static void reply_io_failure(tenon_call *call, enum tenon_err code)
{
    if (code == TENON_E_NOPROC || code == TENON_E_NODEDOWN) {
        tenon_reply(call, "{:error, :terminated}"); /* as the module io */
    } else {
        tenon_reply_error(call, "~s", tenon_err_text(code));
    }
}

static void demo_write(tenon_call *call, void *user)
{
    tenon_pid pid;
    const tenon_dest leader = leader_of(call, &pid);
    const void *text;
    size_t len;

    (void)user;
    if (tenon_term_binary(tenon_call_arg(call, 0), &text, &len) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    enum tenon_err rc = tenon_io_put_chars(
        tenon_call_node(call), &leader, TENON_IO_UNICODE, text, len, 0, NULL);

    if (rc == TENON_OK) {
        tenon_reply(call, ":ok");
    } else {
        reply_io_failure(call, rc);
    }
}

static void demo_gets(tenon_call *call, void *user)
{
    tenon_pid pid;
    const tenon_dest leader = leader_of(call, &pid);
    tenon_value *line = NULL;
    const char *prompt;
    size_t len;
    char text[80];

    (void)user;
    if (!tenon_match(tenon_call_arg(call, 0), "~s", &prompt, &len) ||
        len >= sizeof text) {
        tenon_raise(call, ":badarg");
        return;
    }
    memcpy(text, prompt, len);
    text[len] = '\0';
    enum tenon_err rc = tenon_io_get_line(tenon_call_node(call), &leader, text,
                                          TENON_NO_TIMEOUT, &line, NULL);

    if (rc == TENON_OK) {
        tenon_reply_term(call, tenon_value_term(line));
    } else if (rc == TENON_E_NOTSUP) {
        tenon_reply_error(call, "~t", tenon_value_term(line));
    } else {
        reply_io_failure(call, rc);
    }
    tenon_value_free(line);
}

/* ---- global names and locks -------------------------------------------- */

/* A server that tells its owner of all messages that are no calls. */
static void holder_info(tenon_process *self, tenon_term message, void *state)
{
    tenon_pid pid;

    tenon_process_pid(self, &pid);
    tenon_send_format(tenon_process_node(self), &(tenon_dest){ .pid = state },
                      "{:holder, ~p, ~t}", &pid, message);
}

static void holder_end(tenon_process *self, tenon_term reason, void *state)
{
    (void)self;
    (void)reason;
    free(state);
}

static bool read_way(tenon_term term, enum tenon_global_resolve *way)
{
    static const char *const names[] = { "random_exit_name",
                                         "random_notify_name",
                                         "notify_all_name" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (tenon_term_is_atom(term, names[i])) {
            *way = (enum tenon_global_resolve)i;
            return true;
        }
    }
    return false;
}

static void reply_registered(tenon_call *call, enum tenon_err rc)
{
    if (rc == TENON_OK || rc == TENON_E_EXISTS) {
        tenon_reply(call, rc == TENON_OK ? ":yes" : ":no");
    } else {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
}

/* global_start(Name, Method, Owner): a server with a global name; {Pid, yes |
 * no}. */
static void global_start(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    enum tenon_global_resolve way;
    tenon_pid *owner = malloc(sizeof *owner);
    tenon_pid pid;

    (void)user;
    if (owner == NULL || !read_way(tenon_call_arg(call, 1), &way) ||
        tenon_term_pid(tenon_call_arg(call, 2), owner) != TENON_OK) {
        free(owner);
        tenon_raise(call, ":badarg");
        return;
    }
    tenon_process *holder =
        tenon_server_start(node, &(tenon_server_config){
                                     .on_call = echo_call,
                                     .on_info = holder_info,
                                     .on_terminate = holder_end,
                                     .state = owner,
                                 });

    if (holder == NULL) {
        free(owner);
        tenon_raise(call, ":system_limit");
        return;
    }
    tenon_process_pid(holder, &pid);
    tenon_process_release(holder);
    enum tenon_err rc = tenon_global_register(node, tenon_call_arg(call, 0),
                                              &pid, way, 0, NULL);

    tenon_reply(call, "{~p, ~a}", &pid, rc == TENON_OK ? "yes" : "no");
}

static void set_global(tenon_call *call, bool again)
{
    enum tenon_global_resolve way;
    tenon_pid pid;

    if (!read_way(tenon_call_arg(call, 2), &way) ||
        tenon_term_pid(tenon_call_arg(call, 1), &pid) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    reply_registered(call,
                     (again ? tenon_global_reregister : tenon_global_register)(
                         tenon_call_node(call), tenon_call_arg(call, 0), &pid,
                         way, 0, NULL));
}

static void global_register(tenon_call *call, void *user)
{
    (void)user;
    set_global(call, false);
}

static void global_reregister(tenon_call *call, void *user)
{
    (void)user;
    set_global(call, true);
}

static void reply_done(tenon_call *call, enum tenon_err rc, const char *done)
{
    if (rc == TENON_OK) {
        tenon_reply(call, "~a", done);
    } else {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
}

static void global_unregister(tenon_call *call, void *user)
{
    (void)user;
    reply_done(call,
               tenon_global_unregister(tenon_call_node(call),
                                       tenon_call_arg(call, 0), 0, NULL),
               "ok");
}

static void global_whereis(tenon_call *call, void *user)
{
    tenon_pid pid;

    (void)user;
    if (tenon_global_whereis(tenon_call_node(call), tenon_call_arg(call, 0),
                             &pid) == TENON_OK) {
        tenon_reply(call, "~p", &pid);
    } else {
        tenon_reply(call, ":undefined");
    }
}

/* global_call(Name, Request): calls the server that has the name. */
static void global_call(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    tenon_value *value = NULL;
    tenon_pid pid;

    (void)user;
    enum tenon_err rc =
        tenon_global_whereis(node, tenon_call_arg(call, 0), &pid);

    if (rc == TENON_OK) {
        rc = tenon_server_call(node, &(tenon_dest){ .pid = &pid },
                               tenon_call_arg(call, 1), 0, &value, NULL);
    }
    if (rc == TENON_OK) {
        tenon_reply_term(call, tenon_value_term(value));
    } else {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
    tenon_value_free(value);
}

static void global_names(tenon_call *call, void *user)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;

    (void)user;
    if (tenon_global_names(tenon_call_node(call), out) == TENON_OK &&
        tenon_builder_term(out, &list) == TENON_OK) {
        tenon_reply_term(call, list);
    } else {
        tenon_raise(call, ":system_limit");
    }
    tenon_builder_free(out);
}

static void global_sync(tenon_call *call, void *user)
{
    (void)user;
    reply_done(call, tenon_global_sync(tenon_call_node(call), 0, NULL), "ok");
}

/* global_set_lock(Resource, Requester, Milliseconds). */
static void global_set_lock(tenon_call *call, void *user)
{
    uint64_t ms = 0;
    const enum tenon_err read = tenon_term_uint64(tenon_call_arg(call, 2), &ms);
    const tenon_global_lock lock = { .resource = tenon_call_arg(call, 0),
                                     .requester = tenon_call_arg(call, 1),
                                     .timeout_ms = (uint32_t)ms };

    (void)user;
    enum tenon_err rc =
        read == TENON_OK
            ? tenon_global_set_lock(tenon_call_node(call), &lock, NULL)
            : read;

    reply_done(call, rc == TENON_E_TIMEOUT ? TENON_OK : rc,
               rc == TENON_OK ? "true" : "false");
}

static void global_del_lock(tenon_call *call, void *user)
{
    const tenon_global_lock lock = { .resource = tenon_call_arg(call, 0),
                                     .requester = tenon_call_arg(call, 1) };

    (void)user;
    reply_done(call, tenon_global_del_lock(tenon_call_node(call), &lock, NULL),
               "true");
}

static void answer_and_wait(void *user)
{
    tenon_call *call = user;
    tenon_value *value = NULL;
    tenon_pid owner;

    if (tenon_term_pid(tenon_call_arg(call, 1), &owner) == TENON_OK) {
        (void)!tenon_server_call(tenon_call_node(call),
                                 &(tenon_dest){ .pid = &owner },
                                 tenon_call_arg(call, 0), 0, &value, NULL);
    }
    tenon_reply(call, "~t", tenon_value_term(value));
    tenon_value_free(value);
}

/* global_trans(Resource, Server): with the lock, calls the server with the
 * resource, and returns what that answers. */
static void global_trans(tenon_call *call, void *user)
{
    const tenon_global_lock lock = { .resource = tenon_call_arg(call, 0) };

    (void)user;
    enum tenon_err rc = tenon_global_trans(tenon_call_node(call), &lock,
                                           answer_and_wait, call, NULL);

    if (rc != TENON_OK) {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
}

static const struct {
    const char *name;
    unsigned arity;
    tenon_function_fn fn;
    unsigned flags;
} functions[] = {
    { "global_start", 3, global_start, 0 },
    { "global_register", 3, global_register, 0 },
    { "global_reregister", 3, global_reregister, 0 },
    { "global_unregister", 1, global_unregister, 0 },
    { "global_whereis", 1, global_whereis, TENON_INLINE },
    { "global_names", 0, global_names, TENON_INLINE },
    { "global_call", 2, global_call, 0 },
    { "global_sync", 0, global_sync, 0 },
    { "global_set_lock", 3, global_set_lock, 0 },
    { "global_del_lock", 2, global_del_lock, 0 },
    { "global_trans", 2, global_trans, 0 },
    { "echo", 1, demo_echo, TENON_INLINE },
    { "whoami", 0, demo_whoami, TENON_INLINE },
    { "raise", 1, demo_raise, TENON_INLINE },
    { "exit", 1, demo_exit, TENON_INLINE },
    { "throw", 1, demo_throw, TENON_INLINE },
    { "sleep", 1, demo_sleep, 0 },
    { "sum", 1, demo_sum, 0 },
    { "sha256", 1, demo_sha256, 0 },
    { "write", 1, demo_write, 0 },
    { "gets", 1, demo_gets, 0 },
};

static enum tenon_err add_functions(tenon_node *node)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        enum tenon_err rc =
            tenon_function(node, MODULE, functions[i].name, functions[i].arity,
                           functions[i].fn, NULL, functions[i].flags);

        if (rc != TENON_OK) {
            return rc;
        }
    }
    return TENON_OK;
}

/* ---- the task supervisor Demo.Tasks ------------------------------------ */

static enum tenon_err start_tasks(tenon_node *node, tenon_error *err)
{
    tenon_process *tasks = tenon_task_supervisor_start(
        node, &(tenon_task_supervisor_config){ .name = TASKS, .err = err });

    if (tasks == NULL) {
        return err->code;
    }
    tenon_process_release(tasks);
    return TENON_OK;
}

/* ---- the router Demo.Router -------------------------------------------- *
 * A service that is given what it cannot take answers {:error, {:badarg,
 * request}}: raising would crash callers of X3m.System 0.9.0. */

static void refuse_request(tenon_call *call)
{
    tenon_reply_error(call, "{:badarg, ~t}", tenon_call_request(call));
}

/* Who brings `deny` among the assigns is refused with that term. */
static void
authorize(const tenon_message *message, tenon_builder *verdict, void *user)
{
    tenon_term reason;

    (void)user;
    if (tenon_map_get_atom(tenon_message_get(message, "assigns"), "deny",
                           &reason) == TENON_OK) {
        tenon_build_term(verdict, reason);
    }
}

static void c_echo(tenon_call *call, void *user)
{
    tenon_term request = tenon_call_request(call);
    tenon_term event;

    (void)user;
    if (tenon_map_get_binary(request, "event", &event) == TENON_OK) {
        tenon_message_add_event(tenon_call_message(call), event);
    }
    tenon_reply_ok(call, "~t", request);
}

static void c_sum(tenon_call *call, void *user)
{
    tenon_term numbers, term;

    (void)user;
    if (tenon_map_get_binary(tenon_call_request(call), "numbers", &numbers) !=
        TENON_OK) {
        tenon_reply(call, "{:missing_id, \"numbers\"}");
        return;
    }
    tenon_builder *sum = tenon_builder_new();

    if (build_sum(sum, numbers) && tenon_builder_term(sum, &term) == TENON_OK) {
        tenon_reply_ok(call, "~t", term);
    } else {
        tenon_reply(call,
                    "{:validation_error, %{\"numbers\" => \"not integers\"}}");
    }
    tenon_builder_free(sum);
}

static void c_slow(tenon_call *call, void *user)
{
    tenon_term ms;
    enum tenon_err rc = TENON_E_INVAL;

    (void)user;
    if (tenon_match(tenon_call_request(call), "%{\"ms\" => ~t}", &ms)) {
        rc = wait_for(call, ms);
    }
    if (rc == TENON_OK) {
        tenon_reply_ok(call, ":slow_done");
    } else if (rc != TENON_E_STOPPED) {
        refuse_request(call);
    }
}

/* What c_fail replies where it replies. */
static const struct {
    const char *how;
    const char *response;
} failures[] = {
    { "error", "{:error, {:c_failed, \"because\"}}" },
    { "ok", ":ok" },
    { "created", "{:created, \"c-1\"}" },
    { "version", "{:ok, \"payload\", 3}" },
    { "unauthorized", "{:unauthorized, \"no\"}" },
};

/* The request's "how", an atom or a binary. */
static bool read_how(tenon_term request, tenon_atom *how)
{
    const char *text;
    size_t len;

    if (tenon_match(request, "%{\"how\" => ~a}", how)) {
        return true;
    }
    if (!tenon_match(request, "%{\"how\" => ~s}", &text, &len) ||
        len >= sizeof how->text) {
        return false;
    }
    memcpy(how->text, text, len);
    how->text[len] = '\0';
    return true;
}

static void reply_failure(tenon_call *call, const char *how)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (strcmp(how, failures[i].how) == 0) {
            tenon_reply(call, failures[i].response);
            return;
        }
    }
    refuse_request(call);
}

static void c_fail(tenon_call *call, void *user)
{
    tenon_atom how;

    (void)user;
    if (!read_how(tenon_call_request(call), &how)) {
        refuse_request(call);
    } else if (strcmp(how.text, "raise") == 0) {
        tenon_raise(call, ":c_raised");
    } else if (strcmp(how.text, "throw") == 0) {
        tenon_throw(call, ":c_threw");
    } else if (strcmp(how.text, "exit") == 0) {
        tenon_exit(call, ":c_exited");
    } else if (strcmp(how.text, "noreply") != 0) {
        reply_failure(call, how.text);
    }
}

static void c_try_another(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_error(call, "{:try_another_node, :c_busy}");
}

static void c_private(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_ok(call, ":from_c_private");
}

static void c_digest(tenon_call *call, void *user)
{
    const void *data;
    size_t len;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[2 * SHA256_DIGEST_LENGTH];

    (void)user;
    if (!tenon_match(tenon_call_request(call), "%{\"data\" => ~b}", &data,
                     &len)) {
        refuse_request(call);
        return;
    }
    SHA256(data, len, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    tenon_reply_ok(call, "~b", (const void *)hex, sizeof hex);
}

static void c_where(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_ok(call, "~a", tenon_node_name(tenon_call_node(call)));
}

/* Does not reply: c_answer does, whenever it is called. Of several calls the
 * last is kept. */
static void c_keep(tenon_call *call, void *user)
{
    struct demo *demo = user;

    pthread_mutex_lock(&demo->lock);
    tenon_call *before = demo->kept;

    demo->kept = tenon_call_keep(call);
    pthread_mutex_unlock(&demo->lock);
    tenon_call_release(before);
}

/* Answers the call that is kept with its own request; {:ok, whether there was
 * one}. */
static void c_answer(tenon_call *call, void *user)
{
    struct demo *demo = user;

    pthread_mutex_lock(&demo->lock);
    tenon_call *kept = demo->kept;

    demo->kept = NULL;
    pthread_mutex_unlock(&demo->lock);
    if (kept != NULL) {
        tenon_reply_ok(kept, "~t", tenon_call_request(call));
    }
    tenon_reply_ok(call, "~a", kept != NULL ? "true" : "false");
    tenon_call_release(kept);
}

/* ---- c_calls_back: a service that calls another ------------------------ */

/* The next three set on a message what the request gives, if it does. False
 * when that has the wrong type. */
static bool set_assigns(tenon_message *message, tenon_term request)
{
    tenon_term assigns, key, value;
    tenon_cursor at;
    tenon_atom name;

    if (tenon_map_get_binary(request, "assigns", &assigns) != TENON_OK) {
        return true;
    }
    tenon_cursor_init(&at, assigns);
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        if (tenon_term_atom(key, &name) != TENON_OK ||
            tenon_message_assign(message, name.text, value) != TENON_OK) {
            return false;
        }
    }
    return tenon_term_type(assigns) == TENON_TYPE_MAP;
}

static bool set_dry_run(tenon_message *message, tenon_term request)
{
    static const char *const words[] = {
        [TENON_DRY_RUN_NO] = "false",
        [TENON_DRY_RUN_YES] = "true",
        [TENON_DRY_RUN_VERBOSE] = "verbose",
    };
    tenon_term given;

    if (tenon_map_get_binary(request, "dry_run", &given) != TENON_OK) {
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (tenon_term_is_atom(given, words[i])) {
            return tenon_message_set_dry_run(message, (enum tenon_dry_run)i) ==
                   TENON_OK;
        }
    }
    return false;
}

static bool read_timeout(tenon_term request, uint32_t *timeout_ms)
{
    tenon_term given;
    uint64_t ms;

    *timeout_ms = 0;
    if (tenon_map_get_binary(request, "timeout", &given) != TENON_OK) {
        return true;
    }
    if (tenon_term_uint64(given, &ms) != TENON_OK || ms == 0 ||
        ms >= TENON_NO_TIMEOUT) {
        return false;
    }
    *timeout_ms = (uint32_t)ms;
    return true;
}

/* The message to dispatch; NULL when the request cannot be one. */
static tenon_message *make_inner(tenon_call *call, uint32_t *timeout_ms)
{
    tenon_term request = tenon_call_request(call);
    tenon_term raw_request;
    tenon_atom service;

    if (!tenon_match(request, "%{\"service\" => ~a}", &service) ||
        !read_timeout(request, timeout_ms)) {
        return NULL;
    }
    if (tenon_map_get_binary(request, "raw_request", &raw_request) !=
        TENON_OK) {
        raw_request = (tenon_term){ 0 };
    }
    tenon_message *inner =
        tenon_message_new_caused_by(tenon_call_node(call), service.text,
                                    tenon_call_message(call), raw_request);

    if (inner != NULL && set_assigns(inner, request) &&
        set_dry_run(inner, request)) {
        return inner;
    }
    tenon_message_free(inner);
    return NULL;
}

static void reply_with_result(tenon_call *call, const tenon_message *result)
{
    tenon_reply_ok(call,
                   "%{\"response\" => ~t, \"id\" => ~t, "
                   "\"correlation_id\" => ~t, \"causation_id\" => ~t, "
                   "\"events\" => ~t, \"request\" => ~t, \"halted\" => ~t}",
                   tenon_message_get(result, "response"),
                   tenon_message_get(result, "id"),
                   tenon_message_get(result, "correlation_id"),
                   tenon_message_get(result, "causation_id"),
                   tenon_message_get(result, "events"),
                   tenon_message_get(result, "request"),
                   tenon_message_get(result, "halted?"));
}

static void c_calls_back(tenon_call *call, void *user)
{
    uint32_t timeout_ms = 0;
    tenon_message *result = NULL;
    tenon_message *inner = make_inner(call, &timeout_ms);

    (void)user;
    if (inner == NULL) {
        refuse_request(call);
        return;
    }
    enum tenon_err rc =
        tenon_dispatch(tenon_call_node(call), inner, timeout_ms, &result, NULL);

    if (rc == TENON_OK) {
        reply_with_result(call, result);
    } else {
        tenon_reply_error(call, "~s", tenon_err_text(rc));
    }
    tenon_message_free(result);
    tenon_message_free(inner);
}

/* ---- the routers ------------------------------------------------------- */

/* Who brings `forward_to` among the assigns is served by that node. */
static void
choose_node(const tenon_message *message, tenon_builder *node, void *user)
{
    tenon_term chosen;

    (void)user;
    if (tenon_map_get_atom(tenon_message_get(message, "assigns"), "forward_to",
                           &chosen) == TENON_OK) {
        tenon_build_term(node, chosen);
    }
}

static const struct {
    const char *name;
    tenon_service_fn fn;
    unsigned flags;
    const char *function; /* NULL: the name */
    bool is_private;
} services[] = {
    { .name = "c_echo", .fn = c_echo, .flags = TENON_INLINE },
    { .name = "c_sum", .fn = c_sum },
    { .name = "c_slow", .fn = c_slow },
    { .name = "c_fail", .fn = c_fail, .flags = TENON_INLINE },
    { .name = "c_try_another", .fn = c_try_another, .flags = TENON_INLINE },
    { .name = "c_calls_back", .fn = c_calls_back },
    { .name = "c_digest", .fn = c_digest },
    { .name = "c_where", .fn = c_where, .flags = TENON_INLINE },
    { .name = "c_renamed", .fn = c_where, .function = "c_where" },
    { .name = "c_keep", .fn = c_keep, .flags = TENON_INLINE },
    { .name = "c_answer", .fn = c_answer },
    { .name = "c_private", .fn = c_private, .is_private = true },
};

static enum tenon_err add_services(tenon_node *node, struct demo *demo)
{
    tenon_router *router = tenon_router_new(node, ROUTER);
    enum tenon_err rc = tenon_router_authorize(router, authorize, NULL);

    if (rc == TENON_OK) {
        rc = tenon_router_choose_node(router, choose_node, NULL);
    }
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        if (rc == TENON_OK) {
            rc = tenon_service_add(router, services[i].name, services[i].fn,
                                   &(tenon_service_options){
                                       .user = demo,
                                       .flags = services[i].flags,
                                       .is_private = services[i].is_private,
                                       .handler = HANDLER,
                                       .function = services[i].function,
                                   });
        }
    }
    return rc == TENON_OK ? tenon_register_services(router) : rc;
}

/* Adds a second router, once: the function offer_late of the module :demo. */
static void demo_offer_late(tenon_call *call, void *user)
{
    tenon_router *router = tenon_router_new(tenon_call_node(call), LATE_ROUTER);
    enum tenon_err rc = tenon_service(router, "c_late", c_where, user);

    if (rc == TENON_OK) {
        rc = tenon_register_services(router);
    }
    if (rc == TENON_OK) {
        tenon_reply(call, ":ok");
    } else {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
}

/* ---- the library ------------------------------------------------------- */

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    struct demo *demo = calloc(1, sizeof *demo);

    if (demo == NULL) {
        return TENON_E_NOMEM;
    }
    *state = demo;
    pthread_mutex_init(&demo->lock, NULL);
    enum tenon_err rc = start_echo(node, err);

    if (rc == TENON_OK) {
        rc = add_functions(node);
    }
    if (rc == TENON_OK) {
        rc = tenon_function(node, MODULE, "offer_late", 0, demo_offer_late,
                            demo, 0);
    }
    if (rc == TENON_OK) {
        rc = start_tasks(node, err);
    }
    return rc == TENON_OK ? add_services(node, demo) : rc;
}

static void unload(void *state)
{
    struct demo *demo = state;

    tenon_call_release(demo->kept);
    pthread_mutex_destroy(&demo->lock);
    free(demo);
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "demo", load, unload };
