/* SPDX-License-Identifier: Apache-2.0 */
/* This node's registration at epmd: made through ei, watched, renewed. */
#include "dist/epmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ei.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "dist/epmd_ask.h"
#include "dist/sock.h"

/* What ei needs, apart from the rest: an attempt may run on another thread. */
struct registration {
    struct tn_name name;
    char cookie[TN_COOKIE_MAX_BYTES + 1];
    uint32_t creation;
    uint16_t port;
};

struct tn_epmd {
    uv_loop_t *loop;
    const struct tn_log *log;
    struct registration what; /* constant */
    int fd;                   /* holds the name; -1: not registered */
    uv_poll_t poll;           /* closed with fd, made anew with it */
    uv_timer_t retry;
    uv_work_t work;
    bool is_working;
    int work_fd;          /* result of the work */
    tenon_error work_err; /* likewise */
    bool is_taken_logged;
    bool is_freed;
    unsigned open_handles;
};

enum tenon_err tn_epmd_creation(uint32_t *creation, tenon_error *err)
{
    do {
        if (tn_random_bytes(creation, sizeof *creation) < 0) {
            return tn_error(err, TENON_E_SYSTEM, "creation: no random bytes");
        }
    } while (*creation < 4);
    return TENON_OK;
}

/* ---- one attempt --------------------------------------------------------- */

static void init_ei(void)
{
    (void)ei_init();
}

/* The descriptor that holds the name, or -1. */
static int publish(const struct registration *what, uint32_t timeout_ms)
{
    static uv_once_t once = UV_ONCE_INIT;
    struct in_addr ip = { htonl(INADDR_LOOPBACK) };
    ei_cnode node;

    uv_once(&once, init_ei);
    if (ei_connect_xinit(&node, what->name.host, what->name.alive,
                         what->name.full, &ip, what->cookie,
                         what->creation) < 0) {
        return -1;
    }
    int fd = ei_publish_tmo(&node, what->port, timeout_ms);

    return fd < 0 ? -1 : fd;
}

/* ei tells a taken name and an epmd that answers badly by the same errno, so
 * the name is asked for. */
static enum tenon_err attempt(const struct registration *what,
                              uint64_t deadline_ms,
                              int *fd,
                              tenon_error *err)
{
    if (!tn_epmd_has_name(what->name.alive, deadline_ms)) {
        uint32_t left_ms = tn_epmd_left_ms(deadline_ms);

        /* To ei, 0 is for ever. */
        *fd = publish(what, left_ms > 0 ? left_ms : 1);
        if (*fd >= 0) {
            return TENON_OK;
        }
    }
    if (tn_epmd_has_name(what->name.alive, deadline_ms)) {
        return tn_error(err, TENON_E_NAME_TAKEN,
                        "node name \"%s\": another node of this machine is "
                        "registered as \"%s\"",
                        what->name.full, what->name.alive);
    }
    return tn_error(err, TENON_E_EPMD,
                    "registering node name \"%s\": epmd at port %u does not "
                    "take it",
                    what->name.full, (unsigned)tn_epmd_port());
}

/* ---- released ------------------------------------------------------------ */

static void release_when_done(tn_epmd *epmd)
{
    if (epmd->is_freed && epmd->open_handles == 0 && !epmd->is_working) {
        free(epmd);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    tn_epmd *epmd = handle->data;

    epmd->open_handles--;
    release_when_done(epmd);
}

static void try_again(uv_timer_t *timer);

static void on_poll_closed(uv_handle_t *handle)
{
    tn_epmd *epmd = handle->data;

    epmd->open_handles--;
    if (!epmd->is_freed) {
        uv_timer_start(&epmd->retry, try_again, TN_EPMD_RETRY_MS, 0);
    }
    release_when_done(epmd);
}

static void drop_fd(tn_epmd *epmd)
{
    if (epmd->fd < 0) {
        return;
    }
    uv_close((uv_handle_t *)&epmd->poll, on_poll_closed);
    close(epmd->fd);
    epmd->fd = -1;
}

/* ---- kept ---------------------------------------------------------------- */

/* epmd says nothing more on this connection; ei leaves the end of its answer
 * there. Its close is what counts. */
static void on_epmd(uv_poll_t *poll, int status, int events)
{
    tn_epmd *epmd = poll->data;
    char rest[64];

    (void)status;
    (void)events;
    ssize_t n = tn_sock_read(epmd->fd, rest, sizeof rest);

    if (n > 0 || n == -EAGAIN) {
        return;
    }
    tn_log(epmd->log, TN_WARN, "epmd_lost", "node", epmd->what.name.full, NULL);
    drop_fd(epmd);
}

static enum tenon_err keep_fd(tn_epmd *epmd, int fd, tenon_error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return tn_error_sys(err, TENON_E_EPMD, errno,
                            "keeping the connection to epmd");
    }
    int rc = uv_poll_init(epmd->loop, &epmd->poll, fd);

    if (rc < 0) {
        return tn_error_sys(err, TENON_E_EPMD, -rc,
                            "keeping the connection to epmd");
    }
    epmd->fd = fd;
    epmd->poll.data = epmd;
    epmd->open_handles++;
    uv_poll_start(&epmd->poll, UV_READABLE, on_epmd);
    return TENON_OK;
}

