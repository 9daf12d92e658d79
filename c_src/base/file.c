/* SPDX-License-Identifier: Apache-2.0 */
/* A small file in one piece. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

/* One byte above max is asked for, so that a file that is too long is seen as
 * such. */
static enum tenon_err
read_opened(int fd, size_t max, char *text, size_t *len, int *error)
{
    ssize_t n;

    *len = 0;
    while (*len <= max && (n = read(fd, text + *len, max + 1 - *len)) != 0) {
        if (n < 0 && errno != EINTR) {
            *error = errno;
            return TENON_E_SYSTEM;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return *len > max ? TENON_E_LIMIT : TENON_OK;
}

enum tenon_err tn_file_read(
    const char *path, size_t max, char **text, size_t *len, tenon_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = errno;
    char *room = fd < 0 ? NULL : malloc(max + 2);
    enum tenon_err rc = fd < 0 ? TENON_E_SYSTEM : TENON_E_NOMEM;

    if (room != NULL) {
        rc = read_opened(fd, max, room, len, &error);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (rc == TENON_OK) {
        room[*len] = '\0';
        *text = room;
        return rc;
    }
    free(room);
    switch (rc) {
    case TENON_E_SYSTEM:
        return tn_error_sys(err, rc, error, "reading %s", path);
    case TENON_E_LIMIT:
        return tn_error(err, rc, "reading %s: expected at most %zu bytes", path,
                        max);
    default:
        return tn_error(err, rc, "reading %s: out of memory", path);
    }
}

void tn_open_standard_descriptors(void)
{
    /* open(2) gives the lowest that is free. */
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}
