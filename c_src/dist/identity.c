/* SPDX-License-Identifier: Apache-2.0 */
/* Node names and cookies, by the rules that iex and erl follow. */
#include "dist/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"

#define COOKIE_FILE ".erlang.cookie"
/* Length of a cookie that is made here, as BEAM nodes make them. */
#define NEW_COOKIE_BYTES 20u
#define PATH_BYTES 1024u

/* ---- names --------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
    return c > ' ' && c != 0x7f && c != '@';
}

static bool all_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_plain((unsigned char)text[i])) {
            return false;
        }
    }
    return len > 0 && tn_utf8_valid((const uint8_t *)text, len, NULL);
}

enum tenon_err
tn_name_split(const char *full, struct tn_name *name, tenon_error *err)
{
    size_t len = strlen(full);
    const char *at = strchr(full, '@');

    if (len > TENON_NODE_NAME_MAX_BYTES) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%.32s...\": expected at most %d bytes, "
                        "got %zu",
                        full, TENON_NODE_NAME_MAX_BYTES, len);
    }
    if (at == NULL || !all_plain(full, (size_t)(at - full)) ||
        !all_plain(at + 1, strlen(at + 1))) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%s\": expected name@host", full);
    }
    memset(name, 0, sizeof *name);
    memcpy(name->full, full, len);
    memcpy(name->alive, full, (size_t)(at - full));
    memcpy(name->host, at + 1, strlen(at + 1));
    return TENON_OK;
}

/* The characters that BEAM nodes allow in the part before the '@'. */
static enum tenon_err
check_alive(const char *text, size_t len, tenon_error *err)
{
    static const char allowed[] = "0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz";

    if (len == 0 || strspn(text, allowed) < len) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%s\": expected letters, digits, '_' and "
                        "'-' before the host part",
                        text);
    }
    if (len > TN_ALIVE_MAX_BYTES) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%.32s...\": expected at most %u bytes "
                        "before the host part, got %zu",
                        text, TN_ALIVE_MAX_BYTES, len);
    }
    return TENON_OK;
}

/* This machine's own name, as it was given to it. */
static enum tenon_err machine_name(char *host, size_t cap, tenon_error *err)
{
    if (gethostname(host, cap) < 0) {
        return tn_error_sys(err, TENON_E_NAME, errno,
                            "node name: asking for this machine's name");
    }
    host[cap - 1] = '\0';
    return TENON_OK;
}

static void take_canonical(char *host, size_t cap)
{
    struct addrinfo hints = { .ai_flags = AI_CANONNAME,
                              .ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;

    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        return;
    }
    if (found->ai_canonname != NULL && strlen(found->ai_canonname) < cap) {
        strcpy(host, found->ai_canonname);
    }
    freeaddrinfo(found);
}

static enum tenon_err
default_host(bool is_long, char *host, size_t cap, tenon_error *err)
{
    enum tenon_err rc = machine_name(host, cap, err);

    if (rc < 0) {
        return rc;
    }
    if (!is_long) {
        host[strcspn(host, ".")] = '\0';
        return TENON_OK;
    }
    if (strchr(host, '.') == NULL) {
        take_canonical(host, cap);
    }
    if (strchr(host, '.') == NULL) {
        return tn_error(err, TENON_E_NAME,
                        "long node name: this machine (\"%s\") has no fully "
                        "qualified name; write name@host, as in "
                        "name@127.0.0.1",
                        host);
    }
    return TENON_OK;
}

static enum tenon_err
check_host(const char *full, const char *host, bool is_long, tenon_error *err)
{
    /* A numeric IPv6 address is a full host name, too. */
    bool has_dot = strpbrk(host, ".:") != NULL;

    if (strlen(host) > TN_HOST_MAX_BYTES) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%s\": expected a host part of at most %u "
                        "bytes",
                        full, TN_HOST_MAX_BYTES);
    }
    if (is_long && !has_dot) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%s\": expected a host part with a dot "
                        "(long names), got \"%s\"",
                        full, host);
    }
    if (!is_long && has_dot) {
        return tn_error(err, TENON_E_NAME,
                        "node name \"%s\": expected a host part without dots "
                        "(short names), got \"%s\"",
                        full, host);
    }
    return TENON_OK;
}

