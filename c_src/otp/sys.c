/* SPDX-License-Identifier: Apache-2.0 */
/* System messages, as sys:handle_system_msg/6 takes them for a gen_server. */
#include "otp/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "node/atoms.h"
#include "node/function.h"
#include "node/node.h"
#include "node/text.h"
#include "otp/apply.h"
#include "otp/atoms.h"
#include "otp/state_reply.h"
#include "term/build.h"
#include "term/print.h"

/* Events that sys:log(Server, true) keeps. */
#define LOG_DEFAULT 10u

/* One request while it is handled. */
struct request {
    tenon_process *self;
    struct tn_sys *sys;
    const struct tn_sys_ops *ops;
    void *server;
    tenon_term parent;
    const struct tn_gen *gen;
};

void tn_server_describe(tenon_process *self, char text[TN_SERVER_TEXT_BYTES])
{
    tenon_node *node = tenon_process_node(self);
    tn_term_show(tn_process_pid(self), text, TN_SERVER_TEXT_BYTES);
    tn_lock(node);
    if (self->name != NULL) {
        snprintf(text, TN_SERVER_TEXT_BYTES, ":%s", self->name);
    }
    tn_unlock(node);
}

/* ---- answers ----------------------------------------------------------- */

static enum tenon_err send_reply(const struct request *request,
                                 tenon_term value)
{
    return tn_gen_reply(tenon_process_node(request->self),
                        tn_process_pid(request->self), request->gen->from,
                        request->gen->tag, value);
}

static void refuse_for_size(const struct request *request)
{
    static const tenon_term system_limit = {
        (const uint8_t *)"h\2w\5errorw\14system_limit", 23
    };
    (void)send_reply(request, system_limit);
}

static void reply(const struct request *request, tenon_term value)
{
    if (send_reply(request, value) == TENON_E_TERM_DEEP) {
        refuse_for_size(request);
    }
}

/* Replies with what was built. */
static void reply_built(const struct request *request, tenon_builder *out)
{
    tenon_term value;
    if (tenon_builder_term(out, &value) == TENON_OK) {
        reply(request, value);
    } else {
        refuse_for_size(request);
    }
}

#define REPLY(request, ...)                                                    \
    do {                                                                       \
        struct tenon_builder reply_out;                                        \
        tn_builder_init(&reply_out, TENON_TERM_MAX_BYTES);                     \
        (void)tenon_format(&reply_out, __VA_ARGS__);                           \
        reply_built(request, &reply_out);                                      \
        tn_builder_fini(&reply_out);                                           \
    } while (0)

static void refuse(const struct request *request)
{
    REPLY(request, "{:error, :notsup}");
}

static void refuse_callback(const struct request *request,
                            const char *function,
                            enum tn_outcome outcome,
                            tenon_term value)
{
    static const char *const class_of[] = { [TN_OUT_RETURN] = "error",
                                            [TN_OUT_ERROR] = "error",
                                            [TN_OUT_EXIT] = "exit",
                                            [TN_OUT_THROW] = "throw" };
    REPLY(request, "{:error, {:callback_failed, {:gen_server, ~a}, {~a, ~t}}}",
          function, class_of[outcome], value);
}

/* ---- the state --------------------------------------------------------- */

static bool
state_of(const struct request *request, tenon_builder *out, tenon_term *state)
{
    request->ops->build_state(request->server, out);
    return tenon_builder_term(out, state) == TENON_OK;
}

static void reply_state(const struct request *request, tenon_term state)
{
    if (tn_state_reply(request->self, request->gen, state) != TENON_OK) {
        REPLY(request, "{:error, :system_limit}");
    }
}

static void get_state(const struct request *request)
{
    struct tenon_builder out;
    tenon_term state;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (state_of(request, &out, &state)) {
        reply_state(request, state);
    } else {
        refuse_callback(request, "system_get_state", TN_OUT_ERROR,
                        tn_atom_badarg);
    }
    tn_builder_fini(&out);
}

