/* SPDX-License-Identifier: Apache-2.0 */
/* The three standard ways to resolve a clash of global names. */
#include <string.h>

#include "otp/global_core.h"
#include "term/view.h"

enum way { RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL, UNKNOWN_WAY };

/* global's own default is a fun of that module without a name: it has no
 * other of this arity. */
static enum way way_of(tenon_term method)
{
    struct tn_fun_view view;

    if (method.bytes == NULL || !tn_fun_view(method.bytes, &view) ||
        view.arity != 3 || !tn_atom_view_is(&view.module, "global", 6)) {
        return UNKNOWN_WAY;
    }
    if (!view.is_export || tn_atom_view_is(&view.function, "random_exit_name",
                                           strlen("random_exit_name"))) {
        return RANDOM_EXIT;
    }
    if (tn_atom_view_is(&view.function, "random_notify_name",
                        strlen("random_notify_name"))) {
        return RANDOM_NOTIFY;
    }
    return tn_atom_view_is(&view.function, "notify_all_name",
                           strlen("notify_all_name"))
               ? NOTIFY_ALL
               : UNKNOWN_WAY;
}

static void tell(const struct tn_global_io *io,
                 void *io_user,
                 const tenon_pid *pid,
                 tenon_value *message)
{
    tenon_value *to = tenon_value_format("~p", pid);

    if (to != NULL && message != NULL) {
        io->send_pid(io_user, tenon_value_term(to), tenon_value_term(message));
    }
    tenon_value_free(to);
    tenon_value_free(message);
}

enum tenon_err tn_gresolve(const struct tn_global_io *io,
                           void *io_user,
                           tenon_term method,
                           tenon_term name,
                           tenon_term his,
                           tenon_term ours,
                           tenon_builder *out)
{
    enum way way = way_of(method);
    tenon_pid one, two;

    if (way == UNKNOWN_WAY || tenon_term_pid(his, &one) < 0 ||
        tenon_term_pid(ours, &two) < 0) {
        return tenon_format(out, "{:EXIT, {:undef, []}}");
    }
    if (way == NOTIFY_ALL) {
        tell(io, io_user, &one,
             tenon_value_format("{:global_name_conflict, ~t, ~p}", name, &two));
        tell(io, io_user, &two,
             tenon_value_format("{:global_name_conflict, ~t, ~p}", name, &one));
        return tenon_build_atom(out, "none");
    }
    bool one_stays = strcmp(one.node, two.node) < 0;
    const tenon_pid *loser = one_stays ? &two : &one;

    if (way == RANDOM_EXIT) {
        io->kill(io_user, loser);
    } else {
        tell(io, io_user, loser,
             tenon_value_format("{:global_name_conflict, ~t}", name));
    }
    return tenon_build_pid(out, one_stays ? &one : &two);
}