/* ---- renewed ------------------------------------------------------------- */

static void on_work(uv_work_t *work)
{
    tn_epmd *epmd = work->data;

    if (attempt(&epmd->what, tn_now_ms() + TN_EPMD_ATTEMPT_MS, &epmd->work_fd,
                &epmd->work_err) < 0) {
        epmd->work_fd = -1;
    }
}

static void log_attempt(tn_epmd *epmd)
{
    const tenon_error *err = &epmd->work_err;

    if (epmd->fd >= 0) {
        epmd->is_taken_logged = false;
        tn_log(epmd->log, TN_INFO, "epmd_registered", "node",
               epmd->what.name.full, NULL);
    } else if (err->code == TENON_E_NAME_TAKEN && !epmd->is_taken_logged) {
        epmd->is_taken_logged = true;
        tn_log(epmd->log, TN_ERROR, "epmd_name_taken", "node",
               epmd->what.name.full, "reason", err->text, NULL);
    }
}

static void on_work_done(uv_work_t *work, int status)
{
    tn_epmd *epmd = work->data;

    epmd->is_working = false;
    if (status < 0) {
        epmd->work_fd = -1;
    }
    if (epmd->work_fd >= 0 &&
        (epmd->is_freed || keep_fd(epmd, epmd->work_fd, &epmd->work_err) < 0)) {
        close(epmd->work_fd);
    }
    if (epmd->is_freed) {
        release_when_done(epmd);
        return;
    }
    log_attempt(epmd);
    if (epmd->fd < 0) {
        uv_timer_start(&epmd->retry, try_again, TN_EPMD_RETRY_MS, 0);
    }
}

static void try_again(uv_timer_t *timer)
{
    tn_epmd *epmd = timer->data;

    epmd->work.data = epmd;
    epmd->is_working = true;
    if (uv_queue_work(epmd->loop, &epmd->work, on_work, on_work_done) < 0) {
        epmd->is_working = false;
        uv_timer_start(&epmd->retry, try_again, TN_EPMD_RETRY_MS, 0);
    }
}

/* ---- made ---------------------------------------------------------------- */

static enum tenon_err
first_attempt(tn_epmd *epmd, uint32_t timeout_ms, tenon_error *err)
{
    uint64_t deadline_ms = tn_now_ms() + timeout_ms;
    int fd;

    if (!tn_epmd_is_running(deadline_ms)) {
        enum tenon_err rc = tn_epmd_start(deadline_ms, err);

        if (rc < 0) {
            return rc;
        }
    }
    enum tenon_err rc = attempt(&epmd->what, deadline_ms, &fd, err);

    if (rc < 0) {
        return rc;
    }
    rc = keep_fd(epmd, fd, err);
    if (rc < 0) {
        close(fd);
    }
    return rc;
}

enum tenon_err tn_epmd_register(uv_loop_t *loop,
                                const struct tn_name *name,
                                const char *cookie,
                                uint32_t creation,
                                uint16_t port,
                                uint32_t timeout_ms,
                                const struct tn_log *log,
                                tn_epmd **epmd,
                                tenon_error *err)
{
    tn_epmd *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return tn_error(err, TENON_E_NOMEM, "registering: out of memory");
    }
    made->loop = loop;
    made->log = log;
    made->fd = -1;
    made->what = (struct registration){ .name = *name,
                                        .creation = creation,
                                        .port = port };
    snprintf(made->what.cookie, sizeof made->what.cookie, "%s", cookie);
    enum tenon_err rc = first_attempt(made, timeout_ms, err);

    if (rc < 0) {
        free(made);
        return rc;
    }
    uv_timer_init(loop, &made->retry);
    made->retry.data = made;
    made->open_handles++;
    *epmd = made;
    return TENON_OK;
}

void tn_epmd_free(tn_epmd *epmd)
{
    if (epmd == NULL || epmd->is_freed) {
        return;
    }
    epmd->is_freed = true;
    drop_fd(epmd);
    uv_close((uv_handle_t *)&epmd->retry, on_handle_closed);
    if (epmd->is_working) {
        uv_cancel((uv_req_t *)&epmd->work);
    }
}
