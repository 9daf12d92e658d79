/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that are exchanged with epmd; no I/O. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "dist/bytes.h"
#include "dist/epmd.h"

#define PORT2_REQ 122
#define PORT2_RESP 119
#define NAMES_REQ 110

uint16_t tn_epmd_port(void)
{
    const char *text = getenv("ERL_EPMD_PORT");
    char *end;

    if (text == NULL || *text == '\0') {
        return TN_EPMD_PORT_DEFAULT;
    }
    long port = strtol(text, &end, 10);

    return *end == '\0' && port > 0 && port <= UINT16_MAX
               ? (uint16_t)port
               : TN_EPMD_PORT_DEFAULT;
}

/* A request: length:16, tag, text. */
static enum tenon_err
put_request(struct tn_buf *out, uint8_t tag, const char *text, tenon_error *err)
{
    size_t len = strlen(text);
    uint8_t *at;

    if (len > TENON_NODE_NAME_MAX_BYTES) {
        return tn_error(err, TENON_E_INVAL,
                        "asking epmd: expected a name of at most %d bytes, got "
                        "%zu",
                        TENON_NODE_NAME_MAX_BYTES, len);
    }
    enum tenon_err rc = tn_buf_reserve(out, 3 + len, &at);

    if (rc < 0) {
        return tn_error(err, rc, "asking epmd: %s", tenon_err_text(rc));
    }
    at = tn_add16(at, 1 + len);
    *at++ = tag;
    memcpy(at, text, len);
    out->len += 3 + len;
    return TENON_OK;
}

enum tenon_err
tn_epmd_put_lookup(struct tn_buf *out, const char *alive, tenon_error *err)
{
    return put_request(out, PORT2_REQ, alive, err);
}

enum tenon_err tn_epmd_put_names(struct tn_buf *out, tenon_error *err)
{
    return put_request(out, NAMES_REQ, "", err);
}

/* 119, result:8; when that is 0: port:16, and what does not concern us: type,
 * protocol, versions, name, extra. */
int tn_epmd_get_lookup(const uint8_t *bytes,
                       size_t len,
                       uint16_t *port,
                       tenon_error *err)
{
    if (len > 0 && bytes[0] != PORT2_RESP) {
        return tn_error(err, TENON_E_EPMD,
                        "asking epmd for a port: expected tag 119, got %d",
                        bytes[0]);
    }
    if (len > 1 && bytes[1] != 0) {
        return tn_error(err, TENON_E_NOT_FOUND,
                        "epmd knows no node of that name");
    }
    if (len < 4) {
        return 0;
    }
    if (tn_get16(bytes + 2) == 0) {
        return tn_error(err, TENON_E_EPMD,
                        "asking epmd for a port: expected one, got 0");
    }
    *port = tn_get16(bytes + 2);
    return 1;
}

/* name <name> at port <port> */
static bool read_line(const char *line, size_t len, struct tn_epmd_name *name)
{
    static const char head[] = "name ";
    static const char middle[] = " at port ";
    const size_t head_len = sizeof head - 1;
    const size_t middle_len = sizeof middle - 1;
    uint32_t port = 0;

    if (len < head_len || memcmp(line, head, head_len) != 0) {
        return false;
    }
    const char *at =
        memmem(line + head_len, len - head_len, middle, middle_len);

    if (at == NULL || at == line + head_len) {
        return false;
    }
    for (const char *p = at + middle_len; p < line + len; p++) {
        if (*p < '0' || *p > '9' || port > UINT16_MAX) {
            return false;
        }
        port = port * 10 + (uint32_t)(*p - '0');
    }
    if (port == 0 || port > UINT16_MAX) {
        return false;
    }
    name->name = line + head_len;
    name->name_len = (size_t)(at - name->name);
    name->port = (uint16_t)port;
    return true;
}

bool tn_epmd_next_name(const uint8_t *bytes,
                       size_t len,
                       size_t *at,
                       struct tn_epmd_name *name)
{
    if (*at < 4) {
        *at = 4;
    }
    while (*at < len) {
        const char *line = (const char *)bytes + *at;
        const char *end = memchr(line, '\n', len - *at);
        size_t line_len = end != NULL ? (size_t)(end - line) : len - *at;

        *at += line_len + (end != NULL);
        if (read_line(line, line_len, name)) {
            return true;
        }
    }
    return false;
}
