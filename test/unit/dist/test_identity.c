/* SPDX-License-Identifier: Apache-2.0 */
/* Node names as iex takes them, and cookies as BEAM nodes find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dist/identity.h"

/* ---- names --------------------------------------------------------------- */

static void names_with_a_host_part_are_taken_as_they_are(void **state)
{
    struct tn_name name;

    (void)state;
    assert_int_equal(tn_name_make("n@host", false, &name, NULL), TENON_OK);
    assert_string_equal(name.full, "n@host");
    assert_string_equal(name.alive, "n");
    assert_string_equal(name.host, "host");
    assert_int_equal(tn_name_make("n_1-x@127.0.0.1", true, &name, NULL),
                     TENON_OK);
    assert_string_equal(name.host, "127.0.0.1");
    assert_int_equal(tn_name_make("n@a.b.example", true, &name, NULL),
                     TENON_OK);
}

static void a_short_name_without_host_gets_this_machines(void **state)
{
    char host[256], expected[300];
    struct tn_name name;

    (void)state;
    assert_int_equal(gethostname(host, sizeof host), 0);
    host[strcspn(host, ".")] = '\0';
    snprintf(expected, sizeof expected, "n@%s", host);
    assert_int_equal(tn_name_make("n", false, &name, NULL), TENON_OK);
    assert_string_equal(name.full, expected);
}

static void a_long_name_without_host_is_qualified_or_says_so(void **state)
{
    struct tn_name name;
    tenon_error err;

    (void)state;
    if (tn_name_make("n", true, &name, &err) == TENON_OK) {
        assert_non_null(strchr(name.host, '.'));
    } else {
        assert_int_equal(err.code, TENON_E_NAME);
        assert_non_null(strstr(err.text, "no fully qualified name"));
    }
}

static void expect_refused(const char *text, bool is_long, const char *part)
{
    struct tn_name name;
    tenon_error err;

    assert_int_equal(tn_name_make(text, is_long, &name, &err), TENON_E_NAME);
    if (strstr(err.text, part) == NULL) {
        fail_msg("\"%s\": expected \"...%s...\", got \"%s\"", text, part,
                 err.text);
    }
}

static void unusable_names_say_what_is_expected(void **state)
{
    char long_alive[80] = "";

    (void)state;
    expect_refused("n@a.b", false, "without dots (short names), got \"a.b\"");
    expect_refused("n@host", true, "with a dot (long names), got \"host\"");
    expect_refused("", false, "letters, digits");
    expect_refused("@host", false, "letters, digits");
    expect_refused("a b@host", false, "letters, digits");
    expect_refused("n@", false, "expected name@host");
    expect_refused("n@h@i", false, "expected name@host");
    expect_refused("n@h i", false, "expected name@host");
    memset(long_alive, 'a', 64);
    expect_refused(long_alive, false, "at most 63 bytes");
}

static void full_names_are_split_at_their_only_at(void **state)
{
    struct tn_name name;
    char too_long[300];

    (void)state;
    assert_int_equal(tn_name_split("n.x@h.y", &name, NULL), TENON_OK);
    assert_string_equal(name.alive, "n.x");
    assert_string_equal(name.host, "h.y");
    assert_int_equal(tn_name_split("n", &name, NULL), TENON_E_NAME);
    assert_int_equal(tn_name_split("a@b\n", &name, NULL), TENON_E_NAME);
    assert_int_equal(tn_name_split("\xff@b", &name, NULL), TENON_E_NAME);
    memset(too_long, 'a', sizeof too_long);
    too_long[1] = '@';
    too_long[256] = '\0';
    assert_int_equal(tn_name_split(too_long, &name, NULL), TENON_E_NAME);
    too_long[255] = '\0';
    assert_int_equal(tn_name_split(too_long, &name, NULL), TENON_OK);
}

/* ---- cookies ------------------------------------------------------------- */

static char home[64];
static char path[128];

