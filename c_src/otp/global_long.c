/* SPDX-License-Identifier: Apache-2.0 */
/* What a small message or an answer begins, and takes long: names by the
 * hundred thousand that are written, compared or changed. */
#include "otp/global_core.h"

static bool is_for_worker(struct tn_global *global, size_t bytes)
{
    return bytes > TN_GLOBAL_LONG_BYTES &&
           global->io->leave_to_worker != NULL &&
           global->io->leave_to_worker(global->io_user);
}

void tn_glong_do(struct tn_global *global,
                 struct tn_gpeer *peer,
                 size_t bytes,
                 void (*fn)(struct tn_global *global, struct tn_gpeer *peer))
{
    if (is_for_worker(global, bytes)) {
        peer->due = fn;
    } else {
        fn(global, peer);
    }
}

bool tn_glong_answers(struct tn_global *global)
{
    global->answers_due = is_for_worker(global, global->question_bytes);
    return global->answers_due;
}

/* What it does ends no peer but by a connection that is closed, which is told
 * later. */
void tn_global_go_on(struct tn_global *global)
{
    struct tn_gpeer *peer, *following;

    for (peer = global->peers; peer != NULL; peer = following) {
        void (*fn)(struct tn_global *, struct tn_gpeer *) = peer->due;

        following = peer->hh.next;
        peer->due = NULL;
        if (fn != NULL) {
            fn(global, peer);
        }
    }
    if (global->answers_due) {
        global->answers_due = false;
        tn_global_answer_questions(global);
    }
}
