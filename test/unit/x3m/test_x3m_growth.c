/* SPDX-License-Identifier: Apache-2.0 */
/* What registries tell each other, and messages, are read and written in linear
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "term/build.h"
#include "unit/support/growth.h"
#include "unit/support/hash_key.h"
#include "x3m/message.h"
#include "x3m/registry_message.h"
#include "x3m/services.h"

#define SERVICES 100u
#define NAME_BYTES 32u

struct registry {
    struct tn_remotes remotes;
    tenon_value *map[GROWTH_SIZES];  /* of services */
    tenon_value *list[GROWTH_SIZES]; /* of other nodes' terms */
    char (*names)[NAME_BYTES];
    struct tn_announced *services;
};

static tenon_value *services_of(const struct registry *registry, unsigned size)
{
    size_t count = SERVICES * growth_scale(size);
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    assert_int_equal(tn_registry_build(out, TN_REGISTRY_REGISTER, "a@b",
                                       registry->services, count),
                     TENON_OK);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

static void announce(void *user, unsigned size)
{
    tenon_value_free(services_of(user, size));
}

/* Of many services, then of none that could be. */
static void fold(void *user, unsigned size)
{
    struct registry *registry = user;
    struct tn_registry_message message;
    size_t left_out;

    assert_int_equal(
        tn_registry_read(tenon_value_term(registry->map[size]), &message),
        TENON_OK);
    for (int node = 0; node < 2; node++) {
        assert_int_equal(tn_remotes_fold(&registry->remotes,
                                         node == 0 ? "a@b" : "c@d",
                                         message.services, &left_out),
                         TENON_OK);
        assert_int_equal(left_out, 0);
    }
    assert_int_equal(tn_remotes_fold(&registry->remotes, "a@b",
                                     tenon_value_term(registry->list[size]),
                                     &left_out),
                     TENON_OK);
    assert_true(left_out > 0);
    tn_remotes_drop_node(&registry->remotes, "a@b");
    tn_remotes_drop_node(&registry->remotes, "c@d");
}

static void announcements_take_linear_time(void **state)
{
    struct registry registry = { .remotes = { .hash_key = &test_hash_key } };
    size_t most = SERVICES * growth_scale(GROWTH_SIZES - 1);

    (void)state;
    registry.names = calloc(most, sizeof *registry.names);
    registry.services = calloc(most, sizeof *registry.services);
    assert_true(registry.names != NULL && registry.services != NULL);
    for (size_t i = 0; i < most; i++) {
        snprintf(registry.names[i], NAME_BYTES, "service%zu", i);
        registry.services[i] =
            (struct tn_announced){ registry.names[i], "Elixir.M" };
    }
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        registry.map[size] = services_of(&registry, size);
        registry.list[size] = growth_term(GROWTH_LISTS, size, 1);
    }
    assert_growth("announcing", announce, &registry);
    assert_growth("announcements", fold, &registry);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(registry.map[size]);
        tenon_value_free(registry.list[size]);
    }
    tn_remotes_fini(&registry.remotes);
    free(registry.names);
    free(registry.services);
}

/* ---- messages ---------------------------------------------------------- */

struct messages {
    tenon_value *terms[GROWTH_SIZES];
    tenon_value *value[GROWTH_SIZES];
};

/* Events are a list, and turned round by a response. */
static tenon_value *message_with(tenon_term term)
{
    tenon_value *events = tenon_term_is_proper_list(term)
                              ? tenon_value_new(term)
                              : tenon_value_format("[~t, ~t]", term, term);
    tenon_value *message = tenon_value_format(
        "%{:__struct__ => X3m.System.Message, :service_name => :s, :id => "
        "\"i\", :correlation_id => \"i\", :causation_id => \"i\", "
        ":logger_metadata => [], :invoked_at => nil, :dry_run => false, "
        ":raw_request => ~t, :request => nil, :valid? => true, :assigns => "
        "%{:a => ~t}, :response => nil, :events => ~t, :aggregate_meta => "
        "%{}, :origin_node => :n, :reply_to => ~p, :halted? => false}",
        term, term, tenon_value_term(events), &(tenon_pid){ .node = "a@b" });

    tenon_value_free(events);
    assert_non_null(message);
    return message;
}

/* As a service with a handler does: read, changed, answered, written. */
static void serve(void *user, unsigned size)
{
    const struct messages *messages = user;
    tenon_term value = tenon_value_term(messages->value[size]);
    tenon_message message;
    tenon_builder out;

    assert_int_equal(tn_message_init(&message, NULL,
                                     tenon_value_term(messages->terms[size]),
                                     NULL),
                     TENON_OK);
    assert_int_equal(tenon_message_assign(&message, "b", value), TENON_OK);
    assert_int_equal(tenon_message_put_in_raw_request(&message, value, value),
                     tenon_term_type(value) == TENON_TYPE_MAP ? TENON_OK
                                                              : TENON_E_INVAL);
    assert_int_equal(tenon_message_add_event(&message, value), TENON_OK);
    assert_int_equal(tenon_message_ok(&message, "~t", value), TENON_OK);
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    assert_int_equal(tn_message_build(&message, &out), TENON_OK);
    tn_builder_fini(&out);
    tn_message_fini(&message);
}

static void messages_of_any_shape_take_linear_time(void **state)
{
    (void)state;
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        struct messages messages;

        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            messages.value[size] = growth_term(shape, size, 1);
            messages.terms[size] =
                message_with(tenon_value_term(messages.value[size]));
        }
        assert_growth(growth_name(shape), serve, &messages);
        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            tenon_value_free(messages.value[size]);
            tenon_value_free(messages.terms[size]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(announcements_take_linear_time),
        cmocka_unit_test(messages_of_any_shape_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
