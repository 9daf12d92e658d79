/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a child under a supervisor of this node, from C. */
#include <string.h>

#include <tenon/rpc.h>
#include <tenon/supervisor.h>

#include "base/error.h"
#include "node/node.h"
#include "term/build.h"

static const char *const restart_words[] = {
    [TENON_PERMANENT] = "permanent",
    [TENON_TRANSIENT] = "transient",
    [TENON_TEMPORARY] = "temporary",
};

static void build_shutdown(tenon_builder *out, const tenon_child *child)
{
    uint32_t ms = child->shutdown_ms;
    if (ms == TENON_SHUTDOWN_KILL) {
        tenon_build_atom(out, "brutal_kill");
    } else if (ms == TENON_NO_TIMEOUT || (ms == 0 && child->is_supervisor)) {
        tenon_build_atom(out, "infinity");
    } else {
        tenon_build_uint(out, ms == 0 ? 5000 : ms);
    }
}

/* {module, function, arguments} */
static void build_start(tenon_builder *out, const tenon_child *child)
{
    tenon_build_tuple(out, 3);
    tenon_build_atom(out, child->module);
    tenon_build_atom(out, child->function);
    if (child->args.bytes == NULL) {
        tenon_build_nil(out);
    } else {
        tenon_build_term(out, child->args);
    }
}

/* {:start_child, {id, start, restart, shutdown, type, modules}}, of a dynamic
 * one without the id. */
static void build_request(tenon_builder *out, const tenon_child *child)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "start_child");
    tenon_build_tuple(out, child->id != NULL ? 6 : 5);
    if (child->id != NULL) {
        tenon_build_atom(out, child->id);
    }
    build_start(out, child);
    tenon_build_atom(out, restart_words[child->restart]);
    build_shutdown(out, child);
    tenon_build_atom(out, child->is_supervisor ? "supervisor" : "worker");
    tenon_build_list(out, 1);
    tenon_build_atom(out, child->module);
    tenon_build_nil(out);
}

/* The answer of a supervisor that could not start it. */
static enum tenon_err explain(tenon_term answer, tenon_error *err)
{
    char text[160];
    enum tenon_err rc = TENON_E_REMOTE_ERROR;
    tenon_term reason;
    if (tenon_match(answer, "{:error, {:already_started, _}}") ||
        tenon_match(answer, "{:error, :already_present}")) {
        rc = TENON_E_EXISTS;
    } else if (tenon_match(answer, "{:error, :max_children}")) {
        rc = TENON_E_LIMIT;
    } else if (tenon_match(answer, "{:error, {{:EXIT, {:undef, _}}, _}}") ||
               tenon_match(answer, "{:error, {:undef, _}}")) {
        rc = TENON_E_NOT_FOUND;
    }
    if (tenon_tuple_get(answer, 1, &reason) != TENON_OK) {
        reason = answer;
    }
    tenon_term_print(reason, text, sizeof text);
    return tn_error(err, rc, "start of a child: %s", text);
}

static enum tenon_err
read_answer(tenon_term answer, tenon_pid *pid, tenon_error *err)
{
    tenon_pid started = { 0 };
    if (!tenon_match(answer, "{:ok, ~p}", &started) &&
        !tenon_match(answer, "{:ok, ~p, _}", &started) &&
        !tenon_match(answer, "{:ok, :undefined}") &&
        !tenon_match(answer, ":ignore")) {
        return explain(answer, err);
    }
    if (pid != NULL) {
        *pid = started;
    }
    return TENON_OK;
}

static enum tenon_err call(tenon_process *supervisor,
                           tenon_term request,
                           uint32_t timeout_ms,
                           tenon_pid *pid,
                           tenon_error *err)
{
    tenon_pid to;
    tenon_value *answer = NULL;
    tenon_process_pid(supervisor, &to);
    enum tenon_err rc = tenon_server_call(
        tenon_process_node(supervisor), &(tenon_dest){ .pid = &to }, request,
        timeout_ms == 0 ? TENON_NO_TIMEOUT : timeout_ms, &answer, err);
    if (rc == TENON_OK) {
        rc = read_answer(tenon_value_term(answer), pid, err);
    }
    tenon_value_free(answer);
    return rc;
}

static bool is_whole(const tenon_child *child)
{
    return child->module != NULL && child->function != NULL &&
           child->restart >= TENON_PERMANENT &&
           child->restart <= TENON_TEMPORARY &&
           (child->args.bytes == NULL ||
            tenon_term_is_proper_list(child->args));
}

enum tenon_err tenon_supervisor_add_sized(tenon_process *supervisor,
                                          const tenon_child *child,
                                          size_t size,
                                          uint32_t timeout_ms,
                                          tenon_pid *pid,
                                          tenon_error *err)
{
    tenon_child own;
    struct tenon_builder out;
    tenon_term request;
    if (supervisor == NULL || child == NULL ||
        tn_sized_copy(&own, sizeof own, child, size) < 0 || !is_whole(&own)) {
        return tn_error(err, TENON_E_INVAL,
                        "start of a child: no supervisor, or a child without "
                        "what it needs");
    }
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    build_request(&out, &own);
    enum tenon_err rc = tenon_builder_term(&out, &request);
    rc = rc == TENON_OK
             ? call(supervisor, request, timeout_ms, pid, err)
             : tn_error(err, rc, "start of a child: %s", tenon_err_text(rc));
    tn_builder_fini(&out);
    return rc;
}