/* The function that &Mod.name/1 names. False: the term is none such. */
static bool find_function(tenon_node *node,
                          tn_access *origin,
                          tenon_term fun,
                          tenon_term name[2],
                          struct tn_target *target)
{
    struct tn_fun_view view;
    if (fun.bytes == NULL || !tn_fun_view(fun.bytes, &view) ||
        !view.is_export || view.arity != 1) {
        return false;
    }
    name[0] = tn_term_at(fun.bytes + 1);
    name[1] = tn_term_at(name[0].bytes + name[0].len);
    *target = tn_function_find(node, origin, name[0], name[1], 1);
    return true;
}

static void put_result(const struct request *request,
                       const struct tn_applied *applied)
{
    tenon_term value = tenon_value_term(applied->value);
    if (applied->outcome != TN_OUT_RETURN) {
        refuse_callback(request, "system_replace_state", applied->outcome,
                        value);
    } else if (request->ops->put_state(request->server, value)) {
        reply_state(request, value);
    } else {
        refuse_callback(request, "system_replace_state", TN_OUT_ERROR,
                        tn_atom_badarg);
    }
}

static void apply_to_state(const struct request *request,
                           const struct tn_target *target,
                           const tenon_term name[2])
{
    struct tenon_builder out, args;
    struct tn_applied applied;
    tenon_term state, list;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tn_builder_init(&args, TENON_TERM_MAX_BYTES);
    if (!state_of(request, &out, &state) ||
        tenon_format(&args, "[~t]", state) != TENON_OK ||
        tenon_builder_term(&args, &list) != TENON_OK ||
        tn_apply(request->self, target, name, list, &applied) != TENON_OK) {
        refuse_callback(request, "system_replace_state", TN_OUT_ERROR,
                        tn_atom_system_limit);
    } else {
        put_result(request, &applied);
        tn_applied_fini(&applied);
    }
    tn_builder_fini(&args);
    tn_builder_fini(&out);
}

/* Of funs C can run those that only name a registered function. */
static void replace_state(const struct request *request, tenon_term fun)
{
    tenon_node *node = tenon_process_node(request->self);
    struct tn_target target = { 0 };
    tenon_term name[2];
    if (!find_function(node, tn_process_origin(request->self), fun, name,
                       &target)) {
        tenon_value *badfun = tenon_value_format("{:badfun, ~t}", fun);
        refuse_callback(request, "system_replace_state", TN_OUT_ERROR,
                        badfun == NULL ? tn_atom_badarg
                                       : tenon_value_term(badfun));
        tenon_value_free(badfun);
    } else if (target.fn == NULL) {
        refuse_callback(request, "system_replace_state", TN_OUT_ERROR,
                        tn_atom_undef);
    } else if (request->ops->put_state == NULL) {
        refuse_callback(request, "system_replace_state", TN_OUT_ERROR,
                        tn_atom_notsup);
    } else {
        apply_to_state(request, &target, name);
    }
}

static void build_charlist(tenon_builder *out, const char *text)
{
    size_t len = strlen(text), used;
    uint32_t character;
    while ((used = tn_utf8_get((const uint8_t *)text, len, &character)) > 0) {
        tenon_build_list(out, 1);
        tenon_build_uint(out, character);
        text += used;
        len -= used;
    }
    tenon_build_nil(out);
}

static void build_log(tenon_builder *out, const struct tn_sys *sys)
{
    for (uint32_t i = 0; i < sys->log_count; i++) {
        const tenon_value *event =
            sys->log[(sys->log_first + i) % TN_SYS_LOG_MAX].message;
        tenon_build_list(out, 1);
        tenon_build_tuple(out, 2);
        tenon_build_atom(out, "in");
        if (event == NULL) {
            tenon_build_atom(out, "too_large");
        } else {
            tenon_build_term(out, tenon_value_term(event));
        }
    }
    tenon_build_nil(out);
}

/* {"Text", term} of which the term is to follow. */
static void build_field(tenon_builder *out, const char *text)
{
    tenon_build_tuple(out, 2);
    build_charlist(out, text);
}

