/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of the error codes, and how a tenon_error is filled. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

const char *tenon_err_text(enum tenon_err code)
{
    switch (code) {
    case TENON_OK:
        return "ok";
#define ERR_TEXT(name, number, text)                                           \
    case TENON_E_##name:                                                       \
        return text;
        TENON_ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
    }
    return "unknown error";
}

const char *tenon_err_name(enum tenon_err code)
{
    switch (code) {
    case TENON_OK:
        return "OK";
#define ERR_NAME(name, number, text)                                           \
    case TENON_E_##name:                                                       \
        return #name;
        TENON_ERR_LIST(ERR_NAME)
#undef ERR_NAME
    }
    return "UNKNOWN";
}

const char *tn_errno_text(int sys_errno, char *buf, size_t cap)
{
#ifdef __GLIBC__
    return strerror_r(sys_errno, buf, cap);
#else
    if (strerror_r(sys_errno, buf, cap) != 0) {
        snprintf(buf, cap, "error %d", sys_errno);
    }
    return buf;
#endif
}

/* A cut text ends in "...", and not in the middle of a UTF-8 character. */
static void mark_cut(char *text, size_t cap)
{
    size_t at = cap - 4;

    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80) {
        at--;
    }
    memcpy(text + at, "...", 4);
}

enum tenon_err tn_error_va(tenon_error *err,
                           enum tenon_err code,
                           const char *fmt,
                           va_list args)
{
    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->sys_errno = 0;
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);

    if (n < 0) {
        snprintf(err->text, sizeof err->text, "%s", tenon_err_text(code));
    } else if ((size_t)n >= sizeof err->text) {
        mark_cut(err->text, sizeof err->text);
    }
    return code;
}

enum tenon_err
tn_error(tenon_error *err, enum tenon_err code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    tn_error_va(err, code, fmt, args);
    va_end(args);
    return code;
}

enum tenon_err tn_error_sys(
    tenon_error *err, enum tenon_err code, int sys_errno, const char *fmt, ...)
{
    char reason[96];
    va_list args;

    if (err == NULL) {
        return code;
    }
    va_start(args, fmt);
    tn_error_va(err, code, fmt, args);
    va_end(args);
    err->sys_errno = sys_errno;

    size_t len = strlen(err->text);
    size_t room = sizeof err->text - len;
    int n = snprintf(err->text + len, room, ": %s",
                     tn_errno_text(sys_errno, reason, sizeof reason));

    if (n < 0 || (size_t)n >= room) {
        mark_cut(err->text, sizeof err->text);
    }
    return code;
}
