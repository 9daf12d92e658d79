/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as rules; those that can be read are asked, and never allow to a
 * peer that may not connect, nor what their text does not name.
 *
 *   the whole input  the text */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "fuzz/must.h"
#include "node/rules.h"

static const struct tn_sip_key hash_key = { 1, 2 };

static bool bears(void *user, const char *pattern)
{
    const char *name = user;

    return tn_glob_fits(pattern, name, strlen(name), true);
}

static bool holds(const uint8_t *data, size_t len, const char *word)
{
    return memmem(data, len, word, strlen(word)) != NULL;
}

static void ask_rule(const tn_rule *rule, const uint8_t *data, size_t len)
{
    bool has_all = holds(data, len, "all");

    if (tn_rule_has_name(rule, "qzx", 3)) {
        MUST(has_all || holds(data, len, "qzx"));
    }
    if (tn_rule_has_service(rule, "qzr", "qzs")) {
        MUST(has_all || holds(data, len, "qzs") || holds(data, len, "qzr"));
    }
    if (tn_rule_has_function(rule, "qzm", 3, "qzf", 3, 1)) {
        MUST(has_all || holds(data, len, "qzm"));
    }
}

static void ask(const tn_rules *rules, const uint8_t *data, size_t len)
{
    static const char *const nodes[] = { "a@h", "shop@host.example.org" };
    struct tn_rule_cookie cookie;
    size_t cookies = 0;

    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        struct tn_rules_peer peer = { .node = nodes[i],
                                      .has_certificate = bears,
                                      .user = (void *)(uintptr_t) "a.org" };
        const tn_rule *rule = NULL;

        if (tn_rules_judge(rules, &peer, &rule) && rule != NULL) {
            ask_rule(rule, data, len);
        }
    }
    while (tn_rules_cookie(rules, cookies, &cookie)) {
        MUST(strchr(cookie.node, '@') != NULL && cookie.source[0] != '\0');
        cookies++;
    }
    MUST(cookies <= TENON_RULES_COOKIES_MAX);
    MUST(tn_rules_count(rules) <= TENON_RULES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    tenon_error err = { .code = TENON_OK };
    tn_rules *rules = NULL;

    if (tn_rules_read((const char *)data, len, &hash_key, &rules, &err) ==
        TENON_OK) {
        ask(rules, data, len);
        tn_rules_unref(rules);
    } else {
        MUST(rules == NULL && err.code < 0 && err.text[0] != '\0');
    }
    return 0;
}
