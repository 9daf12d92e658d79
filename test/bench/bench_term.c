/* SPDX-License-Identifier: Apache-2.0 */
/* What a message costs in term/: scanning it, taking it apart with a pattern,
 * building the answer. One line each: name, value, unit, parameters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "base/clock.h"
#include "term/build.h"
#include "term/scan.h"

#define ROUNDS 300000

static void report(const char *name, uint64_t start_ns, const char *what)
{
    double each = (double)(tn_now_ns() - start_ns) / ROUNDS;

    printf("%s %.0f ns %s\n", name, each, what);
}

static void must(enum tenon_err rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", tenon_err_text(rc));
        exit(1);
    }
}

static void bench_scan(tenon_term term, const char *what)
{
    uint64_t start = tn_now_ns();
    size_t used;

    for (int i = 0; i < ROUNDS; i++) {
        must(tn_scan(term.bytes, term.len, &used, NULL));
    }
    report("scan", start, what);
}

static void bench_match(tenon_term call)
{
    uint64_t start = tn_now_ns();
    tenon_term from;
    int64_t a;
    int64_t b;

    for (int i = 0; i < ROUNDS; i++) {
        if (!tenon_match(call, "{:\"$gen_call\", ~t, {:sum, [~i, ~i]}}", &from,
                         &a, &b)) {
            exit(1);
        }
    }
    report("match", start, "a gen_server call of a sum");
}

static void bench_format(tenon_builder *builder)
{
    uint64_t start = tn_now_ns();

    for (int i = 0; i < ROUNDS; i++) {
        tenon_builder_reset(builder);
        must(tenon_format(builder, "{:ok, %{sum: ~i}}", (int64_t)i));
    }
    report("format", start, "{:ok, %{sum: ~i}}");
}

static void bench_build(tenon_builder *builder)
{
    uint64_t start = tn_now_ns();

    for (int i = 0; i < ROUNDS; i++) {
        tenon_builder_reset(builder);
        tenon_build_list(builder, 100);
        for (int j = 0; j < 100; j++) {
            tenon_build_int(builder, j);
        }
        must(tenon_build_nil(builder));
    }
    report("build", start, "a list of 100 integers");
}

int main(void)
{
    tenon_pid pid = { 101, 0, 1, "caller@127.0.0.1" };
    tenon_ref ref = { 1, 3, { 1, 2, 3 }, "caller@127.0.0.1" };
    tenon_value *call =
        tenon_value_format("{:\"$gen_call\", {~p, [:alias | ~r]}, {:sum, [~i, "
                           "~i]}}",
                           &pid, &ref, (int64_t)1, (int64_t)2);
    tenon_builder *builder = tenon_builder_new();
    tenon_term list;

    if (call == NULL || builder == NULL) {
        return 1;
    }
    bench_scan(tenon_value_term(call), "a gen_server call of a sum");
    bench_match(tenon_value_term(call));
    bench_format(builder);
    bench_build(builder);
    must(tenon_builder_term(builder, &list));
    bench_scan(list, "a list of 100 integers");
    tenon_builder_free(builder);
    tenon_value_free(call);
    return 0;
}