enum tenon_err tn_name_make(const char *text,
                            bool is_long,
                            struct tn_name *name,
                            tenon_error *err)
{
    char host[TENON_NODE_NAME_MAX_BYTES + 1];
    char full[2 * (TENON_NODE_NAME_MAX_BYTES + 1)];
    struct tn_name made;
    const char *at = strchr(text, '@');
    size_t alive_len = at != NULL ? (size_t)(at - text) : strlen(text);
    enum tenon_err rc = check_alive(text, alive_len, err);

    if (rc < 0) {
        return rc;
    }
    if (at == NULL) {
        rc = default_host(is_long, host, sizeof host, err);
        if (rc < 0) {
            return rc;
        }
        snprintf(full, sizeof full, "%s@%s", text, host);
        text = full;
    }
    rc = tn_name_split(text, &made, err);
    if (rc == TENON_OK) {
        rc = check_host(made.full, made.host, is_long, err);
    }
    if (rc == TENON_OK) {
        *name = made;
    }
    return rc;
}

/* ---- cookies ------------------------------------------------------------- */

static bool is_cookie_char(char c)
{
    return c >= ' ' && c <= '~';
}

enum tenon_err tn_cookie_check(const char *source,
                               const char *text,
                               char cookie[TN_COOKIE_MAX_BYTES + 1],
                               tenon_error *err)
{
    size_t len = 0;

    while (is_cookie_char(text[len])) {
        len++;
    }
    if (text[len + strspn(text + len, "\r\n ")] != '\0') {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie from %s: expected printable ASCII characters, "
                        "got others",
                        source);
    }
    if (len == 0 || len > TN_COOKIE_MAX_BYTES) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie from %s: expected 1 to %u bytes, got %zu",
                        source, TN_COOKIE_MAX_BYTES, len);
    }
    memcpy(cookie, text, len);
    cookie[len] = '\0';
    return TENON_OK;
}

static enum tenon_err
check_file(const char *path, const struct stat *info, tenon_error *err)
{
    if (!S_ISREG(info->st_mode)) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie file %s: expected a regular file", path);
    }
    if ((info->st_mode & 077) != 0) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie file %s: must be accessible by its owner only "
                        "(mode 0400), its mode is %04o",
                        path, (unsigned)(info->st_mode & 07777));
    }
    /* Root reads what belongs to the user whose home this is. */
    if (geteuid() != 0 && info->st_uid != geteuid()) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie file %s: must belong to user %u, its owner is "
                        "%u",
                        path, (unsigned)geteuid(), (unsigned)info->st_uid);
    }
    return TENON_OK;
}

static enum tenon_err read_opened(int fd,
                                  const char *path,
                                  char cookie[TN_COOKIE_MAX_BYTES + 1],
                                  tenon_error *err)
{
    /* Room for a cookie that is too long to be seen as such, and line ends. */
    char text[2 * TN_COOKIE_MAX_BYTES];
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return tn_error_sys(err, TENON_E_COOKIE, errno, "cookie file %s", path);
    }
    enum tenon_err rc = check_file(path, &info, err);

    if (rc < 0) {
        return rc;
    }
    ssize_t n = read(fd, text, sizeof text - 1);

    if (n < 0) {
        return tn_error_sys(err, TENON_E_COOKIE, errno, "cookie file %s", path);
    }
    text[n] = '\0';
    if (strlen(text) != (size_t)n) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie file %s: expected text, got a NUL byte", path);
    }
    return tn_cookie_check(path, text, cookie, err);
}

