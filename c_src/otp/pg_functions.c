/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the module pg, for those who ask this node by rpc. */
#include "node/node.h"
#include "otp/pg.h"
#include "term/build.h"

/* Which of the functions, and whether its first argument is a scope. */
enum verb { MEMBERS, GROUPS, JOIN, LEAVE };

struct pg_function {
    const char *name;
    unsigned arity;
    enum verb verb;
    enum tenon_pg_whose whose;
    bool scoped;
};

/* The builder's term, or the error that pg raises. */
static void
answer(tenon_call *call, enum tenon_err rc, const tenon_builder *built)
{
    tenon_term term;

    if (rc == TENON_OK && tenon_builder_term(built, &term) == TENON_OK) {
        tenon_reply_term(call, term);
    } else if (rc == TENON_E_INVAL || rc == TENON_E_NOPROC) {
        tenon_raise(call, ":badarg");
    } else {
        tenon_raise(call, ":system_limit");
    }
}

static void list_members(tenon_call *call,
                         const char *scope,
                         tenon_term group,
                         enum tenon_pg_whose whose)
{
    tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    answer(call,
           tenon_pg_members(tenon_call_node(call), scope, group, whose, &out),
           &out);
    tn_builder_fini(&out);
}

static void
list_groups(tenon_call *call, const char *scope, enum tenon_pg_whose whose)
{
    tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    answer(call, tenon_pg_groups(tenon_call_node(call), scope, whose, &out),
           &out);
    tn_builder_fini(&out);
}

/* The process of this node with that pid, kept; NULL: there is none. */
static tenon_process *local_process(tenon_node *node, tenon_term pid)
{
    tn_lock(node);
    tenon_process *process =
        tenon_process_keep(tn_process_find_locked(node, pid));

    tn_unlock(node);
    return process;
}

static void change(tenon_call *call,
                   const char *scope,
                   tenon_term group,
                   tenon_term pid,
                   enum verb verb)
{
    tenon_process *process = local_process(tenon_call_node(call), pid);
    enum tenon_err rc = TENON_E_INVAL;

    if (process == NULL) {
        tenon_raise(call, "{:nolocal, ~t}", pid);
        return;
    }
    rc = verb == JOIN ? tenon_pg_join(process, scope, group)
                      : tenon_pg_leave(process, scope, group);
    tenon_process_release(process);
    if (rc == TENON_OK) {
        tenon_reply(call, ":ok");
    } else if (rc == TENON_E_NOT_FOUND) {
        tenon_reply(call, ":not_joined");
    } else if (rc == TENON_E_NOPROC) {
        tenon_exit(call, ":noproc");
    } else {
        tenon_raise(call, ":system_limit");
    }
}

static void run(tenon_call *call, void *user)
{
    const struct pg_function *function = user;
    tenon_atom scope;
    const char *name = NULL;
    size_t first = function->scoped ? 1 : 0;

    if (function->scoped) {
        if (tenon_term_atom(tenon_call_arg(call, 0), &scope) != TENON_OK) {
            tenon_raise(call, ":badarg");
            return;
        }
        name = scope.text;
    }
    tenon_term group = tenon_call_arg(call, first);

    switch (function->verb) {
    case MEMBERS:
        list_members(call, name, group, function->whose);
        break;
    case GROUPS:
        list_groups(call, name, function->whose);
        break;
    case JOIN:
    case LEAVE:
        change(call, name, group, tenon_call_arg(call, first + 1),
               function->verb);
        break;
    }
}

static const struct pg_function functions[] = {
    { "get_members", 1, MEMBERS, TENON_PG_ALL, false },
    { "get_members", 2, MEMBERS, TENON_PG_ALL, true },
    { "get_local_members", 1, MEMBERS, TENON_PG_LOCAL, false },
    { "get_local_members", 2, MEMBERS, TENON_PG_LOCAL, true },
    { "which_groups", 0, GROUPS, TENON_PG_ALL, false },
    { "which_groups", 1, GROUPS, TENON_PG_ALL, true },
    { "which_local_groups", 0, GROUPS, TENON_PG_LOCAL, false },
    { "which_local_groups", 1, GROUPS, TENON_PG_LOCAL, true },
    { "join", 2, JOIN, TENON_PG_LOCAL, false },
    { "join", 3, JOIN, TENON_PG_LOCAL, true },
    { "leave", 2, LEAVE, TENON_PG_LOCAL, false },
    { "leave", 3, LEAVE, TENON_PG_LOCAL, true },
};

/* A group may have a million members: workers list them. Some of the functions
 * may be there already, from a start that ran out of memory. */
enum tenon_err tn_pg_add_functions(tenon_node *node)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        enum tenon_err rc =
            tenon_function(node, "pg", functions[i].name, functions[i].arity,
                           run, (void *)&functions[i], 0);

        if (rc != TENON_OK && rc != TENON_E_EXISTS) {
            return rc;
        }
    }
    return TENON_OK;
}
