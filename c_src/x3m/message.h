/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a message: the struct as it came, and on top of it the fields
 * that were changed. What is not changed stays the bytes that came. */
#ifndef TN_X3M_MESSAGE_H
#define TN_X3M_MESSAGE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/x3m.h>

/* The keys of the struct, and the types that are taken from a peer: B(inary),
 * A(tom), M(ap), L(ist, proper), P(id), or any (NULL). */
#define TN_FIELD_LIST(X)                                                       \
    X(STRUCT, "__struct__", "A")                                               \
    X(SERVICE_NAME, "service_name", "A")                                       \
    X(ID, "id", "B")                                                           \
    X(CORRELATION_ID, "correlation_id", "BA")                                  \
    X(CAUSATION_ID, "causation_id", "BA")                                      \
    X(LOGGER_METADATA, "logger_metadata", "L")                                 \
    X(INVOKED_AT, "invoked_at", NULL)                                          \
    X(DRY_RUN, "dry_run", "A")                                                 \
    X(RAW_REQUEST, "raw_request", NULL)                                        \
    X(REQUEST, "request", NULL)                                                \
    X(VALID, "valid?", "A")                                                    \
    X(ASSIGNS, "assigns", "M")                                                 \
    X(RESPONSE, "response", NULL)                                              \
    X(EVENTS, "events", "L")                                                   \
    X(AGGREGATE_META, "aggregate_meta", "M")                                   \
    X(ORIGIN_NODE, "origin_node", "A")                                         \
    X(REPLY_TO, "reply_to", "P")                                               \
    X(HALTED, "halted?", "A")

enum tn_field {
#define TN_FIELD_ENUM(name, text, types) TN_FIELD_##name,
    TN_FIELD_LIST(TN_FIELD_ENUM)
#undef TN_FIELD_ENUM
};
#define TN_FIELDS 18u

#define TN_MESSAGE_MODULE "Elixir.X3m.System.Message"

/* Where a field's value lies in the base. */
struct tn_field_place {
    enum tn_field field;
    tenon_term value;
};

/* May be embedded; one thread at a time. */
struct tenon_message {
    tenon_node *node; /* borrowed */
    tenon_term base;  /* the map; borrowed, or lies in own */
    tenon_value *own; /* NULL: base is borrowed */
    struct tn_field_place places[TN_FIELDS]; /* in the order of the base */
    tenon_term fields[TN_FIELDS];            /* the values as they are now */
    tenon_value *values[TN_FIELDS]; /* what a changed one lies in; NULL: in the
                                       base, or a constant */
    uint32_t changed;               /* bit n: field n is not the base's */
    tenon_value *whole;             /* made when asked for; NULL: stale */
};

/* Terms that never go away. */
tenon_term tn_const_nil(void);
tenon_term tn_const_bool(bool value);
tenon_term tn_const_empty_list(void);

/* Makes a message of a term without copying it: the term must outlive it.
 * Ends with tn_message_fini. err: borrowed, may be NULL; names the field.
 * Errors: BADTERM. */
TENON_CHECK enum tenon_err tn_message_init(tenon_message *message,
                                           tenon_node *node,
                                           tenon_term term,
                                           tenon_error *err);
void tn_message_fini(tenon_message *message);

/* The same bytes lie elsewhere now, and the old ones may be gone. Does nothing
 * when they lie where they lay. */
void tn_message_rebase(tenon_message *message, tenon_term term);

static inline tenon_term tn_message_field(const tenon_message *message,
                                          enum tn_field field)
{
    return message->fields[field];
}

/* Changes a field. value: copied. Errors: NOMEM, TERM_DEEP. */
TENON_CHECK enum tenon_err
tn_message_set(tenon_message *message, enum tn_field field, tenon_term value);
/* The same with a term that outlives the message. */
void tn_message_set_const(tenon_message *message,
                          enum tn_field field,
                          tenon_term value);

/* Sets the response, halts, reverses the events. Errors: NOMEM, TERM_DEEP. */
TENON_CHECK enum tenon_err tn_message_respond(tenon_message *message,
                                              tenon_term response);

/* Appends the whole message as it is now. Errors: the builder's. */
enum tenon_err tn_message_build(const tenon_message *message,
                                tenon_builder *out);
/* A message of its own with the same content. owned: tenon_message_free.
 * NULL: NOMEM. */
TENON_CHECK tenon_message *tn_message_copy(const tenon_message *message);

/* True for the text of an atom that BEAM nodes accept: valid UTF-8 of 1 to
 * 255 characters. NULL: false. */
bool tn_is_atom_text(const char *text);

#endif
