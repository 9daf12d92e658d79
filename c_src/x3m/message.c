/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: reading one from a term, its fields, and writing it again. What
 * is put into a new one is in message_new.c, the changes that users make are
 * in message_change.c. */
#include "x3m/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "term/build.h"
#include "term/bytes.h"
#include "term/print.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/view.h"

static const struct field_rule {
    const char *text;
    size_t len;
    const char *types;
} rules[TN_FIELDS] = {
#define FIELD_RULE(name, text, types) { text, sizeof text - 1, types },
    TN_FIELD_LIST(FIELD_RULE)
#undef FIELD_RULE
};

/* ---- constants -------------------------------------------------------- */

static const uint8_t nil_bytes[] = { TN_SMALL_ATOM_UTF8, 3, 'n', 'i', 'l' };
static const uint8_t true_bytes[] = {
    TN_SMALL_ATOM_UTF8, 4, 't', 'r', 'u', 'e'
};
static const uint8_t false_bytes[] = {
    TN_SMALL_ATOM_UTF8, 5, 'f', 'a', 'l', 's', 'e'
};
static const uint8_t empty_list_bytes[] = { TN_NIL };

tenon_term tn_const_nil(void)
{
    return (tenon_term){ nil_bytes, sizeof nil_bytes };
}

tenon_term tn_const_bool(bool value)
{
    return value ? (tenon_term){ true_bytes, sizeof true_bytes }
                 : (tenon_term){ false_bytes, sizeof false_bytes };
}

tenon_term tn_const_empty_list(void)
{
    return (tenon_term){ empty_list_bytes, sizeof empty_list_bytes };
}

bool tn_is_atom_text(const char *text)
{
    size_t characters;

    return text != NULL && text[0] != '\0' &&
           tn_utf8_valid((const uint8_t *)text, strlen(text), &characters) &&
           characters <= TN_ATOM_MAX_CHARACTERS;
}

/* ---- reading ---------------------------------------------------------- */

static bool is_name(const struct tn_atom_view *atom,
                    const struct field_rule *rule)
{
    return atom->len == rule->len &&
           atom->bytes[rule->len - 1] == (uint8_t)rule->text[rule->len - 1] &&
           memcmp(atom->bytes, rule->text, rule->len) == 0;
}

/* The field of that name; TN_FIELDS when it is none that C knows. */
static unsigned field_of_key(tenon_term key)
{
    struct tn_atom_view atom;
    unsigned field = 0;

    if (!tn_atom_view(key.bytes, &atom)) {
        return TN_FIELDS;
    }
    /* The names are ASCII, the same bytes in either encoding of an atom. No two
     * of them have both the same length and the same last byte. */
    while (field < TN_FIELDS && !is_name(&atom, &rules[field])) {
        field++;
    }
    return field;
}

static unsigned field_of_text(const char *text)
{
    unsigned field = 0;

    while (field < TN_FIELDS && strcmp(text, rules[field].text) != 0) {
        field++;
    }
    return field;
}

static bool has_type(tenon_term value, char type)
{
    switch (type) {
    case 'A':
        return tenon_term_type(value) == TENON_TYPE_ATOM;
    case 'B':
        return tenon_term_type(value) == TENON_TYPE_BINARY;
    case 'M':
        return tenon_term_type(value) == TENON_TYPE_MAP;
    case 'L':
        return tenon_term_is_proper_list(value);
    default:
        return tenon_term_type(value) == TENON_TYPE_PID;
    }
}

static bool has_any_type(tenon_term value, const char *types)
{
    bool has = types == NULL;

    while (!has && *types != '\0') {
        has = has_type(value, *types++);
    }
    return has;
}

static enum tenon_err
bad_field(tenon_error *err, const char *what, unsigned field, tenon_term value)
{
    char text[64];

    tn_term_show(value, text, sizeof text);
    return tn_error(err, TENON_E_BADTERM, "message: %s \"%s\"%s%s", what,
                    rules[field].text, value.bytes == NULL ? "" : ": got ",
                    value.bytes == NULL ? "" : text);
}

static enum tenon_err take_field(tenon_message *message,
                                 unsigned field,
                                 tenon_term value,
                                 tenon_error *err)
{
    if (message->fields[field].bytes != NULL) {
        return bad_field(err, "two fields", field, value);
    }
    if (!has_any_type(value, rules[field].types)) {
        return bad_field(err, "wrong type of field", field, value);
    }
    message->fields[field] = value;
    return TENON_OK;
}

static enum tenon_err take_fields(tenon_message *message, tenon_error *err)
{
    tenon_cursor at;
    tenon_term key, value;
    size_t taken = 0;

    tenon_cursor_init(&at, message->base);
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        unsigned field = field_of_key(key);

        if (field == TN_FIELDS) {
            continue;
        }
        if (take_field(message, field, value, err) < 0) {
            return TENON_E_BADTERM;
        }
        message->places[taken++] =
            (struct tn_field_place){ (enum tn_field)field, value };
    }
    return TENON_OK;
}

