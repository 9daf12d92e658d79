/* SPDX-License-Identifier: Apache-2.0 */
/* What a message is new with: its id and its time. */
#ifndef TN_X3M_MESSAGE_NEW_H
#define TN_X3M_MESSAGE_NEW_H

#include <stdint.h>

#include <tenon/x3m.h>

/* Characters of an id: base64url of 15 bytes. */
#define TN_MESSAGE_ID_CHARS 20

/* Writes an id: 56 bits of time, in units of 256 ns, and 64 that nobody can
 * foretell.
 *
 * token  of tn_node_make_token.
 * text   TN_MESSAGE_ID_CHARS and a NUL are written. */
void tn_message_id_format(uint64_t now_ns,
                          uint64_t token,
                          char text[TN_MESSAGE_ID_CHARS + 1]);

/* Appends the DateTime of that moment, in UTC, to the microsecond. */
enum tenon_err tn_build_datetime(tenon_builder *out, int64_t wall_ns);

/* Sets invoked_at to now. Errors: NOMEM. */
TENON_CHECK enum tenon_err tn_message_set_invoked_at(tenon_message *message);

#endif
