/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers between text, doubles and magnitudes: whatever the locale is. */
#ifndef TN_TERM_NUMBER_H
#define TN_TERM_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads [sign] digits . digits [e [sign] digits], all of `n` bytes, n < 400.
 * False for anything else and when the value is not finite. */
bool tn_double_of_text(const char *text, size_t n, double *value);

/* The value of the 31 text bytes of a FLOAT_EXT; false when they hold none. */
bool tn_float_ext_value(const uint8_t *text, double *value);

/* Little-endian magnitudes. Each writes at most `cap` bytes, which must be
 * enough, and returns the length without leading zeroes. */

/* out * factor + addend */
size_t tn_magnitude_mul_add(
    uint8_t *out, size_t len, size_t cap, uint32_t factor, uint32_t addend);
/* Hex digits from `from` to `end`; underscores are skipped. Linear. */
size_t tn_magnitude_of_hex(const uint8_t *from,
                           const uint8_t *end,
                           uint8_t *out,
                           size_t cap);

/* Largest magnitude that is written in decimal, which takes quadratic time;
 * a larger one is written in hex by what prints it. */
#define TN_DECIMAL_MAX_BYTES 4096
/* Room for its digits: log10(256) for each byte, and a NUL. */
#define TN_DECIMAL_TEXT_BYTES (TN_DECIMAL_MAX_BYTES * 5 / 2)

/* Writes the decimal digits of a magnitude of 1 to TN_DECIMAL_MAX_BYTES bytes.
 * Returns how many, without NUL. */
size_t tn_decimal_of_magnitude(const uint8_t *magnitude,
                               size_t len,
                               char out[TN_DECIMAL_TEXT_BYTES]);

/* Room for what tn_text_of_double writes, with NUL. */
#define TN_DOUBLE_TEXT_BYTES 40

/* The shortest decimal that reads back as the same double, in the form that
 * Elixir gives it: 1.0, 0.001, 1.0e-5, 1.0e16. Returns the length. */
size_t tn_text_of_double(double value, char out[TN_DOUBLE_TEXT_BYTES]);

#endif
