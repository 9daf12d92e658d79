/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a tenon_error: the code and a printf-like text in one line. */
#ifndef TN_BASE_ERROR_H
#define TN_BASE_ERROR_H

#include <stdarg.h>

#include <tenon/error.h>

/* Fills `err` and returns `code`, so that a failure is one statement:
 *
 *     return tn_error(err, TENON_E_NAME, "node name \"%s\": ...", name);
 *
 * err  borrowed, may be NULL. A text that is too long is cut and ends in
 *      "...".
 * Threads: any. Blocks: no. */
enum tenon_err
tn_error(tenon_error *err, enum tenon_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As tn_error, with ": <text of sys_errno>" behind, and sys_errno kept. */
enum tenon_err tn_error_sys(tenon_error *err,
                            enum tenon_err code,
                            int sys_errno,
                            const char *fmt,
                            ...) __attribute__((format(printf, 4, 5)));

enum tenon_err tn_error_va(tenon_error *err,
                           enum tenon_err code,
                           const char *fmt,
                           va_list args) __attribute__((format(printf, 3, 0)));

/* The system's text for an errno, put into buf (always NUL-terminated).
 * Returns the text, which may lie elsewhere than in buf. */
const char *tn_errno_text(int sys_errno, char *buf, size_t cap);

#endif
