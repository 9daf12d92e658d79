/* SPDX-License-Identifier: Apache-2.0 */
/* Small files in one piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static char path[] = "/tmp/tn-file-XXXXXX";

static int write_it(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0 || write(fd, "0123456789", 10) != 10) {
        return -1;
    }
    return close(fd);
}

static int remove_it(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_file_of_just_the_limit_is_read_whole(void **state)
{
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(tn_file_read(path, 10, &text, &len, NULL), TENON_OK);
    assert_int_equal(len, 10);
    assert_string_equal(text, "0123456789");
    free(text);
}

static void a_larger_file_is_refused_by_its_name(void **state)
{
    tenon_error err = { 0 };
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(tn_file_read(path, 9, &text, &len, &err), TENON_E_LIMIT);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "at most 9 bytes"));
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    tenon_error err = { 0 };
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(tn_file_read("/no/such", 9, &text, &len, &err),
                     TENON_E_SYSTEM);
    assert_string_equal(err.text,
                        "reading /no/such: No such file or directory");
    assert_int_equal(tn_file_read("/tmp", 9, &text, &len, &err),
                     TENON_E_SYSTEM);
}

static void a_pipe_that_nobody_writes_is_not_waited_for(void **state)
{
    char pipe[] = "/tmp/tn-file-dir-XXXXXX/pipe";
    char *slash = strrchr(pipe, '/');
    char *text;
    size_t len;

    (void)state;
    *slash = '\0';
    assert_non_null(mkdtemp(pipe));
    *slash = '/';
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(tn_file_read(pipe, 9, &text, &len, NULL), TENON_OK);
    assert_int_equal(len, 0);
    free(text);
    unlink(pipe);
    *slash = '\0';
    rmdir(pipe);
}

/* In a child, which has nothing to lose; a bit for each descriptor that is
 * closed. 0: as it shall be. */
static int start_without(unsigned closed)
{
    struct stat null_device, opened;
    int next = dup(STDERR_FILENO);

    close(next);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if ((closed & 1u << fd) != 0) {
            close(fd);
        }
    }
    tn_open_standard_descriptors();
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if ((closed & 1u << fd) != 0 &&
            (stat("/dev/null", &null_device) != 0 || fstat(fd, &opened) != 0 ||
             opened.st_rdev != null_device.st_rdev)) {
            return 1;
        }
    }
    return dup(STDERR_FILENO) == next ? 0 : 2;
}

static void standard_descriptors_that_are_closed_are_opened(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            _exit(start_without(closed));
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_just_the_limit_is_read_whole),
        cmocka_unit_test(a_larger_file_is_refused_by_its_name),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_pipe_that_nobody_writes_is_not_waited_for),
        cmocka_unit_test(standard_descriptors_that_are_closed_are_opened),
    };
    return cmocka_run_group_tests(tests, write_it, remove_it);
}
