/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an atom as UTF-8, without copying where it is UTF-8 already. */
#ifndef TN_NODE_TEXT_H
#define TN_NODE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

#include "term/view.h"

struct tn_text {
    const char *text; /* in the term, or in room */
    size_t len;
    uint8_t room[TENON_ATOM_MAX_BYTES];
};

/* False when the view is no atom's. */
static inline bool tn_text_of_view(const struct tn_atom_view *view,
                                   struct tn_text *text)
{
    if (view->latin1) {
        text->len = tn_atom_utf8(view, text->room);
        text->text = (const char *)text->room;
    } else {
        text->len = view->len;
        text->text = (const char *)view->bytes;
    }
    return true;
}

/* False when the term is no atom. */
static inline bool tn_text_of_atom(tenon_term term, struct tn_text *text)
{
    struct tn_atom_view view;
    return term.bytes != NULL && tn_atom_view(term.bytes, &view) &&
           tn_text_of_view(&view, text);
}

#endif
