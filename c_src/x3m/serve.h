/* SPDX-License-Identifier: Apache-2.0 */
/* Serving: what happens between the run of a router's function and the reply
 * to the message's reply_to. */
#ifndef TN_X3M_SERVE_H
#define TN_X3M_SERVE_H

#include <tenon/x3m.h>

struct tn_service;

/* The service that a call is of; NULL: it is no service's call. */
const struct tn_service *tn_serve_service_of(tenon_call *call);

#define TN_AUTHORIZED_FUNCTION "authorized?"
#define TN_REGISTERED_FUNCTION "registered_services"
#define TN_INVOKE_FUNCTION "_invoke"

/* Sends a message to its own reply_to. from: a pid, or the null view. Errors:
 * NOMEM, QUEUE_FULL, STOPPED, those of the builder. Any thread, without
 * locks. */
enum tenon_err tn_serve_send(const tenon_message *message, tenon_term from);

/* All are tenon_function_fn. */

/* Router:service(Message); user: the tn_service. Authorizes, runs the handler,
 * replies. Returns ok when the handler has answered, or has returned. */
void tn_serve_service(tenon_call *call, void *user);
/* Router:'authorized?'(Message); user: the router. Returns a boolean. */
void tn_serve_authorized(tenon_call *call, void *user);
/* Router:registered_services() and /1; user: the router. Returns a list. */
void tn_serve_registered(tenon_call *call, void *user);
/* AnyRouter:'_invoke'(local, Handler, Function, Message), a call that another
 * node has authorized and forwarded; user: the tn_x3m. */
void tn_serve_invoke(tenon_call *call, void *user);

#endif