enum tenon_err tn_message_init(tenon_message *message,
                               tenon_node *node,
                               tenon_term term,
                               tenon_error *err)
{
    *message = (tenon_message){ .node = node, .base = term };
    if (tenon_term_type(term) != TENON_TYPE_MAP) {
        return tn_error(err, TENON_E_BADTERM,
                        "message: expected a map, got another term");
    }
    if (take_fields(message, err) < 0) {
        return TENON_E_BADTERM;
    }
    for (unsigned field = 0; field < TN_FIELDS; field++) {
        if (message->fields[field].bytes == NULL) {
            return bad_field(err, "no field", field, (tenon_term){ NULL, 0 });
        }
    }
    if (!tenon_term_is_atom(message->fields[TN_FIELD_STRUCT],
                            TN_MESSAGE_MODULE)) {
        return bad_field(err, "wrong value of field", TN_FIELD_STRUCT,
                         message->fields[TN_FIELD_STRUCT]);
    }
    return TENON_OK;
}

static bool is_changed(const tenon_message *message, enum tn_field field)
{
    return (message->changed & UINT32_C(1) << field) != 0;
}

void tn_message_rebase(tenon_message *message, tenon_term term)
{
    const uint8_t *old = message->base.bytes;

    if (term.bytes == old) {
        return;
    }
    message->base = term;
    for (unsigned i = 0; i < TN_FIELDS; i++) {
        struct tn_field_place *place = &message->places[i];

        place->value.bytes = term.bytes + (place->value.bytes - old);
        if (!is_changed(message, place->field)) {
            message->fields[place->field] = place->value;
        }
    }
}

/* ---- life ------------------------------------------------------------- */

void tn_message_fini(tenon_message *message)
{
    for (unsigned field = 0; field < TN_FIELDS; field++) {
        tenon_value_free(message->values[field]);
    }
    tenon_value_free(message->whole);
    tenon_value_free(message->own);
}

tenon_message *
tenon_message_from_term(tenon_node *node, tenon_term term, tenon_error *err)
{
    tenon_message *message = NULL;
    tenon_value *own = tenon_value_new(term);

    if (node == NULL || term.bytes == NULL) {
        tn_error(err, TENON_E_INVAL, "message: no node, or no term");
        goto free_own;
    }
    message = malloc(sizeof *message);
    if (own == NULL || message == NULL) {
        tn_error(err, TENON_E_NOMEM, "message: out of memory");
        goto free_message;
    }
    if (tn_message_init(message, node, tenon_value_term(own), err) < 0) {
        goto free_message;
    }
    message->own = own;
    return message;

free_message:
    free(message);
free_own:
    tenon_value_free(own);
    return NULL;
}

void tenon_message_free(tenon_message *message)
{
    if (message != NULL) {
        tn_message_fini(message);
        free(message);
    }
}

tenon_message *tn_message_copy(const tenon_message *message)
{
    if (message->changed != 0) {
        return tenon_message_from_term(message->node,
                                       tenon_message_term(message), NULL);
    }
    tenon_value *own = tenon_value_new(message->base);
    tenon_message *copy = malloc(sizeof *copy);

    if (own == NULL || copy == NULL) {
        tenon_value_free(own);
        free(copy);
        return NULL;
    }
    /* The same fields at the same places, of other bytes. */
    *copy = *message;
    copy->own = own;
    copy->whole = NULL;
    tn_message_rebase(copy, tenon_value_term(own));
    return copy;
}

/* ---- writing ---------------------------------------------------------- */

/* Whether the whole is not nested too deeply where it would be built. */
static bool fits(const tenon_message *message, const tenon_builder *out)
{
    bool fit = tn_builder_fits(out, message->base, 0);

    for (unsigned field = 0; fit && field < TN_FIELDS; field++) {
        if (message->values[field] != NULL) {
            fit = tn_builder_fits(out, message->fields[field], 1);
        }
    }
    return fit;
}

static tn_extent whole_bytes(const tenon_message *message)
{
    tn_extent bytes = message->base.len;

    for (unsigned i = 0; i < TN_FIELDS; i++) {
        const struct tn_field_place *place = &message->places[i];

        bytes = bytes - place->value.len + message->fields[place->field].len;
    }
    return bytes;
}

static uint8_t *put(uint8_t *to, const uint8_t *from, const uint8_t *end)
{
    size_t len = (size_t)(end - from);

    memcpy(to, from, len);
    return to + len;
}

/* The base with the changed values in the place of the old ones. */
static void put_whole(const tenon_message *message, uint8_t *to)
{
    const uint8_t *from = message->base.bytes;

    for (unsigned i = 0; i < TN_FIELDS; i++) {
        const struct tn_field_place *place = &message->places[i];
        tenon_term value = message->fields[place->field];

        if (is_changed(message, place->field)) {
            to = put(to, from, place->value.bytes);
            to = put(to, value.bytes, value.bytes + value.len);
            from = place->value.bytes + place->value.len;
        }
    }
    put(to, from, message->base.bytes + message->base.len);
}

