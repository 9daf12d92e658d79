/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of the deepest nesting that is accepted, read on a small stack: what
 * walks them by recursion must fit where handlers run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

/* Sanitizers and unoptimised builds make frames several times larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    !defined(__OPTIMIZE__)
#define STACK_BYTES (16u << 20)
#else
#define STACK_BYTES (1024u << 10)
#endif

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

static void read_back(tenon_term term, char *text, size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term again;

    assert_int_equal(tenon_build_text(builder, text, len, NULL), TENON_OK);
    assert_int_equal(tenon_builder_term(builder, &again), TENON_OK);
    assert_true(tenon_term_equal(term, again));
    assert_true(tenon_match(term, text));
    tenon_builder_free(builder);
}

static void *use_all(void *unused)
{
    (void)unused;
    for (enum kind kind = TUPLE; kind < KINDS; kind++) {
        tenon_value *a = deepest(kind, 1);
        tenon_value *b = deepest(kind, 2);
        tenon_term term = tenon_value_term(a);
        tenon_term scanned;
        size_t len = tenon_term_print(term, NULL, 0);
        char *text = malloc(len + 1);

        assert_int_equal(tenon_term_scan(term.bytes, term.len, &scanned, NULL),
                         TENON_OK);
        assert_true(tenon_term_compare(term, tenon_value_term(b)) < 0);
        assert_false(tenon_term_equal(term, tenon_value_term(b)));
        assert_int_equal(tenon_term_print(term, text, len + 1), len);
        read_back(term, text, len);
        free(text);
        tenon_value_free(a);
        tenon_value_free(b);
    }
    return NULL;
}

static void the_deepest_terms_need_a_small_stack(void **state)
{
    pthread_attr_t attr;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attr, use_all, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deepest_terms_need_a_small_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
