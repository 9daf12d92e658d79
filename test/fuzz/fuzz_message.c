/* SPDX-License-Identifier: Apache-2.0 */
/* Any term as a message of X3m.System. One that is read is written as the same
 * term, and takes changes; after each it is still a message, with what was
 * put in. */
#include "fuzz/input.h"
#include "unit/x3m/bare_node.h"
#include "x3m/message.h"

static const char *const atoms[] = {
#define FIELD_TEXT(name, text, types) text,
    TN_FIELD_LIST(FIELD_TEXT)
#undef FIELD_TEXT
        "nil",
    "true",
    "false",
    "verbose",
    TN_MESSAGE_MODULE,
};
static const char *const nodes[] = { "c@localhost", "x3ma@localhost" };
/* Each field as it is by rule, or any term in its place. */
static const char *const shapes[] = {
    "%{__struct__: :\"Elixir.X3m.System.Message\", service_name: :s, "
    "id: \"1\", correlation_id: \"1\", causation_id: nil, logger_metadata: [], "
    "invoked_at: nil, dry_run: false, raw_request: ~t, request: ~t, "
    "valid?: true, assigns: %{}, response: ~t, events: [~t, ~t], "
    "aggregate_meta: %{}, origin_node: :a@h, reply_to: #PID<a@h.1.0>, "
    "halted?: false}",
    "%{__struct__: :\"Elixir.X3m.System.Message\", service_name: ~t, id: ~t, "
    "correlation_id: \"1\", causation_id: \"1\", logger_metadata: ~t, "
    "invoked_at: ~t, dry_run: ~t, raw_request: nil, request: nil, "
    "valid?: true, assigns: ~t, response: nil, events: [], "
    "aggregate_meta: %{version: 1}, origin_node: :a@h, "
    "reply_to: #PID<a@h.1.0>, halted?: true, own_field: 1, \"x\" => 2}",
    "%{__struct__: :\"Elixir.X3m.System.Message\", service_name: :s, "
    "id: \"1\", correlation_id: ~t, causation_id: ~t, logger_metadata: [a: 1], "
    "invoked_at: nil, dry_run: :verbose, raw_request: %{\"id\" => ~t}, "
    "request: nil, valid?: ~t, assigns: %{a: 1}, response: nil, events: ~t, "
    "aggregate_meta: ~t, origin_node: ~t, reply_to: ~t, halted?: false}",
    "%{__struct__: ~t, __exception__: ~t}",
    "%{~t => ~t, ~t => ~t}",
    "#PID<a@h.1.0>",
};
static const struct words words = WORDS(atoms, nodes, shapes);

static bool has_pairs(tenon_term map, size_t count)
{
    return tenon_term_type(map) == TENON_TYPE_MAP &&
           tenon_term_count(map) == count;
}

/* A field is replaced by itself, so that the whole is really written. */
static void
write_again(struct bare_node *bare, tenon_message *message, tenon_term term)
{
    tenon_error err = { .code = TENON_OK };
    tenon_term id = tn_message_field(message, TN_FIELD_ID);

    MUST(tn_message_set(message, TN_FIELD_ID, id) == TENON_OK);
    tenon_term written = tenon_message_term(message);

    MUST(has_pairs(written, tenon_term_count(term)));
    MUST(tenon_term_equal(written, term));
    tenon_message *again = tenon_message_from_term(bare->node, written, &err);

    MUST(again != NULL);
    MUST(tenon_term_equal(tenon_message_term(again), term));
    tenon_message_free(again);
}

static void change(tenon_message *message, struct input *in)
{
    tenon_value *value = input_value(in, 0);
    tenon_term term = tenon_value_term(value);
    const char *word = input_word(in, atoms, COUNT_OF(atoms));

    switch (term.bytes == NULL ? 255 : input_byte(in) % 9u) {
    case 0:
        (void)tenon_message_assign(message, word, term);
        break;
    case 1:
        (void)tenon_message_put_in_raw_request(message, term, term);
        break;
    case 2:
        (void)tenon_message_add_event(message, term);
        break;
    case 3:
        (void)tenon_message_put_aggregate_meta(message, word, term);
        break;
    case 4:
        (void)tenon_message_put_request(message, term);
        break;
    case 5:
        (void)tenon_message_prepare_aggregate_id(message, term, true);
        break;
    case 6:
        (void)tenon_message_return(message, "~t", term);
        break;
    case 7:
        (void)tenon_message_to_service(message, word);
        break;
    default:
        (void)tenon_message_set_dry_run(message, TENON_DRY_RUN_VERBOSE);
    }
    tenon_value_free(value);
}

static void
read_message(struct bare_node *bare, struct input *in, tenon_term term)
{
    tenon_error err = { .code = TENON_OK };
    tenon_message *message = tenon_message_from_term(bare->node, term, &err);

    if (message == NULL) {
        MUST(err.code == TENON_E_BADTERM && err.text[0] != '\0');
        return;
    }
    write_again(bare, message, term);
    for (int i = 0; i < 16 && in->at < in->end; i++) {
        change(message, in);
        tenon_message *copy = tn_message_copy(message);

        tenon_term whole = tenon_message_term(message);

        /* What was put in may be too deep for the whole. */
        MUST((copy == NULL) == (whole.bytes == NULL));
        if (copy == NULL) {
            break;
        }
        MUST(has_pairs(whole, tenon_term_count(term)));
        MUST(tenon_term_equal(tenon_message_term(copy), whole));
        tenon_message_free(copy);
    }
    tenon_message_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct bare_node bare;
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 64 * 1024
    };

    if (bare.node == NULL) {
        bare_node_start(&bare);
    }
    tenon_value *value = input_value(&in, 0);

    if (value != NULL) {
        read_message(&bare, &in, tenon_value_term(value));
    }
    tenon_value_free(value);
    return 0;
}
