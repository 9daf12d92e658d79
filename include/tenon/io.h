/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to group leaders and reading lines from them, by the IO protocol of
 * the OTP documents. A group leader is a process of any node: the shell of an
 * iex session, a StringIO, the process `user` of a node. The one that a call
 * brings along is tenon_call_group_leader's:
 *
 *     tenon_pid leader;
 *     tenon_call_group_leader(call, &leader);
 *     tenon_io_put_chars(node, &(tenon_dest){ .pid = &leader },
 *                        TENON_IO_UNICODE, "hello\n", 6, 0, NULL);
 *
 * The own group leader of a C node, which others reach when C runs something
 * on their nodes, writes to standard output and has no input: whoever reads
 * from it gets :eof. */
#ifndef TENON_IO_H
#define TENON_IO_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/rpc.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest line that is read, in bytes. */
#define TENON_IO_LINE_MAX_BYTES (1024u * 1024u)

/* What the bytes of a text are. */
enum tenon_io_encoding {
    TENON_IO_UNICODE, /* UTF-8 */
    TENON_IO_LATIN1,  /* one byte, one character */
};

/* Writes a text and waits until the group leader has taken it, as IO.write/2.
 * It is monitored meanwhile: one that is dead or dies fails the write at once.
 *
 * leader      borrowed; a pid, or a name on a node ("user").
 * text        copied; `len` bytes.
 * timeout_ms  0: TENON_CALL_TIMEOUT_MS; TENON_NO_TIMEOUT.
 * err         borrowed, may be NULL.
 *
 * Errors: NOPROC (dead, or died meanwhile), NODEDOWN, TIMEOUT, NOTSUP (it
 * answered {:error, reason}), BADTERM (it answered something else), INVAL (also
 * text that is not UTF-8 but says so), LIMIT, QUEUE_FULL, STOPPED, NOMEM,
 * NOT_ALLOWED (loop thread).
 * Threads: any but the loop. Blocks: up to timeout_ms.
 * Source: put_chars of the IO protocol. */
TENON_API enum tenon_err tenon_io_put_chars(tenon_node *node,
                                            const tenon_dest *leader,
                                            enum tenon_io_encoding encoding,
                                            const char *text,
                                            size_t len,
                                            uint32_t timeout_ms,
                                            tenon_error *err);

/* The same, calling back with the errors above as the result's code; the value
 * is the reason of NOTSUP. fn NULL: writes and forgets, without a monitor and
 * without a wait. Errors: INVAL, LIMIT, QUEUE_FULL, NOMEM, STOPPED; with an
 * error fn is not called. Threads: any. Blocks: no. Texts that one thread
 * writes to one group leader keep their order. */
TENON_API enum tenon_err
tenon_io_put_chars_async(tenon_node *node,
                         const tenon_dest *leader,
                         enum tenon_io_encoding encoding,
                         const char *text,
                         size_t len,
                         uint32_t timeout_ms,
                         tenon_result_fn fn,
                         void *user);

/* Reads a line, as IO.gets/2. A line that comes after the time is lost.
 *
 * leader  borrowed.
 * prompt  copied, may be NULL; UTF-8.
 * line    set on success; with NOTSUP the reason; else NULL. A binary of UTF-8
 *         with its line end, of at most TENON_IO_LINE_MAX_BYTES (BADTERM
 *         above), or the atom eof. owned: tenon_value_free.
 * The rest, and the errors, as tenon_io_put_chars.
 * Source: get_line of the IO protocol. */
TENON_API TENON_CHECK enum tenon_err tenon_io_get_line(tenon_node *node,
                                                       const tenon_dest *leader,
                                                       const char *prompt,
                                                       uint32_t timeout_ms,
                                                       tenon_value **line,
                                                       tenon_error *err);
/* The same, calling back; fn must not be NULL. As tenon_io_put_chars_async. */
TENON_API TENON_CHECK enum tenon_err
tenon_io_get_line_async(tenon_node *node,
                        const tenon_dest *leader,
                        const char *prompt,
                        uint32_t timeout_ms,
                        tenon_result_fn fn,
                        void *user);

#ifdef __cplusplus
}
#endif

#endif