/* What gen_server:format_status/2 makes of a server without a formatter. */
static void build_misc(tenon_builder *out,
                       const struct request *request,
                       const char *status,
                       tenon_term state)
{
    char name[TN_SERVER_TEXT_BYTES];
    char header[TN_SERVER_TEXT_BYTES + 32];
    tn_server_describe(request->self, name);
    snprintf(header, sizeof header, "Status for generic server %s",
             name[0] == ':' ? name + 1 : name);
    tenon_build_list(out, 3);
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "header");
    build_charlist(out, header);
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "data");
    tenon_build_list(out, 3);
    build_field(out, "Status");
    tenon_build_atom(out, status);
    build_field(out, "Parent");
    tenon_build_term(out, request->parent);
    build_field(out, "Logged events");
    build_log(out, request->sys);
    tenon_build_nil(out);
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "data");
    tenon_build_list(out, 1);
    build_field(out, "State");
    tenon_build_term(out, state);
    tenon_build_nil(out);
    tenon_build_nil(out);
}

static void get_status(const struct request *request)
{
    const char *status = request->sys->suspended ? "suspended" : "running";
    struct tenon_builder state_out, out;
    tenon_term state;
    tn_builder_init(&state_out, TENON_TERM_MAX_BYTES);
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (!state_of(request, &state_out, &state)) {
        state = tn_atom_badarg;
    }
    tenon_build_tuple(&out, 4);
    (void)tenon_format(&out, ":status");
    tenon_build_term(&out, tn_process_pid(request->self));
    (void)tenon_format(&out, "{:module, :gen_server}");
    tenon_build_list(&out, 5);
    tenon_build_nil(&out);
    tenon_build_atom(&out, status);
    tenon_build_term(&out, request->parent);
    tenon_build_nil(&out);
    build_misc(&out, request, status, state);
    tenon_build_nil(&out);
    reply_built(request, &out);
    tn_builder_fini(&out);
    tn_builder_fini(&state_out);
}

/* ---- debugging --------------------------------------------------------- */

static void drop_oldest(struct tn_sys *sys)
{
    struct tn_sys_event *event = &sys->log[sys->log_first];
    tenon_value_free(event->message);
    tn_charge_drop(&event->charge);
    sys->log_first = (sys->log_first + 1) % TN_SYS_LOG_MAX;
    sys->log_count--;
}

/* What has no room is too large as well. */
static void
keep_event(struct tn_sys *sys, tn_account *sender, tenon_term message)
{
    if (sys->log_count >= sys->log_max) {
        drop_oldest(sys);
    }
    struct tn_sys_event *event =
        &sys->log[(sys->log_first + sys->log_count) % TN_SYS_LOG_MAX];
    *event = (struct tn_sys_event){ .message = NULL };
    if (message.len <= TN_SYS_EVENT_MAX_BYTES &&
        tn_charge_take(&event->charge, sender, message.len,
                       "messages in logs of sys")) {
        event->message = tenon_value_new(message);
    }
    sys->log_count++;
}

static void print_event(tenon_process *self, tenon_term message)
{
    char server[TN_SERVER_TEXT_BYTES];
    char text[512];
    tn_server_describe(self, server);
    tn_term_show(message, text, sizeof text);
    tn_log(&tenon_process_node(self)->log, TN_INFO, "server_event", "server",
           server, "in", text, NULL);
}

void tn_sys_note_in(tenon_process *self, struct tn_sys *sys, tenon_term message)
{
    sys->in++;
    if (sys->log_max > 0) {
        keep_event(sys, tn_process_account(self), message);
    }
    if (sys->trace) {
        print_event(self, message);
    }
}

static void print_log(const struct request *request)
{
    const struct tn_sys *sys = request->sys;
    for (uint32_t i = 0; i < sys->log_count; i++) {
        const tenon_value *event =
            sys->log[(sys->log_first + i) % TN_SYS_LOG_MAX].message;
        if (event != NULL) {
            print_event(request->self, tenon_value_term(event));
        }
    }
}

static bool keep_log(struct tn_sys *sys, uint64_t max)
{
    if (sys->log == NULL) {
        sys->log = calloc(TN_SYS_LOG_MAX, sizeof(*sys->log));
        if (sys->log == NULL) {
            return false;
        }
    }
    sys->log_max = max < TN_SYS_LOG_MAX ? (uint32_t)max : TN_SYS_LOG_MAX;
    while (sys->log_count > sys->log_max) {
        drop_oldest(sys);
    }
    return true;
}

