/* SPDX-License-Identifier: Apache-2.0 */
/* The loop thread: runs libuv and, before each wait, what others have queued
 * for it. */
#ifndef TN_NODE_LOOP_H
#define TN_NODE_LOOP_H

#include <stdint.h>

#include <tenon/error.h>
#include <tenon/node.h>

/* Makes the loop and its handles. Errors: SYSTEM. */
TENON_CHECK enum tenon_err tn_loop_init(tenon_node *node, tenon_error *err);
/* Starts the thread. Errors: SYSTEM. */
TENON_CHECK enum tenon_err tn_loop_start(tenon_node *node, tenon_error *err);

/* Loop thread, at a signal: where a crowd has called in the turn before, what
 * other threads send is gathered, and written at the end of this turn. */
void tn_loop_gather(tenon_node *node);

/* Gives the node's name back to epmd, waits until all output is written, at
 * most timeout_ms, and closes all connections. Threads: one, not the loop. */
void tn_loop_drain(tenon_node *node, uint32_t timeout_ms);

/* Closes what is left, ends the thread and frees the loop. Also for a loop
 * that was never started. Threads: one, not the loop.
 * handlers_ended  false: some still run, and may use tn_node_wake for ever;
 *                 the loop's memory and descriptors then stay. */
void tn_loop_close(tenon_node *node, bool handlers_ended);

/* Loop thread: whether it has done enough in this turn, so that the rest of a
 * long work waits for the next one. At the stop it never has. */
bool tn_loop_is_spent(tenon_node *node);

#endif
