/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the body of a frame. What is accepted is written again, for
 * peers of several abilities, and read back as the same signal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "dist/frame.h"
#include "dist/signal.h"
#include "fuzz/must.h"

static bool same_view(tenon_term a, tenon_term b)
{
    return a.len == b.len && (a.bytes == NULL) == (b.bytes == NULL) &&
           (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

/* What an older peer's form has no room for is lost. */
static struct tn_signal as_sent(const struct tn_signal *signal, uint64_t flags)
{
    struct tn_signal sent = *signal;

    if (sent.kind == TN_SIG_SEND && !(flags & TN_FLAG(SEND_SENDER))) {
        sent.from = (tenon_term){ NULL, 0 };
    }
    if (sent.kind == TN_SIG_UNLINK && !(flags & TN_FLAG(UNLINK_ID))) {
        sent.id = 0;
    }
    return sent;
}

static void check_same(const struct tn_signal *a, const struct tn_signal *b)
{
    MUST(a->kind == b->kind);
    MUST(same_view(a->from, b->from));
    MUST(same_view(a->to, b->to));
    MUST(same_view(a->ref, b->ref));
    MUST(a->id == b->id);
    MUST(a->flags == b->flags);
    MUST(same_view(a->payload, b->payload));
    MUST(same_view(a->group_leader, b->group_leader));
    MUST(same_view(a->mfa, b->mfa));
    MUST(same_view(a->opts, b->opts));
}

static void write_and_read(const struct tn_signal *signal, uint64_t flags)
{
    struct tn_signal sent = as_sent(signal, flags);
    struct tn_signal again;
    struct tn_frame frame;
    struct tn_buf out;

    tn_buf_init(&out, SIZE_MAX);
    enum tenon_err rc = tn_signal_encode(&out, signal, flags, NULL);

    if (rc < 0) {
        MUST(rc == TENON_E_NOTSUP && out.len == 0);
        return;
    }
    MUST(tn_frame_next(out.bytes, out.len, SIZE_MAX, &frame, NULL) == TENON_OK);
    MUST(frame.kind == TN_FRAME_BODY && frame.whole == out.len);
    MUST(tn_signal_parse(frame.body, frame.len, &again, NULL) == TENON_OK);
    check_same(&sent, &again);
    tn_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint64_t bare = TN_FLAGS_DIGEST_25;
    tenon_error err = { .code = TENON_OK };
    struct tn_signal signal;

    if (tn_signal_parse(data, len, &signal, &err) < 0) {
        MUST(err.code < 0 && memchr(err.text, '\0', sizeof err.text) != NULL);
        return 0;
    }
    if (signal.kind == TN_SIG_SPAWN_REQUEST && signal.payload.bytes == NULL) {
        return 0; /* its arguments were too deep: there is no such request */
    }
    (void)tn_signal_from_peer(&signal, "a@b");
    (void)tn_signal_is_stale_exit(&signal, "a@b", 1);
    /* An UNLINK that came without an id is one of an old peer. */
    if (signal.kind != TN_SIG_UNLINK || signal.id != 0) {
        write_and_read(&signal, TN_FLAGS_OURS);
        write_and_read(&signal, TN_FLAGS_OURS & ~TN_FLAG(ALIAS));
    }
    write_and_read(&signal, TN_FLAGS_OURS & ~TN_FLAG(UNLINK_ID));
    write_and_read(&signal, bare);
    write_and_read(&signal, bare | TN_FLAG(DIST_MONITOR));
    return 0;
}