/* A home directory of the test's own. */
static int make_home(void **state)
{
    (void)state;
    strcpy(home, "/tmp/tenon-home-XXXXXX");
    if (mkdtemp(home) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/.erlang.cookie", home);
    setenv("HOME", home, 1);
    unsetenv("RELEASE_COOKIE");
    unsetenv("XDG_CONFIG_HOME");
    return 0;
}

static int remove_home(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    return rmdir(home);
}

static void write_cookie(const char *text, size_t len, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void the_argument_goes_before_the_environment(void **state)
{
    char cookie[TN_COOKIE_MAX_BYTES + 1];

    (void)state;
    setenv("RELEASE_COOKIE", "release", 1);
    write_cookie("file", 4, 0400);
    assert_int_equal(tn_cookie_find("given", cookie, NULL), TENON_OK);
    assert_string_equal(cookie, "given");
    assert_int_equal(tn_cookie_find(NULL, cookie, NULL), TENON_OK);
    assert_string_equal(cookie, "release");
    unsetenv("RELEASE_COOKIE");
    assert_int_equal(tn_cookie_find(NULL, cookie, NULL), TENON_OK);
    assert_string_equal(cookie, "file");
}

static void ends_of_line_are_no_part_of_the_cookie(void **state)
{
    char cookie[TN_COOKIE_MAX_BYTES + 1];

    (void)state;
    write_cookie("SECRET\r\n\n", 9, 0600);
    assert_int_equal(tn_cookie_find(NULL, cookie, NULL), TENON_OK);
    assert_string_equal(cookie, "SECRET");
}

static void expect_bad_cookie(const char *part)
{
    char cookie[TN_COOKIE_MAX_BYTES + 1];
    tenon_error err;

    assert_int_equal(tn_cookie_find(NULL, cookie, &err), TENON_E_COOKIE);
    if (strstr(err.text, part) == NULL) {
        fail_msg("expected \"...%s...\", got \"%s\"", part, err.text);
    }
    assert_null(strchr(err.text, '\n'));
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    write_cookie("SECRET", 6, 0440);
    expect_bad_cookie("accessible by its owner only (mode 0400), its mode is "
                      "0440");
    write_cookie("SECRET", 6, 0404);
    expect_bad_cookie("its mode is 0404");
}

static void files_without_a_usable_cookie_are_refused(void **state)
{
    char long_text[300];

    (void)state;
    write_cookie("", 0, 0400);
    expect_bad_cookie("expected 1 to 255 bytes, got 0");
    memset(long_text, 'x', sizeof long_text);
    write_cookie(long_text, 256, 0400);
    expect_bad_cookie("expected 1 to 255 bytes, got 256");
    write_cookie("a\tb", 3, 0400);
    expect_bad_cookie("printable ASCII");
    write_cookie("two\nlines", 9, 0400);
    expect_bad_cookie("printable ASCII");
    write_cookie("a\0b", 3, 0400);
    expect_bad_cookie("got a NUL byte");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_bad_cookie("expected a regular file");
}

static void a_missing_file_is_made_once(void **state)
{
    char first[TN_COOKIE_MAX_BYTES + 1], second[TN_COOKIE_MAX_BYTES + 1];
    struct stat info;

    (void)state;
    assert_int_equal(tn_cookie_find(NULL, first, NULL), TENON_OK);
    assert_int_equal(strlen(first), 20);
    for (size_t i = 0; i < 20; i++) {
        assert_true(isupper((unsigned char)first[i]));
    }
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(tn_cookie_find(NULL, second, NULL), TENON_OK);
    assert_string_equal(first, second);
}

static void no_home_is_said(void **state)
{
    (void)state;
    setenv("HOME", "", 1);
    expect_bad_cookie("HOME");
    setenv("HOME", "/nonexistent/home", 1);
    expect_bad_cookie("creating cookie file /nonexistent/home/.erlang.cookie");
}

int main(void)
{
#define COOKIE_TEST(test)                                                      \
    cmocka_unit_test_setup_teardown(test, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_a_host_part_are_taken_as_they_are),
        cmocka_unit_test(a_short_name_without_host_gets_this_machines),
        cmocka_unit_test(a_long_name_without_host_is_qualified_or_says_so),
        cmocka_unit_test(unusable_names_say_what_is_expected),
        cmocka_unit_test(full_names_are_split_at_their_only_at),
        COOKIE_TEST(the_argument_goes_before_the_environment),
        COOKIE_TEST(ends_of_line_are_no_part_of_the_cookie),
        COOKIE_TEST(a_file_that_others_can_read_is_refused),
        COOKIE_TEST(files_without_a_usable_cookie_are_refused),
        COOKIE_TEST(a_missing_file_is_made_once),
        COOKIE_TEST(no_home_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
