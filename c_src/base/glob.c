/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns with stars: only the last star that was met may have to take in
 * more. */
#include "base/glob.h"

static char folded(char c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool tn_glob_fits(const char *pattern, const char *text, size_t len, bool fold)
{
    const char *star = NULL; /* the last one */
    size_t taken = 0;        /* where the text goes on behind it */
    size_t at = 0;

    while (at < len) {
        if (*pattern == '*') {
            star = pattern++;
            taken = at;
        } else if (*pattern != '\0' &&
                   folded(*pattern, fold) == folded(text[at], fold)) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star + 1;
            at = ++taken;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}
