/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the names of global, answered from this node's own table. */
#include <tenon/global.h>

#include "otp/global.h"
#include "otp/info.h"

static void whereis_name(struct tn_question *question)
{
    tenon_pid pid;

    if (tenon_global_whereis(question->node, tn_question_arg(question, 0),
                             &pid) == TENON_OK) {
        tenon_format(question->out, "~p", &pid);
    } else {
        tn_info_undefined(question);
    }
}

/* A node that is no member has none. */
static void registered_names(struct tn_question *question)
{
    if (tn_global_of(question->node) == NULL) {
        tenon_build_nil(question->out);
    } else if (tenon_global_names(question->node, question->out) != TENON_OK) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
}

static void sync_0(struct tn_question *question)
{
    enum tenon_err rc = tenon_global_sync(question->node, 0, NULL);

    if (rc == TENON_OK) {
        tenon_build_atom(question->out, "ok");
    } else {
        tenon_format(question->out, "{:error, ~a}",
                     rc == TENON_E_TIMEOUT ? "timeout" : "notsup");
    }
}

const struct tn_info_function tn_info_global_functions[] = {
    { "global", "registered_names", 0, registered_names, false },
    { "global", "sync", 0, sync_0, true },
    { "global", "whereis_name", 1, whereis_name, false },
    { NULL, NULL, 0, NULL, false },
};
