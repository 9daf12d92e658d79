/* SPDX-License-Identifier: Apache-2.0 */
/* Capability flags and control operations against the headers that the
 * installed OTP ships, and the rules about sets of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "dist/signal.h"
#include "unit/support/wire.h"

struct named {
    const char *name;
    uint64_t value;
};

static const struct named our_flags[] = {
#define FLAG(name, bit) { #name, TN_FLAG(name) },
    TN_FLAG_LIST(FLAG)
#undef FLAG
};

static const struct named our_ops[] = {
#define OP(name, number) { #name, number },
    TN_OP_LIST(OP)
#undef OP
};

/* What a command prints, without its last newline. */
static char *output_of(const char *command)
{
    FILE *pipe = popen(command, "r");
    static char line[512];

    assert_non_null(pipe);
    if (fgets(line, sizeof line, pipe) == NULL) {
        line[0] = '\0';
    }
    assert_int_equal(pclose(pipe), 0);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* Where an application of the installed OTP lies. */
static void app_file(const char *app, const char *file, char path[600])
{
    char command[256];

    snprintf(command, sizeof command,
             "erl -noshell -boot no_dot_erlang -eval "
             "'io:put_chars(code:lib_dir(%s)), halt().'",
             app);
    snprintf(path, 600, "%s/%s", output_of(command), file);
}

static const struct named *
find(const struct named *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

#define FIND(list, name) find((list), sizeof(list) / sizeof *(list), (name))

/* -define(DFLAG_SPAWN,        (16#01 bsl 32)). */
static bool read_define(const char *line, char name[64], uint64_t *value)
{
    char *number;
    const char *hex = strstr(line, "16#");
    const char *shift = strstr(line, " bsl ");

    if (sscanf(line, "-define(DFLAG_%63[A-Z0-9_],", name) != 1 || hex == NULL) {
        return false;
    }
    *value = strtoull(hex + 3, &number, 16);
    if (shift != NULL) {
        *value <<= strtoul(shift + 5, NULL, 10);
    }
    return true;
}

static void flags_are_those_of_the_installed_otp(void **state)
{
    char path[600];
    unsigned compared = 0;

    (void)state;
    app_file("kernel", "include/dist.hrl", path);
    char *text = wire_text(path);

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64];
        uint64_t value;

        if (!read_define(line, name, &value) || strcmp(name, "RESERVED") == 0) {
            continue;
        }
        const struct named *ours = FIND(our_flags, name);

        if (ours == NULL) {
            print_message("not known here: DFLAG_%s\n", name);
            continue;
        }
        if (ours->value != value) {
            fail_msg("%s: 0x%llx here, 0x%llx there", name,
                     (unsigned long long)ours->value,
                     (unsigned long long)value);
        }
        compared++;
    }
    free(text);
    assert_true(compared >= 26);
}

static void operations_are_those_of_the_installed_ei(void **state)
{
    char path[600];
    unsigned compared = 0;

    (void)state;
    app_file("erl_interface", "include/ei.h", path);
    char *text = wire_text(path);

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64];
        unsigned value;

        if (sscanf(line, "#define ERL_%63[A-Z0-9_] %u", name, &value) != 2) {
            continue;
        }
        const struct named *ours = FIND(our_ops, name);

        if (ours != NULL) {
            assert_int_equal(ours->value, value);
            compared++;
        }
    }
    free(text);
    /* 1 to 8, 12, 13, 16, 18 to 21; the later ones are in captured frames. */
    assert_int_equal(compared, 15);
}

static void advertised_sets_hold_what_they_must(void **state)
{
    const uint64_t needed_by_27 = TN_FLAGS_DIGEST_25 | TN_FLAG(V4_NC) |
                                  TN_FLAG(UNLINK_ID) |
                                  TN_FLAG(MANDATORY_25_DIGEST);
    const uint64_t never = TN_FLAG(ATOM_CACHE) | TN_FLAG(HIDDEN_ATOM_CACHE) |
                           TN_FLAG(LOCAL_EXT) | TN_FLAG(NAME_ME) |
                           TN_FLAG(DIST_HDR_ATOM_CACHE) | TN_FLAG(FRAGMENTS);

    (void)state;
    assert_true((TN_FLAGS_OURS & needed_by_27) == needed_by_27);
    assert_true((TN_FLAGS_OURS & never) == 0);
    assert_true((TN_FLAGS_OURS & TN_FLAG(PUBLISHED)) != 0);
    assert_true((TN_FLAGS_OURS_HIDDEN & TN_FLAG(PUBLISHED)) == 0);
}

static void every_supported_release_has_what_is_mandatory(void **state)
{
    static const uint64_t visible[] = { 0x101DF7FBD, 0xD07DF7FBD,
                                        0x6D07DF7FBD };

    (void)state;
    for (size_t i = 0; i < sizeof visible / sizeof *visible; i++) {
        assert_true((TN_FLAGS_MANDATORY & ~tn_flags_expand(visible[i])) == 0);
    }
}

static void the_digest_expands_to_eleven_flags(void **state)
{
    (void)state;
    assert_int_equal(__builtin_popcountll(TN_FLAGS_DIGEST_25), 11);
    assert_true(tn_flags_expand(TN_FLAG(MANDATORY_25_DIGEST)) ==
                (TN_FLAG(MANDATORY_25_DIGEST) | TN_FLAGS_DIGEST_25));
    assert_true(tn_flags_expand(TN_FLAG(SPAWN)) == TN_FLAG(SPAWN));
}

static void flags_are_printed_by_name_and_cut_between_names(void **state)
{
    char buf[64], small[16];

    (void)state;
    assert_string_equal(tn_flags_print(0, buf, sizeof buf), "");
    assert_string_equal(
        tn_flags_print(TN_FLAG(MAP_TAG) | TN_FLAG(SPAWN) | 1ull << 63, buf,
                       sizeof buf),
        "MAP_TAG,SPAWN,bit63");
    tn_flags_print(TN_FLAG(MAP_TAG) | TN_FLAG(BIG_CREATION), small,
                   sizeof small);
    assert_true(strlen(small) < sizeof small);
    assert_non_null(strstr(small, "MAP_TAG"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_those_of_the_installed_otp),
        cmocka_unit_test(operations_are_those_of_the_installed_ei),
        cmocka_unit_test(advertised_sets_hold_what_they_must),
        cmocka_unit_test(every_supported_release_has_what_is_mandatory),
        cmocka_unit_test(the_digest_expands_to_eleven_flags),
        cmocka_unit_test(flags_are_printed_by_name_and_cut_between_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