static void stop_log(struct tn_sys *sys)
{
    while (sys->log_count > 0) {
        drop_oldest(sys);
    }
    free(sys->log);
    sys->log = NULL;
    sys->log_max = 0;
}

/* False: not a request about the log. */
static bool on_log(const struct request *request, tenon_term what)
{
    struct tn_sys *sys = request->sys;
    uint64_t max = sys->log_max > 0 ? sys->log_max : LOG_DEFAULT;
    if (tenon_term_is_atom(what, "true") ||
        (tenon_match(what, "{true, ~u}", &max) && max > 0)) {
        if (!keep_log(sys, max)) {
            REPLY(request, "{:error, :system_limit}");
            return true;
        }
    } else if (tenon_term_is_atom(what, "false")) {
        stop_log(sys);
    } else if (tenon_term_is_atom(what, "print")) {
        print_log(request);
    } else if (tenon_term_is_atom(what, "get")) {
        struct tenon_builder out;
        tn_builder_init(&out, TENON_TERM_MAX_BYTES);
        tenon_build_tuple(&out, 2);
        tenon_build_atom(&out, "ok");
        build_log(&out, sys);
        reply_built(request, &out);
        tn_builder_fini(&out);
        return true;
    } else {
        return false;
    }
    reply(request, tn_atom_ok);
    return true;
}

static void build_time(tenon_builder *out, const char *name, time_t at)
{
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    (void)localtime_r(&at, &tm);
    (void)tenon_format(out, "{~a, {{~i, ~i, ~i}, {~i, ~i, ~i}}}", name,
                       (int64_t)tm.tm_year + 1900, (int64_t)tm.tm_mon + 1,
                       (int64_t)tm.tm_mday, (int64_t)tm.tm_hour,
                       (int64_t)tm.tm_min, (int64_t)tm.tm_sec);
}

/* Reductions have no meaning here: a message handled counts as one. */
static void get_statistics(const struct request *request)
{
    const struct tn_sys *sys = request->sys;
    struct tenon_builder out;
    if (!sys->counts) {
        REPLY(request, "{:ok, :no_statistics}");
        return;
    }
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 2);
    tenon_build_atom(&out, "ok");
    tenon_build_list(&out, 5);
    build_time(&out, "start_time", sys->since);
    build_time(&out, "current_time", time(NULL));
    (void)tenon_format(&out, "{:reductions, ~u}", sys->in);
    (void)tenon_format(&out, "{:messages_in, ~u}", sys->in);
    (void)tenon_format(&out, "{:messages_out, ~u}", sys->out);
    tenon_build_nil(&out);
    reply_built(request, &out);
    tn_builder_fini(&out);
}

static bool on_statistics(const struct request *request, tenon_term what)
{
    struct tn_sys *sys = request->sys;
    if (tenon_term_is_atom(what, "get")) {
        get_statistics(request);
        return true;
    }
    if (tenon_term_is_atom(what, "true")) {
        if (!sys->counts) {
            sys->since = time(NULL);
            sys->in = sys->out = 0;
        }
        sys->counts = true;
    } else if (tenon_term_is_atom(what, "false")) {
        sys->counts = false;
    } else {
        return false;
    }
    reply(request, tn_atom_ok);
    return true;
}

static bool on_trace(const struct request *request, tenon_term what)
{
    bool on = tenon_term_is_atom(what, "true");
    if (!on && !tenon_term_is_atom(what, "false")) {
        return false;
    }
    request->sys->trace = on;
    reply(request, tn_atom_ok);
    return true;
}

/* Files are the operator's: none is opened because a peer names it. */
static void on_log_to_file(const struct request *request, tenon_term what)
{
    if (tenon_term_is_atom(what, "false")) {
        reply(request, tn_atom_ok);
    } else {
        REPLY(request, "{:error, :open_file}");
    }
}