enum tenon_err tn_message_build(const tenon_message *message,
                                tenon_builder *out)
{
    if (!fits(message, out)) {
        return tn_builder_fail(out, TENON_E_TERM_DEEP);
    }
    uint8_t *to = tn_build_room(out, whole_bytes(message));

    if (to != NULL) {
        put_whole(message, to);
    }
    return tenon_builder_error(out);
}

static tenon_value *build_whole(const tenon_message *message)
{
    tenon_builder builder;
    tenon_term term;
    tenon_value *whole = NULL;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    if (tn_message_build(message, &builder) == TENON_OK &&
        tenon_builder_term(&builder, &term) == TENON_OK) {
        whole = tenon_value_new(term);
    }
    tn_builder_fini(&builder);
    return whole;
}

tenon_term tenon_message_term(const tenon_message *message)
{
    if (message == NULL) {
        return (tenon_term){ NULL, 0 };
    }
    if (message->changed == 0) {
        return message->base;
    }
    if (message->whole == NULL) {
        /* To the caller the message is the same before and after. */
        ((tenon_message *)message)->whole = build_whole(message);
    }
    return tenon_value_term(message->whole);
}

tenon_term tenon_message_get(const tenon_message *message, const char *field)
{
    tenon_term value = { NULL, 0 };

    if (message == NULL || field == NULL) {
        return value;
    }
    unsigned known = field_of_text(field);

    if (known < TN_FIELDS) {
        return message->fields[known];
    }
    if (tenon_map_get_atom(message->base, field, &value) < 0) {
        return (tenon_term){ NULL, 0 };
    }
    return value;
}

bool tenon_message_is_halted(const tenon_message *message)
{
    return message != NULL &&
           tenon_term_is_atom(tn_message_field(message, TN_FIELD_HALTED),
                              "true");
}

/* ---- changing --------------------------------------------------------- */

/* value: taken; NULL: the term is a constant. */
static void replace(tenon_message *message,
                    enum tn_field field,
                    tenon_term term,
                    tenon_value *value)
{
    tenon_value_free(message->values[field]);
    message->values[field] = value;
    message->fields[field] = term;
    message->changed |= UINT32_C(1) << field;
    tenon_value_free(message->whole);
    message->whole = NULL;
}

/* A value that is nested too deeply for the map around it is refused here, so
 * that the whole can always be written. */
enum tenon_err
tn_message_set(tenon_message *message, enum tn_field field, tenon_term value)
{
    if (value.bytes != NULL && !tn_fits_below(value, 1)) {
        return TENON_E_TERM_DEEP;
    }
    tenon_value *copy = tenon_value_new(value);

    if (copy == NULL) {
        return value.bytes == NULL ? TENON_E_INVAL : TENON_E_NOMEM;
    }
    replace(message, field, tenon_value_term(copy), copy);
    return TENON_OK;
}

void tn_message_set_const(tenon_message *message,
                          enum tn_field field,
                          tenon_term value)
{
    replace(message, field, value, NULL);
}

/* The elements of a proper list of two or more, written from the back: in one
 * pass and without an index, which for a list of many small elements would be
 * larger than the list. */
static tenon_value *reversed(tenon_term list)
{
    size_t bytes = 0, count = tenon_term_count(list);
    tenon_value *value = NULL;
    tenon_cursor at;
    tenon_term element;

    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        bytes += element.len;
    }
    uint8_t *room = malloc(5 + bytes + 1);

    if (room == NULL) {
        return NULL;
    }
    room[0] = TN_LIST;
    tn_put32(room + 1, (uint32_t)count);
    uint8_t *end = room + 5 + bytes;

    *end = TN_NIL;
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        end -= element.len;
        memcpy(end, element.bytes, element.len);
    }
    value = tenon_value_new((tenon_term){ room, 5 + bytes + 1 });
    free(room);
    return value;
}

enum tenon_err tn_message_respond(tenon_message *message, tenon_term response)
{
    tenon_term events = message->fields[TN_FIELD_EVENTS];
    tenon_value *turned = NULL;

    if (tenon_term_count(events) > 1) {
        turned = reversed(events);
        if (turned == NULL) {
            return TENON_E_NOMEM;
        }
    }
    enum tenon_err rc = tn_message_set(message, TN_FIELD_RESPONSE, response);

    if (rc < 0) {
        tenon_value_free(turned);
        return rc;
    }
    if (turned != NULL) {
        replace(message, TN_FIELD_EVENTS, tenon_value_term(turned), turned);
    }
    tn_message_set_const(message, TN_FIELD_HALTED, tn_const_bool(true));
    return TENON_OK;
}
