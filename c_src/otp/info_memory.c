/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about memory. */
#include <stdio.h>
#include <unistd.h>

#include "otp/info.h"

static uint64_t all_process_bytes(tenon_node *node)
{
    uint64_t bytes = 0;

    tn_lock(node);
    const struct tn_processes *all = &node->processes;

    for (uint32_t i = 0; i < TN_PID_ID_MAX; i++) {
        if (all->slots[i].process != NULL) {
            bytes += tn_info_process_bytes(all->slots[i].process);
        }
    }
    tn_unlock(node);
    return bytes;
}

/* Resident, in bytes; 0 where the system does not tell. */
static uint64_t resident_bytes(void)
{
    size_t bytes = 0;

    return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

/* The text segments of the program, in bytes; 0 where the system does not
 * tell: fourth number of /proc/self/statm. */
static uint64_t code_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %*u %*u %lu", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void tn_info_measure_memory(tenon_node *node, struct tn_info_memory *memory)
{
    *memory = (struct tn_info_memory){ .total = resident_bytes(),
                                       .processes = all_process_bytes(node),
                                       .code = code_bytes() };
    if (memory->total < memory->processes) {
        memory->total = memory->processes; /* swapped out, or not told */
    }
    if (memory->code > memory->total - memory->processes) {
        memory->code = memory->total - memory->processes;
    }
}

/* In erlang:memory/0's order. */
static void measure(tenon_node *node, uint64_t figures[TN_INFO_MEMORY_PAIRS])
{
    struct tn_info_memory memory;

    tn_info_measure_memory(node, &memory);
    figures[0] = memory.total;
    figures[1] = memory.processes;
    figures[2] = memory.processes;
    figures[3] = memory.total - memory.processes;
    figures[4] = 0;
    figures[5] = 0;
    figures[6] = 0;
    figures[7] = memory.code;
    figures[8] = 0;
}

static const char *const memory_words[TN_INFO_MEMORY_PAIRS] = {
    "total",     "processes", "processes_used", "system", "atom",
    "atom_used", "binary",    "code",           "ets",
};

static void build_pair(tenon_builder *out, const char *word, uint64_t value)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, word);
    tenon_build_uint(out, value);
}

void tn_info_build_memory(tenon_node *node, tenon_builder *out)
{
    uint64_t figures[TN_INFO_MEMORY_PAIRS];

    measure(node, figures);
    for (size_t i = 0; i < TN_INFO_MEMORY_PAIRS; i++) {
        build_pair(out, memory_words[i], figures[i]);
    }
}

static void memory_0(struct tn_question *question)
{
    tenon_build_list(question->out, TN_INFO_MEMORY_PAIRS);
    tn_info_build_memory(question->node, question->out);
    tenon_build_nil(question->out);
}

/* The figure of that name; TN_INFO_MEMORY_PAIRS: there is none. */
static size_t find_memory(tenon_term word)
{
    size_t i = 0;

    while (i < TN_INFO_MEMORY_PAIRS &&
           !tenon_term_is_atom(word, memory_words[i])) {
        i++;
    }
    return i;
}

static void build_some_memory(struct tn_question *question,
                              tenon_term words,
                              const uint64_t figures[TN_INFO_MEMORY_PAIRS])
{
    tenon_cursor at;
    tenon_term word;

    tenon_build_list(question->out, tenon_term_count(words));
    tenon_cursor_init(&at, words);
    while (tenon_cursor_next(&at, &word)) {
        size_t i = find_memory(word);

        if (i == TN_INFO_MEMORY_PAIRS) {
            question->badarg = true;
            return;
        }
        build_pair(question->out, memory_words[i], figures[i]);
    }
    tenon_build_nil(question->out);
}

static void memory_1(struct tn_question *question)
{
    tenon_term which = tn_question_arg(question, 0);
    uint64_t figures[TN_INFO_MEMORY_PAIRS];
    size_t i = find_memory(which);

    measure(question->node, figures);
    if (i < TN_INFO_MEMORY_PAIRS) {
        tenon_build_uint(question->out, figures[i]);
    } else if (tenon_term_is_proper_list(which)) {
        build_some_memory(question, which, figures);
    } else {
        question->badarg = true;
    }
}

const struct tn_info_function tn_info_memory_functions[] = {
    { "erlang", "memory", 0, memory_0, false },
    { "erlang", "memory", 1, memory_1, false },
    { NULL, NULL, 0, NULL, false },
};
