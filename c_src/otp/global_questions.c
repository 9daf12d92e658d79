/* SPDX-License-Identifier: Apache-2.0 */
/* Questions for names, which wait while names are being changed. */
#include <stdlib.h>
#include <string.h>

#include "otp/global_core.h"

static void answer_whereis(struct tn_global *global,
                           tenon_term name,
                           tenon_term from,
                           tenon_term tag)
{
    tenon_pid pid;
    tenon_value *answer = tn_global_find(global, name, &pid) == TENON_OK
                              ? tenon_value_format("~p", &pid)
                              : tenon_value_format(":undefined");

    if (answer != NULL) {
        global->io->reply(global->io_user, from, tag, tenon_value_term(answer));
    }
    tenon_value_free(answer);
}

static void free_question(struct tn_gquestion *question)
{
    tn_gkept_give_back(&question->kept);
    tenon_value_free(question->name);
    tenon_value_free(question->from);
    tenon_value_free(question->tag);
    free(question);
}

/* False: it cannot wait. */
static bool keep_question(struct tn_global *global,
                          tenon_term name,
                          tenon_term from,
                          tenon_term tag)
{
    /* There is no name that long. */
    if (global->question_count >= TN_GLOBAL_WAITING_MAX ||
        name.len > TENON_GLOBAL_KEY_MAX_BYTES) {
        return false;
    }
    struct tn_gquestion *question = calloc(1, sizeof *question);

    if (question == NULL ||
        !tn_gkept_take(global, &question->kept, TN_QUOTA_WAITING,
                       TN_GLOBAL_PEER_WAITING_MAX,
                       sizeof *question + name.len + from.len + tag.len)) {
        free(question);
        return false;
    }
    question->name = tenon_value_new(name);
    question->from = tenon_value_new(from);
    question->tag = tenon_value_new(tag);
    if (question->name == NULL || question->from == NULL ||
        question->tag == NULL) {
        free_question(question);
        return false;
    }
    STAILQ_INSERT_TAIL(&global->questions, question, next);
    global->question_count++;
    global->question_bytes += name.len;
    return true;
}

/* While names are being changed nobody can say what holds: the asker waits,
 * as it does when it asks a BEAM node. */
void tn_global_answer_whereis(struct tn_global *global,
                              tenon_term name,
                              tenon_term from,
                              tenon_term tag)
{
    if (!tn_glock_names_locked(global) ||
        !keep_question(global, name, from, tag)) {
        answer_whereis(global, name, from, tag);
    }
}

static void leave_queue(struct tn_global *global, struct tn_gquestion *question)
{
    STAILQ_REMOVE(&global->questions, question, tn_gquestion, next);
    global->question_count--;
    global->question_bytes -= tenon_value_term(question->name).len;
}

void tn_global_answer_questions(struct tn_global *global)
{
    struct tn_gquestion *question;

    if (tn_glong_answers(global)) {
        return;
    }
    while ((question = STAILQ_FIRST(&global->questions)) != NULL) {
        leave_queue(global, question);
        answer_whereis(global, tenon_value_term(question->name),
                       tenon_value_term(question->from),
                       tenon_value_term(question->tag));
        free_question(question);
    }
}

void tn_gquestions_fini(struct tn_global *global)
{
    struct tn_gquestion *question;

    while ((question = STAILQ_FIRST(&global->questions)) != NULL) {
        leave_queue(global, question);
        free_question(question);
    }
}

void tn_gquestions_node_lost(struct tn_global *global, const char *node)
{
    struct tn_gquestion *question, *following;

    for (question = STAILQ_FIRST(&global->questions); question != NULL;
         question = following) {
        following = STAILQ_NEXT(question, next);
        if (tn_gpid_is_of(tenon_value_term(question->from), node)) {
            leave_queue(global, question);
            free_question(question);
        }
    }
}

bool tn_gpid_is_of(tenon_term term, const char *node)
{
    tenon_pid pid;

    return tenon_term_pid(term, &pid) == TENON_OK &&
           strcmp(pid.node, node) == 0;
}
