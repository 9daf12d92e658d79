/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed for other nodes: any terms as chardata, in both encodings,
 * and as format and arguments of io_lib:format. The outcome is a text in UTF-8
 * within its limit, or an error, and every time the same. */
#include <string.h>

#include "base/utf8.h"
#include "fuzz/input.h"
#include "otp/io.h"

static const char *const atoms[] = {
    "ok", "~p~n", "~s", "~ts ~w~n", "~*.*c", "a b", "\xc3\xa9", "",
};
static const char *const nodes[] = { "a@h", "b@h" };
static const char *const shapes[] = {
    "\"~p ~s ~w~n\"",     "\"~tp~tw~ts\"",
    "\"~c~b~B~g~e~f~i\"", "\"~~~n\"",
    "\"~-10.5.*ts\"",     "[~t | ~t]",
    "[~t, ~t, ~t]",       "[<<126>>, ~t]",
    "[126, 112 | ~t]",    "~t",
};
static const struct words words = WORDS(atoms, nodes, shapes);

static bool is_reason(enum tenon_err rc)
{
    return rc == TENON_OK || rc == TENON_E_TERM_TYPE ||
           rc == TENON_E_TERM_SHAPE || rc == TENON_E_LIMIT;
}

static void must_be_text(const struct tn_buf *out, enum tenon_err rc)
{
    MUST(is_reason(rc));
    MUST(out->len <= TN_IO_TEXT_MAX_BYTES);
    MUST(rc != TENON_OK || tn_utf8_valid(out->bytes, out->len, NULL));
}

static void print(tenon_term chardata, enum tenon_io_encoding encoding)
{
    struct tn_buf out;

    tn_buf_init(&out, TN_IO_TEXT_MAX_BYTES);
    must_be_text(&out, tn_io_text(&out, encoding, chardata));
    tn_buf_fini(&out);
}

static void format(tenon_term text, tenon_term args)
{
    struct tn_buf once, twice;

    tn_buf_init(&once, TN_IO_TEXT_MAX_BYTES);
    tn_buf_init(&twice, TN_IO_TEXT_MAX_BYTES);
    enum tenon_err rc = tn_io_format(&once, text, args);

    must_be_text(&once, rc);
    MUST(tn_io_format(&twice, text, args) == rc && twice.len == once.len);
    MUST(once.len == 0 || memcmp(once.bytes, twice.bytes, once.len) == 0);
    tn_buf_fini(&once);
    tn_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 64 * 1024
    };
    tenon_value *text = input_value(&in, 0);
    tenon_value *args = input_value(&in, 0);

    if (text != NULL && args != NULL) {
        print(tenon_value_term(text), TENON_IO_LATIN1);
        print(tenon_value_term(text), TENON_IO_UNICODE);
        format(tenon_value_term(text), tenon_value_term(args));
    }
    tenon_value_free(text);
    tenon_value_free(args);
    return 0;
}
