/* SPDX-License-Identifier: Apache-2.0 */
/* The group leader of what this node spawns elsewhere: output of those
 * processes goes to this program's standard output; there is no input. */
#ifndef TN_OTP_IO_H
#define TN_OTP_IO_H

#include <tenon/io.h>
#include <tenon/node.h>

#include "base/buf.h"

/* Most bytes of text that one request may print. */
#define TN_IO_TEXT_MAX_BYTES (1024u * 1024u)

/* Starts the group leader of the node, before it is published.
 * Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_io_start(tenon_node *node, tenon_error *err);

/* Appends the text of chardata as UTF-8: binaries in the encoding, code points,
 * and lists of those. Errors: TERM_TYPE (something else is in it, or bytes that
 * are not of the encoding), LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_io_text(struct tn_buf *out,
                                      enum tenon_io_encoding encoding,
                                      tenon_term chardata);

/* Appends the text of io_lib:format(format, args): ~s ~p ~w ~a ~c ~b and their
 * t forms, ~n and ~~, with fields and padding passed over; terms are printed
 * as tenon_term_print does. Errors: as above; TERM_SHAPE (unknown control
 * sequence, too few or too many arguments). */
TENON_CHECK enum tenon_err
tn_io_format(struct tn_buf *out, tenon_term format, tenon_term args);

#endif