/* NOT_FOUND when there is no such file. */
static enum tenon_err read_file(const char *path,
                                char cookie[TN_COOKIE_MAX_BYTES + 1],
                                tenon_error *err)
{
    /* Opening a pipe by that name must not wait for its other end. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT) {
        return TENON_E_NOT_FOUND;
    }
    if (fd < 0) {
        return tn_error_sys(err, TENON_E_COOKIE, errno, "cookie file %s", path);
    }
    enum tenon_err rc = read_opened(fd, path, cookie, err);

    close(fd);
    return rc;
}

enum tenon_err tn_cookie_read(const char *path,
                              char cookie[TN_COOKIE_MAX_BYTES + 1],
                              tenon_error *err)
{
    enum tenon_err rc = read_file(path, cookie, err);

    return rc == TENON_E_NOT_FOUND ? tn_error(err, TENON_E_COOKIE,
                                              "cookie file %s: not there", path)
                                   : rc;
}

static enum tenon_err make_cookie(char cookie[TN_COOKIE_MAX_BYTES + 1],
                                  tenon_error *err)
{
    uint8_t random[2 * NEW_COOKIE_BYTES];

    if (tn_random_bytes(random, sizeof random) < 0) {
        return tn_error(err, TENON_E_COOKIE, "new cookie: no random bytes");
    }
    for (size_t i = 0; i < NEW_COOKIE_BYTES; i++) {
        /* Two bytes a letter keep the bias below 1 in 2000. */
        cookie[i] = (char)('A' + (random[2 * i] << 8 | random[2 * i + 1]) % 26);
    }
    cookie[NEW_COOKIE_BYTES] = '\0';
    return TENON_OK;
}

/* Written whole under another name first: who looks at the same time sees no
 * file or the whole one, and of two writers one wins. */
static int write_new(const char *path, const char *temporary, const char *text)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR);

    if (fd < 0) {
        return -errno;
    }
    ssize_t n = write(fd, text, strlen(text));
    int rc = n == (ssize_t)strlen(text) ? 0 : -EIO;

    if (close(fd) < 0) {
        rc = -errno;
    }
    if (rc == 0 && link(temporary, path) < 0 && errno != EEXIST) {
        rc = -errno;
    }
    unlink(temporary);
    return rc;
}

static enum tenon_err create_file(const char *path,
                                  char cookie[TN_COOKIE_MAX_BYTES + 1],
                                  tenon_error *err)
{
    char temporary[PATH_BYTES + 32];
    enum tenon_err rc = make_cookie(cookie, err);

    if (rc < 0) {
        return rc;
    }
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    int written = write_new(path, temporary, cookie);

    if (written < 0) {
        return tn_error_sys(err, TENON_E_COOKIE, -written,
                            "creating cookie file %s", path);
    }
    return read_file(path, cookie, err);
}

/* Where user configuration lies: the second place that BEAM nodes look in. */
static bool config_path(const char *home, char path[PATH_BYTES])
{
    const char *config = getenv("XDG_CONFIG_HOME");
    int n;

    if (config != NULL && *config != '\0') {
        n = snprintf(path, PATH_BYTES, "%s/erlang/" COOKIE_FILE, config);
    } else {
        n = snprintf(path, PATH_BYTES, "%s/.config/erlang/" COOKIE_FILE, home);
    }
    return n > 0 && (size_t)n < PATH_BYTES;
}

static enum tenon_err find_file(char cookie[TN_COOKIE_MAX_BYTES + 1],
                                tenon_error *err)
{
    char path[PATH_BYTES], other[PATH_BYTES];
    const char *home = getenv("HOME");

    if (home == NULL || *home == '\0' ||
        strlen(home) > PATH_BYTES - sizeof "/" COOKIE_FILE) {
        return tn_error(err, TENON_E_COOKIE,
                        "cookie file: the environment's HOME names no usable "
                        "directory; give a cookie");
    }
    snprintf(path, sizeof path, "%s/" COOKIE_FILE, home);
    enum tenon_err rc = read_file(path, cookie, err);

    if (rc == TENON_E_NOT_FOUND && config_path(home, other)) {
        rc = read_file(other, cookie, err);
    }
    return rc == TENON_E_NOT_FOUND ? create_file(path, cookie, err) : rc;
}

enum tenon_err tn_cookie_find(const char *given,
                              char cookie[TN_COOKIE_MAX_BYTES + 1],
                              tenon_error *err)
{
    const char *release = getenv("RELEASE_COOKIE");

    if (given != NULL) {
        return tn_cookie_check("the argument", given, cookie, err);
    }
    if (release != NULL && *release != '\0') {
        return tn_cookie_check("RELEASE_COOKIE", release, cookie, err);
    }
    return find_file(cookie, err);
}