static bool
debug_pair(const struct request *request, tenon_term verb, tenon_term what)
{
    if (tenon_term_is_atom(verb, "log")) {
        return on_log(request, what);
    }
    if (tenon_term_is_atom(verb, "statistics")) {
        return on_statistics(request, what);
    }
    if (tenon_term_is_atom(verb, "trace")) {
        return on_trace(request, what);
    }
    if (tenon_term_is_atom(verb, "log_to_file")) {
        on_log_to_file(request, what);
        return true;
    }
    if (tenon_term_is_atom(verb, "install")) {
        refuse(request); /* a fun cannot run here */
        return true;
    }
    if (tenon_term_is_atom(verb, "remove")) {
        reply(request, tn_atom_ok); /* it was not installed */
        return true;
    }
    return false;
}

static void debug(const struct request *request, tenon_term what)
{
    tenon_term pair[2];
    if (tenon_term_is_atom(what, "no_debug")) {
        stop_log(request->sys);
        request->sys->trace = false;
        request->sys->counts = false;
        reply(request, tn_atom_ok);
    } else if (!tn_tuple_views(what, pair, 2) ||
               !debug_pair(request, pair[0], pair[1])) {
        REPLY(request, ":unknown_debug");
    }
}

/* ---- the rest ---------------------------------------------------------- */

static void suspend(const struct request *request, bool suspended)
{
    if (request->ops->terminate == NULL) {
        refuse(request);
        return;
    }
    request->sys->suspended = suspended;
    tn_process_only_urgent(request->self, suspended);
    reply(request, tn_atom_ok);
}

static void terminate(const struct request *request, tenon_term reason)
{
    if (request->ops->terminate == NULL) {
        refuse(request);
        return;
    }
    reply(request, tn_atom_ok);
    request->ops->terminate(request->self, request->server, reason);
}

/* What a gen_server without code_change/3 answers. */
static void change_code(const struct request *request, const tenon_term part[4])
{
    struct tenon_builder out;
    tenon_term state;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (!state_of(request, &out, &state)) {
        state = tn_atom_badarg;
    }
    REPLY(request,
          "{:error, {:EXIT, {:undef, "
          "[{~t, :code_change, [~t, ~t, ~t], []}]}}}",
          part[1], part[2], state, part[3]);
    tn_builder_fini(&out);
}

static void unknown(const struct request *request)
{
    REPLY(request, "{:error, {:unknown_system_msg, ~t}}",
          request->gen->request);
}

static void on_atom(const struct request *request, tenon_term what)
{
    if (tenon_term_is_atom(what, "get_state")) {
        get_state(request);
    } else if (tenon_term_is_atom(what, "get_status")) {
        get_status(request);
    } else if (tenon_term_is_atom(what, "suspend")) {
        suspend(request, true);
    } else if (tenon_term_is_atom(what, "resume")) {
        suspend(request, false);
    } else {
        unknown(request);
    }
}

static void on_tuple(const struct request *request, tenon_term what)
{
    tenon_term part[4];
    if (tn_tuple_views(what, part, 4)) {
        if (request->sys->suspended &&
            tenon_term_is_atom(part[0], "change_code")) {
            change_code(request, part);
            return;
        }
    } else if (tn_tuple_views(what, part, 2)) {
        if (tenon_term_is_atom(part[0], "terminate")) {
            terminate(request, part[1]);
            return;
        }
        if (tenon_term_is_atom(part[0], "replace_state")) {
            replace_state(request, part[1]);
            return;
        }
        if (tenon_term_is_atom(part[0], "debug")) {
            debug(request, part[1]);
            return;
        }
    }
    unknown(request);
}

void tn_sys_handle(tenon_process *self,
                   struct tn_sys *sys,
                   const struct tn_sys_ops *ops,
                   void *server,
                   tenon_term parent,
                   const struct tn_gen *gen)
{
    struct request request = { self, sys, ops, server, parent, gen };
    if (tenon_term_type(gen->request) == TENON_TYPE_ATOM) {
        on_atom(&request, gen->request);
    } else {
        on_tuple(&request, gen->request);
    }
}

void tn_sys_fini(struct tn_sys *sys)
{
    stop_log(sys);
}
