/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking conversations with epmd, each with a deadline. */
#include "dist/epmd_ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "dist/epmd.h"
#include "dist/sock.h"

#define READ_BYTES 4096u
/* Pause between looks at an epmd that is starting. */
#define START_POLL_MS 10

extern char **environ;

/* ---- waiting ------------------------------------------------------------- */

uint32_t tn_epmd_left_ms(uint64_t deadline_ms)
{
    uint64_t now = tn_now_ms();

    if (now >= deadline_ms) {
        return 0;
    }
    return deadline_ms - now > INT32_MAX ? INT32_MAX
                                         : (uint32_t)(deadline_ms - now);
}

/* 0 when the descriptor is ready, else -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
    struct pollfd pfd = { .fd = fd, .events = events };
    int n;

    do {
        n = poll(&pfd, 1, (int)tn_epmd_left_ms(deadline_ms));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    return n == 0 ? -ETIMEDOUT : 0;
}

/* A connected socket, or -errno. */
static int connect_to(struct tn_address host, uint64_t deadline_ms)
{
    tn_address_set_port(&host, tn_epmd_port());
    int fd = tn_sock_new(tn_address_family(&host));

    if (fd < 0) {
        return fd;
    }
    int rc = tn_sock_connect(fd, &host);

    if (rc > 0) {
        rc = wait_for(fd, POLLOUT, deadline_ms);
        rc = rc < 0 ? rc : tn_sock_connected(fd);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

/* ---- names --------------------------------------------------------------- */

static int write_all(int fd, const struct tn_buf *bytes, uint64_t deadline_ms)
{
    size_t done = 0;

    while (done < bytes->len) {
        ssize_t n = tn_sock_write(fd, bytes->bytes + done, bytes->len - done);

        if (n == -EAGAIN) {
            n = wait_for(fd, POLLOUT, deadline_ms);
        }
        if (n < 0) {
            return (int)n;
        }
        done += (size_t)n;
    }
    return 0;
}

/* Appends what comes until the other side closes. */
static enum tenon_err
read_to_end(int fd, uint64_t deadline_ms, struct tn_buf *out, tenon_error *err)
{
    size_t before = out->len;

    for (;;) {
        uint8_t *at;
        enum tenon_err rc = tn_buf_reserve(out, READ_BYTES, &at);

        if (rc < 0 || out->len - before > TN_EPMD_NAMES_MAX_BYTES) {
            rc = rc < 0 ? rc : TENON_E_LIMIT;
            return tn_error(err, rc, "asking epmd for names: %s",
                            tenon_err_text(rc));
        }
        ssize_t n = tn_sock_read(fd, at, READ_BYTES);

        if (n == -EAGAIN) {
            n = wait_for(fd, POLLIN, deadline_ms);
            if (n == 0) {
                continue;
            }
        }
        if (n == 0) {
            return TENON_OK;
        }
        if (n < 0) {
            return tn_error_sys(
                err, n == -ETIMEDOUT ? TENON_E_TIMEOUT : TENON_E_EPMD, (int)-n,
                "asking epmd for names");
        }
        out->len += (size_t)n;
    }
}

static enum tenon_err
ask_names(int fd, uint64_t deadline_ms, struct tn_buf *out, tenon_error *err)
{
    struct tn_buf request;

    tn_buf_init(&request, 16);
    enum tenon_err rc = tn_epmd_put_names(&request, err);

    if (rc == TENON_OK) {
        int written = write_all(fd, &request, deadline_ms);

        if (written < 0) {
            rc = tn_error_sys(err, TENON_E_EPMD, -written,
                              "asking epmd for names");
        }
    }
    tn_buf_fini(&request);
    return rc < 0 ? rc : read_to_end(fd, deadline_ms, out, err);
}

static enum tenon_err
resolve(const char *host, struct tn_address *address, tenon_error *err)
{
    struct addrinfo hints = { .ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;

    *address = tn_address_loopback(AF_INET);
    if (host == NULL) {
        return TENON_OK;
    }
    int rc = getaddrinfo(host, NULL, &hints, &found);

    if (rc != 0) {
        return tn_error(err, TENON_E_EPMD, "asking the epmd of host \"%s\": %s",
                        host, gai_strerror(rc));
    }
    (void)tn_address_take(found->ai_addr, found->ai_addrlen, AF_INET, address);
    freeaddrinfo(found);
    return TENON_OK;
}

enum tenon_err tn_epmd_names(const char *host,
                             uint32_t timeout_ms,
                             struct tn_buf *out,
                             tenon_error *err)
{
    uint64_t deadline_ms = tn_now_ms() + timeout_ms;
    struct tn_address address;
    enum tenon_err rc = resolve(host, &address, err);

    if (rc < 0) {
        return rc;
    }
    int fd = connect_to(address, deadline_ms);

    if (fd < 0) {
        return tn_error_sys(
            err, fd == -ETIMEDOUT ? TENON_E_TIMEOUT : TENON_E_EPMD, -fd,
            "asking the epmd of host \"%s\" at port %u",
            host != NULL ? host : "localhost", (unsigned)tn_epmd_port());
    }
    rc = ask_names(fd, deadline_ms, out, err);
    close(fd);
    return rc;
}

bool tn_epmd_has_name(const char *alive, uint64_t deadline_ms)
{
    struct tn_buf names;
    struct tn_epmd_name name;
    size_t at = 0;
    bool found = false;

    tn_buf_init(&names, TN_EPMD_NAMES_MAX_BYTES + 2 * READ_BYTES);
    if (tn_epmd_names(NULL, tn_epmd_left_ms(deadline_ms), &names, NULL) ==
        TENON_OK) {
        while (!found &&
               tn_epmd_next_name(names.bytes, names.len, &at, &name)) {
            found = name.name_len == strlen(alive) &&
                    memcmp(name.name, alive, name.name_len) == 0;
        }
    }
    tn_buf_fini(&names);
    return found;
}

/* ---- starting ------------------------------------------------------------ */

/* Asks, because epmd complains of connections that ask nothing. */
bool tn_epmd_is_running(uint64_t deadline_ms)
{
    struct tn_buf names;

    tn_buf_init(&names, TN_EPMD_NAMES_MAX_BYTES + 2 * READ_BYTES);
    enum tenon_err rc =
        tn_epmd_names(NULL, tn_epmd_left_ms(deadline_ms), &names, NULL);

    tn_buf_fini(&names);
    return rc == TENON_OK;
}

/* Runs detached from our terminal and with no signal blocked: it outlives us,
 * and serves other nodes as well. */
static int spawn_daemon(const char *path, pid_t *pid)
{
    char *argv[] = { (char *)"epmd", (char *)"-daemon", NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, 0, 1);
    posix_spawn_file_actions_adddup2(&files, 0, 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawnp(pid, path, &files, &attributes, argv, environ);

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* The places where packages put it, after PATH. */
static int spawn_from_anywhere(pid_t *pid)
{
    static const char *const places[] = {
        "epmd",
        "/usr/bin/epmd",
        "/usr/local/bin/epmd",
        "/usr/lib/erlang/bin/epmd",
        "/usr/local/lib/erlang/bin/epmd",
        "/opt/homebrew/bin/epmd",
    };
    const char *told = getenv("TENON_EPMD");
    int rc = ENOENT;

    if (told != NULL && *told != '\0') {
        return spawn_daemon(told, pid);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rc = spawn_daemon(places[i], pid);
        if (rc == 0) {
            break;
        }
    }
    return rc;
}

/* The process that we started leaves the daemon behind and ends at once.
 * Returns its exit status, or -1 when it has none. */
static int reap(pid_t pid, uint64_t deadline_ms)
{
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 &&
           tn_epmd_left_ms(deadline_ms) > 0) {
        poll(NULL, 0, START_POLL_MS);
    }
    /* A host program that ignores SIGCHLD has the status taken away. */
    return ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum tenon_err tn_epmd_start(uint64_t deadline_ms, tenon_error *err)
{
    pid_t pid;
    int rc = spawn_from_anywhere(&pid);

    if (rc != 0) {
        return tn_error_sys(err, TENON_E_EPMD, rc,
                            "starting epmd: none runs, and the program was not "
                            "found (set TENON_EPMD to its path)");
    }
    int status = reap(pid, deadline_ms);

    /* Of two nodes that start at once, one finds the other's epmd there. */
    if (status > 0 && !tn_epmd_is_running(deadline_ms)) {
        return tn_error(err, TENON_E_EPMD,
                        "starting epmd: the program ended with status %d (set "
                        "TENON_EPMD to its path)",
                        status);
    }
    while (!tn_epmd_is_running(deadline_ms)) {
        if (tn_epmd_left_ms(deadline_ms) == 0) {
            return tn_error(err, TENON_E_EPMD,
                            "starting epmd: it does not answer at port %u",
                            (unsigned)tn_epmd_port());
        }
        poll(NULL, 0, START_POLL_MS);
    }
    return TENON_OK;
}
