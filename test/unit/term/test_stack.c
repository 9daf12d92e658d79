/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of the deepest nesting that is accepted, read on a small stack: a peer
 * chooses how deep they are, and the system how large a thread's stack is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include <tenon/term.h>

#include "otp/io.h"
#include "term/build.h"
#include "term/canonical.h"
#include "unit/support/terms.h"

/* Sanitizers and unoptimised builds make frames several times larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    !defined(__OPTIMIZE__)
#define STACK_FACTOR 8u
#else
#define STACK_FACTOR 1u
#endif
/* What a thread has after `ulimit -s 128`. Of a peer's terms half must do. */
#define TEXT_STACK_BYTES (STACK_FACTOR * 128u * 1024u)
#define STACK_BYTES (TEXT_STACK_BYTES / 2)

/* One level of each kind of nesting, around the inner term. */
enum kind { TUPLE, LIST, KEYWORD, KEY, VALUE, TAIL, KINDS };

static void open_level(tenon_builder *builder, enum kind kind)
{
    switch (kind) {
    case TUPLE:
        tenon_build_tuple(builder, 1);
        break;
    case LIST:
        tenon_build_list(builder, 1);
        break;
    case KEYWORD:
        tenon_build_tuple(builder, 2);
        tenon_build_atom(builder, "a");
        break;
    case KEY:
        tenon_build_map(builder, 1);
        break;
    case VALUE:
        tenon_build_map(builder, 2);
        tenon_build_atom(builder, "b");
        tenon_build_nil(builder);
        tenon_build_atom(builder, "a");
        break;
    default:
        tenon_build_list(builder, 1);
        tenon_build_nil(builder);
        tenon_build_tuple(builder, 1);
        break;
    }
}

static void close_level(tenon_builder *builder, enum kind kind)
{
    if (kind == LIST || kind == KEY) {
        tenon_build_nil(builder);
    }
}

static tenon_value *deepest(enum kind kind, int64_t innermost)
{
    int levels = kind == TAIL ? TENON_TERM_MAX_DEPTH / 2 : TENON_TERM_MAX_DEPTH;
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    for (int i = 0; i < levels; i++) {
        open_level(builder, kind);
    }
    tenon_build_int(builder, innermost);
    for (int i = 0; i < levels; i++) {
        close_level(builder, kind);
    }
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(builder);
    return value;
}

/* A pair of terms that differ in the innermost place. */
struct pair {
    tenon_term a;
    tenon_term b;
    const char *text; /* of a */
    void (*use)(const struct pair *pair);
};

static void read_terms(const struct pair *pair)
{
    static struct tenon_builder out; /* 2 KiB that are not the reader's */
    struct tn_buf text;
    tenon_term term;

    assert_int_equal(tenon_term_scan(pair->a.bytes, pair->a.len, &term, NULL),
                     TENON_OK);
    assert_true(tenon_term_compare(pair->a, pair->b) < 0);
    assert_false(tenon_term_equal(pair->a, pair->b));
    assert_int_equal(tenon_term_print(pair->a, NULL, 0), strlen(pair->text));
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    assert_int_equal(tn_build_canonical(&out, pair->a), TENON_OK);
    assert_int_equal(tenon_builder_term(&out, &term), TENON_OK);
    assert_true(tenon_term_equal(term, pair->a));
    tn_builder_fini(&out);
    tn_buf_init(&text, TENON_TERM_MAX_BYTES);
    (void)!tn_io_text(&text, TENON_IO_UNICODE, pair->a);
    tn_buf_fini(&text);
}

static void read_text(const struct pair *pair)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term again;

    assert_int_equal(
        tenon_build_text(builder, pair->text, strlen(pair->text), NULL),
        TENON_OK);
    assert_int_equal(tenon_builder_term(builder, &again), TENON_OK);
    assert_true(tenon_term_equal(pair->a, again));
    assert_true(tenon_match(pair->a, pair->text));
    tenon_builder_free(builder);
}

static void *run(void *user)
{
    const struct pair *pair = user;

    pair->use(pair);
    return NULL;
}

static void run_on_stack(struct pair *pair, size_t stack_bytes)
{
    pthread_attr_t attr;
    pthread_t thread;

    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, stack_bytes), 0);
    assert_int_equal(pthread_create(&thread, &attr, run, pair), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

static void use_deepest(void (*use)(const struct pair *pair),
                        size_t stack_bytes)
{
    for (enum kind kind = TUPLE; kind < KINDS; kind++) {
        tenon_value *a = deepest(kind, 1);
        tenon_value *b = deepest(kind, 2);
        struct pair pair = {
            .a = tenon_value_term(a),
            .b = tenon_value_term(b),
            .text = text_of(tenon_value_term(a)),
            .use = use,
        };

        run_on_stack(&pair, stack_bytes);
        tenon_value_free(a);
        tenon_value_free(b);
    }
}

static void the_deepest_terms_are_read_on_a_small_stack(void **state)
{
    (void)state;
    use_deepest(read_terms, STACK_BYTES);
}

static void the_deepest_texts_are_read_on_a_small_stack(void **state)
{
    (void)state;
    use_deepest(read_text, TEXT_STACK_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deepest_terms_are_read_on_a_small_stack),
        cmocka_unit_test(the_deepest_texts_are_read_on_a_small_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
