/* SPDX-License-Identifier: Apache-2.0 */
/* Any requests to the node's group leader, of a live node: each that is one of
 * the IO protocol's is answered, once; nothing else is. What prints is answered
 * when it has been written, so that an answer may overtake it. What is printed
 * goes nowhere. */
#include <fcntl.h>
#include <unistd.h>

#include <tenon.h>

#include "fuzz/input.h"
#include "node/loop.h"
#include "node/node.h"
#include "otp/io.h"
#include "term/canonical.h"

#define STEPS_MAX 32
/* Only a node that hangs lasts longer. */
#define DEADLINE_MS 120000u

static const char *const atoms[] = {
    "ok",       "unicode", "latin1",       "io_lib",       "format",
    "get_line", "getopts", "get_password", "get_geometry", "setopts",
};
static const char *const nodes[] = { "io@127.0.0.1", "a@h" };
static const char *const shapes[] = {
    "{:put_chars, :unicode, ~t}",
    "{:put_chars, :latin1, ~t}",
    "{:put_chars, ~t}",
    "{:put_chars, :unicode, :io_lib, :format, [~t, ~t]}",
    "{:put_chars, :io_lib, :format, [~t, ~t]}",
    "{:put_chars, ~t, ~t, ~t, ~t}",
    "{:requests, ~t}",
    "{:requests, [~t, ~t | ~t]}",
    "{:get_until, :unicode, ~t, ~t, ~t, ~t}",
    "{:get_chars, :unicode, ~t, ~t}",
    "{:get_line, :unicode, ~t}",
    "{:setopts, ~t}",
    "\"~p ~s~n\"",
    "\"~ts~tp~w~c\"",
    "[~t, 10 | ~t]",
    "{~t, ~t}",
};
static const struct words words = WORDS(atoms, nodes, shapes);

static tenon_node *node;
static tenon_process *box;
static tenon_pid self, leader;

static void
no_log(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    (void)line;
    (void)len;
}

static void stop(void)
{
    (void)tenon_process_exit(box, ":normal");
    tenon_process_release(box);
    tenon_node_stop(node);
}

/* Of the runtime only, and the group leader. */
static void start(void)
{
    tenon_error err = { .text = "" };
    const tenon_node_config config = { .name = "io@127.0.0.1",
                                       .cookie = "fuzz",
                                       .listen_address = "127.0.0.1",
                                       .no_epmd = true,
                                       .log = no_log,
                                       .err = &err };
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    MUST(nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) == STDOUT_FILENO);
    close(nowhere);
    node = tn_node_start(&config);
    MUST(node != NULL);
    MUST(tn_io_start(node, &err) == TENON_OK);
    MUST(tn_loop_start(node, &err) == TENON_OK);
    MUST(tenon_term_pid(tn_process_pid(node->group_leader), &leader) == 0);
    box = tenon_mailbox_new(node, NULL, NULL);
    MUST(box != NULL);
    tenon_process_pid(box, &self);
    MUST(atexit(stop) == 0);
}

static void ask(int64_t number, tenon_term request)
{
    MUST(tenon_send_format(node, &(tenon_dest){ .pid = &leader },
                           "{:io_request, ~p, ~i, ~t}", &self, number,
                           request) == TENON_OK);
}

static void must_be_answer(tenon_term result)
{
    tenon_term reason;

    MUST(tenon_term_is_atom(result, "ok") ||
         tenon_term_is_atom(result, "eof") ||
         tenon_term_type(result) == TENON_TYPE_LIST ||
         tenon_match(result, "{:error, ~t}", &reason));
}

/* One answer to each of so many requests. */
static void await(int64_t asked)
{
    bool answered[STEPS_MAX] = { false };
    tenon_value *message;
    tenon_term result;
    int64_t number;

    for (int64_t i = 0; i < asked; i++) {
        MUST(tenon_receive(box, DEADLINE_MS, &message) == TENON_OK);
        MUST(tenon_match(tenon_value_term(message), "{:io_reply, ~i, ~t}",
                         &number, &result));
        MUST(number >= 0 && number < asked && !answered[number]);
        answered[number] = true;
        must_be_answer(result);
        tenon_value_free(message);
    }
}

/* Nothing that is a request, but to somebody else. */
static void say(tenon_term term)
{
    (void)!tenon_send(node, &(tenon_dest){ .pid = &leader }, term, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 32 * 1024
    };
    int64_t asked = 0;

    if (node == NULL) {
        start();
    }
    for (int i = 0; i < STEPS_MAX && in.at < in.end; i++) {
        bool is_request = input_byte(&in) % 8u != 0;
        tenon_value *value = input_value(&in, 0);

        if (value != NULL && is_request &&
            tn_leaves_levels(tenon_value_term(value))) {
            ask(asked++, tenon_value_term(value));
        } else if (value != NULL) {
            say(tenon_value_term(value));
        }
        tenon_value_free(value);
    }
    await(asked);
    return 0;
}
