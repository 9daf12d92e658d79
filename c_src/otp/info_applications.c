/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about applications: there is one, tenon, without an environment. */
#include "otp/info.h"

static void build_description(tenon_builder *out)
{
    tn_info_build_chars(out, "A C process as a node");
}

static void build_version(tenon_builder *out)
{
    tn_info_build_chars(out, TENON_VERSION_STRING);
}

static void build_nothing(tenon_builder *out)
{
    tenon_build_nil(out);
}

static void build_infinity(tenon_builder *out)
{
    tenon_build_atom(out, "infinity");
}

static void build_undefined(tenon_builder *out)
{
    tenon_build_atom(out, "undefined");
}

/* In application:get_all_key/1's order. */
static const struct {
    const char *name;
    void (*build)(tenon_builder *out);
} keys[] = {
    { "description", build_description },
    { "id", build_nothing },
    { "vsn", build_version },
    { "modules", build_nothing },
    { "maxP", build_infinity },
    { "maxT", build_infinity },
    { "registered", build_nothing },
    { "included_applications", build_nothing },
    { "optional_applications", build_nothing },
    { "applications", build_nothing },
    { "env", build_nothing },
    { "mod", build_nothing },
    { "start_phases", build_undefined },
};
#define KEYS (sizeof keys / sizeof *keys)

void tn_info_build_application(tenon_builder *out)
{
    tenon_build_tuple(out, 3);
    tenon_build_atom(out, TN_INFO_APPLICATION);
    build_description(out);
    build_version(out);
}

static void applications(struct tn_question *question)
{
    tenon_build_list(question->out, 1);
    tn_info_build_application(question->out);
    tenon_build_nil(question->out);
}

/* ---- what an application's file says ------------------------------------ */

static bool is_known(struct tn_question *question)
{
    return tenon_term_is_atom(tn_question_arg(question, 0),
                              TN_INFO_APPLICATION);
}

static void build_all(tenon_builder *out)
{
    tenon_build_list(out, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        tenon_build_tuple(out, 2);
        tenon_build_atom(out, keys[i].name);
        keys[i].build(out);
    }
    tenon_build_nil(out);
}

/* KEYS: there is no such key, or no such application. */
static size_t find_key(struct tn_question *question)
{
    size_t i = is_known(question) ? 0 : KEYS;

    while (i < KEYS &&
           !tenon_term_is_atom(tn_question_arg(question, 1), keys[i].name)) {
        i++;
    }
    return i;
}

static void get_all_key(struct tn_question *question)
{
    if (is_known(question)) {
        tenon_build_tuple(question->out, 2);
        tenon_build_atom(question->out, "ok");
        build_all(question->out);
    } else {
        tn_info_undefined(question);
    }
}

static void get_key(struct tn_question *question)
{
    size_t i = find_key(question);

    if (i < KEYS) {
        tenon_build_tuple(question->out, 2);
        tenon_build_atom(question->out, "ok");
        keys[i].build(question->out);
    } else {
        tn_info_undefined(question);
    }
}

static void nil(struct tn_question *question)
{
    tenon_build_atom(question->out, "nil");
}

static void spec_1(struct tn_question *question)
{
    if (is_known(question)) {
        build_all(question->out);
    } else {
        nil(question);
    }
}

static void spec_2(struct tn_question *question)
{
    size_t i = find_key(question);

    if (i < KEYS) {
        keys[i].build(question->out);
    } else {
        nil(question);
    }
}

/* ---- the environment ----------------------------------------------------- */

static void no_environment(struct tn_question *question)
{
    tenon_build_nil(question->out);
}

static void the_default(struct tn_question *question)
{
    tenon_build_term(question->out, tn_question_arg(question, 2));
}

static void none(struct tn_question *question)
{
    tenon_build_atom(question->out, "error");
}

const struct tn_info_function tn_info_applications_functions[] = {
    { "application", "get_all_env", 1, no_environment, false },
    { "application", "get_all_key", 1, get_all_key, false },
    { "application", "get_env", 2, tn_info_undefined, false },
    { "application", "get_env", 3, the_default, false },
    { "application", "get_key", 2, get_key, false },
    { "application", "loaded_applications", 0, applications, false },
    { "application", "which_applications", 0, applications, false },
    { "application", "which_applications", 1, applications, false },
    { "Elixir.Application", "fetch_env", 2, none, false },
    { "Elixir.Application", "get_all_env", 1, no_environment, false },
    { "Elixir.Application", "get_env", 2, nil, false },
    { "Elixir.Application", "get_env", 3, the_default, false },
    { "Elixir.Application", "loaded_applications", 0, applications, false },
    { "Elixir.Application", "spec", 1, spec_1, false },
    { "Elixir.Application", "spec", 2, spec_2, false },
    { "Elixir.Application", "started_applications", 0, applications, false },
    { NULL, NULL, 0, NULL, false },
};
