/* SPDX-License-Identifier: Apache-2.0 */
/* A node, and a process that has observer's servers draw it. */
#ifndef TEST_OTP_APPMON_H
#define TEST_OTP_APPMON_H

#include "otp/info.h"
#include "own_node.h"

struct fixture {
    tenon_node *node;
    struct me me;
};

static inline int start(void **state)
{
    static struct fixture f;

    f.node = own_node_start();
    OK(tn_info_start(f.node, NULL));
    f.me = me_new(f.node);
    tenon_process_trap_exit(f.me.box, true);
    *state = &f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;

    me_free(&f->me);
    tenon_node_stop(f->node);
    return 0;
}

/* False: nothing was started, or it is not known. */
static inline bool
start_server(struct fixture *f, uint32_t timeout_ms, tenon_pid *server)
{
    tenon_value *args =
        tenon_value_format("[~p, ~p, []]", &f->me.pid, &f->me.pid);
    tenon_value *value = NULL;
    bool started = args != NULL &&
                   tenon_rpc(f->node, NULL, "appmon_info", "start_link2",
                             tenon_value_term(args), timeout_ms, &value,
                             NULL) == TENON_OK &&
                   tenon_match(tenon_value_term(value), "{:ok, ~p}", server);

    tenon_value_free(value);
    tenon_value_free(args);
    return started;
}

static inline enum tenon_err
set_task(struct fixture *f, const tenon_pid *server, const char *aux, bool on)
{
    tenon_value *request = tenon_value_format(on ? "{~p, :app, ~a, true, []}"
                                                 : "{~p, :app, ~a, false, []}",
                                              &f->me.pid, aux);
    enum tenon_err rc =
        request == NULL
            ? TENON_E_NOMEM
            : tenon_server_cast(f->node, &(tenon_dest){ .pid = server },
                                tenon_value_term(request), NULL);

    tenon_value_free(request);
    return rc;
}

#endif
