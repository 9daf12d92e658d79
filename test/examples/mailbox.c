/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes: a thread that receives, on two nodes that find each other through
 * epmd, and a monitor that tells how the other one ended. */
#include "example.h"

/* Sends {from, text} to the mailbox :here of the other node, which answers. */
static void send_and_answer(tenon_process *ours, tenon_process *theirs)
{
    tenon_pid our_pid, from;
    tenon_value *message;
    const char *text;
    size_t len;

    tenon_process_pid(ours, &our_pid);
    CHECK(tenon_send_format(
              tenon_process_node(ours),
              &(tenon_dest){
                  .name = "here",
                  .node = tenon_node_name(tenon_process_node(theirs)),
              },
              "{~p, \"are you there?\"}", &our_pid) == TENON_OK);

    CHECK(tenon_receive(theirs, SOON_MS, &message) == TENON_OK);
    CHECK(
        tenon_match(tenon_value_term(message), "{~p, ~s}", &from, &text, &len));
    CHECK(tenon_pid_equal(&from, &our_pid));
    CHECK(tenon_send_format(tenon_process_node(theirs),
                            &(tenon_dest){ .pid = &from }, "{:yes, ~u}",
                            (uint64_t)len) == TENON_OK);
    tenon_value_free(message);

    CHECK(tenon_receive(ours, SOON_MS, &message) == TENON_OK);
    CHECK(tenon_match(tenon_value_term(message), "{:yes, 14}"));
    tenon_value_free(message);
}

/* Signals between two processes keep their order: what `theirs` is sent after
 * a monitor was set up arrives after it. */
static void wait_for_monitor(tenon_process *ours, tenon_process *theirs)
{
    tenon_pid their_pid;
    tenon_value *message;

    tenon_process_pid(theirs, &their_pid);
    CHECK(tenon_send_format(tenon_process_node(ours),
                            &(tenon_dest){ .pid = &their_pid },
                            ":watched") == TENON_OK);
    CHECK(tenon_receive(theirs, SOON_MS, &message) == TENON_OK);
    CHECK(tenon_match(tenon_value_term(message), ":watched"));
    tenon_value_free(message);
}

/* Exactly one :DOWN comes, with the reason of the end. */
static void watch_the_end(tenon_process *ours, tenon_process *theirs)
{
    tenon_pid their_pid;
    tenon_ref monitor, in_message;
    tenon_value *message;
    tenon_term who;

    tenon_process_pid(theirs, &their_pid);
    CHECK(tenon_monitor(ours, &(tenon_dest){ .pid = &their_pid }, &monitor) ==
          TENON_OK);
    wait_for_monitor(ours, theirs);
    CHECK(tenon_process_exit(theirs, "{:shutdown, :enough}") == TENON_OK);
    CHECK(tenon_receive(ours, SOON_MS, &message) == TENON_OK);
    CHECK(tenon_match(tenon_value_term(message),
                      "{:DOWN, ~r, :process, ~t, {:shutdown, :enough}}",
                      &in_message, &who));
    CHECK(tenon_ref_equal(&monitor, &in_message));
    tenon_value_free(message);
    CHECK(tenon_receive(ours, 0, &message) == TENON_E_TIMEOUT);
}

/* A name that nobody has: told at once, there is no waiting on silence. */
static void watch_nobody(tenon_process *ours, const char *on)
{
    tenon_ref monitor;
    tenon_value *message;

    CHECK(tenon_monitor(ours, &(tenon_dest){ .name = "nobody", .node = on },
                        &monitor) == TENON_OK);
    CHECK(tenon_receive(ours, SOON_MS, &message) == TENON_OK);
    CHECK(tenon_match(tenon_value_term(message),
                      "{:DOWN, _, :process, {:nobody, _}, :noproc}"));
    tenon_value_free(message);
}

int main(void)
{
    tenon_node *one = start_node("one");
    tenon_node *two = start_node("two");
    tenon_process *ours = tenon_mailbox_new(one, NULL, NULL);
    tenon_process *theirs = tenon_mailbox_new(two, "here", NULL);

    CHECK(ours != NULL && theirs != NULL);
    send_and_answer(ours, theirs);
    watch_the_end(ours, theirs);
    watch_nobody(ours, tenon_node_name(two));
    tenon_process_release(theirs);
    tenon_process_release(ours);
    tenon_node_stop(two);
    tenon_node_stop(one);
    puts("mailbox: sent, answered, monitored");
    return 0;
}
