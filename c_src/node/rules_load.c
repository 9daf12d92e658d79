/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and cookies on their way from files into force. What is new is whole
 * before anything of the old is given up. */
#include "node/rules_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "dist/cookies.h"
#include "dist/identity.h"
#include "node/node.h"

/* ---- read ---------------------------------------------------------------- */

/* Rules that are to come into force. */
struct fresh {
    tn_rules *rules;
    struct tn_cookies cookies; /* those that the rules name */
};

static void fresh_fini(struct fresh *fresh)
{
    tn_rules_unref(fresh->rules);
    tn_cookies_fini(&fresh->cookies);
}

static enum tenon_err read_cookie(const struct tn_rule_cookie *from,
                                  char cookie[TN_COOKIE_MAX_BYTES + 1],
                                  tenon_error *err)
{
    const char *text;

    if (from->is_file) {
        return tn_cookie_read(from->source, cookie, err);
    }
    text = getenv(from->source);
    return tn_cookie_check(from->source, text == NULL ? "" : text, cookie, err);
}

static enum tenon_err read_cookies(struct fresh *fresh, tenon_error *err)
{
    struct tn_rule_cookie from;
    char cookie[TN_COOKIE_MAX_BYTES + 1];

    for (size_t i = 0; tn_rules_cookie(fresh->rules, i, &from); i++) {
        enum tenon_err rc = read_cookie(&from, cookie, err);

        if (rc != TENON_OK) {
            return rc;
        }
        rc = tn_cookies_set(&fresh->cookies, from.node, cookie);
        if (rc != TENON_OK) {
            return tn_error(err, rc, "cookie of node \"%s\": %s", from.node,
                            tenon_err_text(rc));
        }
    }
    return TENON_OK;
}

/* fresh: fresh_fini also after a failure. */
static enum tenon_err
read_text(struct fresh *fresh, const char *text, size_t len, tenon_error *err)
{
    enum tenon_err rc =
        tn_rules_read(text, len, fresh->cookies.hash_key, &fresh->rules, err);

    return rc == TENON_OK ? read_cookies(fresh, err) : rc;
}

static enum tenon_err
read_file(struct fresh *fresh, const char *file, tenon_error *err)
{
    tenon_error why = { 0 };
    char *text;
    size_t len;
    enum tenon_err rc =
        tn_file_read(file, TENON_RULES_MAX_BYTES, &text, &len, &why);

    if (rc == TENON_OK) {
        rc = read_text(fresh, text, len, &why);
        free(text);
    }
    return rc == TENON_OK
               ? rc
               : tn_error(err, rc, "rules of %s: %s", file, why.text);
}

/* ---- in force ------------------------------------------------------------ */

/* Loop thread, or before the loop runs. user: a struct fresh, which gets what
 * was in force. */
static void use_fresh(tenon_node *node, void *user)
{
    struct fresh *fresh = user;
    tn_rules *old = node->rules;

    node->rules = fresh->rules;
    fresh->rules = old;
    if (node->dist != NULL && !node->dist_freed) {
        tn_dist_swap_cookies(node->dist, &fresh->cookies);
    }
}

static enum tenon_err
set_peer_cookies(tenon_node *node, const char *const *pair, tenon_error *err)
{
    enum tenon_err rc = TENON_OK;

    for (; rc == TENON_OK && pair != NULL && *pair != NULL; pair += 2) {
        rc = tenon_node_set_cookie(node, pair[0], pair[1]);
        if (rc != TENON_OK) {
            return tn_error(err, rc, "cookie of node \"%s\": %s", pair[0],
                            tenon_err_text(rc));
        }
    }
    return rc;
}

enum tenon_err tn_rules_load(tenon_node *node, const tenon_node_config *config)
{
    struct fresh fresh = { .cookies.hash_key = &node->hash_key };
    enum tenon_err rc = TENON_OK;

    if (config->rules != NULL && config->rules_file != NULL) {
        return tn_error(config->err, TENON_E_INVAL,
                        "starting a node: expected rules or a file of them, "
                        "got both");
    }
    if (config->rules_file != NULL) {
        node->rules_file = strdup(config->rules_file);
        rc = node->rules_file == NULL
                 ? tn_error(config->err, TENON_E_NOMEM, "rules: out of memory")
                 : read_file(&fresh, node->rules_file, config->err);
    } else if (config->rules != NULL) {
        size_t len = strlen(config->rules);

        rc = len > TENON_RULES_MAX_BYTES
                 ? tn_error(config->err, TENON_E_LIMIT,
                            "rules: expected at most %u bytes, got %zu",
                            TENON_RULES_MAX_BYTES, len)
                 : read_text(&fresh, config->rules, len, config->err);
    }
    if (rc == TENON_OK && fresh.rules != NULL) {
        use_fresh(node, &fresh);
    }
    fresh_fini(&fresh);
    return rc == TENON_OK
               ? set_peer_cookies(node, config->peer_cookies, config->err)
               : rc;
}

void tn_rules_load_fini(tenon_node *node)
{
    tn_rules_unref(node->rules);
    free(node->rules_file);
}

/* ---- again --------------------------------------------------------------- */

enum tenon_err tenon_node_reload_rules(tenon_node *node, tenon_error *err)
{
    if (node == NULL || node->rules_file == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "reading rules again: expected a node with a file of "
                        "them");
    }
    struct fresh fresh = { .cookies.hash_key = &node->hash_key };
    enum tenon_err rc = read_file(&fresh, node->rules_file, err);

    if (rc == TENON_OK) {
        rc = tn_peers_judge_again(node, use_fresh, &fresh);
        if (rc != TENON_OK) {
            (void)tn_error(err, rc, "reading rules again: %s",
                           tenon_err_text(rc));
        }
    }
    fresh_fini(&fresh);
    return rc;
}

static void reload(tenon_node *node, void *user)
{
    tenon_error err = { 0 };

    (void)user;
    if (tenon_node_reload_rules(node, &err) == TENON_OK) {
        tn_log(&node->log, TN_INFO, "rules_reloaded", "file", node->rules_file,
               NULL);
    } else {
        tn_log(&node->log, TN_ERROR, "rules_reload_failed", "reason", err.text,
               NULL);
    }
}

void tn_rules_reload_later(tenon_node *node)
{
    if (node->rules_file != NULL &&
        tn_node_run_on_worker(node, reload, NULL) != TENON_OK) {
        tn_log(&node->log, TN_ERROR, "rules_reload_failed", "reason",
               "out of memory", NULL);
    }
}

/* ---- one cookie ---------------------------------------------------------- */

struct setting {
    const char *peer;
    const char *cookie; /* NULL: no more */
    enum tenon_err rc;
};

static void set_on_loop(tenon_node *node, void *user)
{
    struct setting *setting = user;

    setting->rc =
        node->dist == NULL || node->dist_freed
            ? TENON_E_STOPPED
            : tn_dist_set_cookie(node->dist, setting->peer, setting->cookie);
}

enum tenon_err
tenon_node_set_cookie(tenon_node *node, const char *peer, const char *cookie)
{
    char checked[TN_COOKIE_MAX_BYTES + 1];
    struct tn_name name;
    struct setting setting = { .peer = peer };

    if (node == NULL || peer == NULL || tn_name_split(peer, &name, NULL) < 0) {
        return TENON_E_INVAL;
    }
    if (cookie != NULL) {
        enum tenon_err rc =
            tn_cookie_check("the argument", cookie, checked, NULL);

        if (rc != TENON_OK) {
            return rc;
        }
        setting.cookie = checked;
    }
    enum tenon_err rc = tn_node_call_on_loop(node, set_on_loop, &setting);

    return rc == TENON_OK ? setting.rc : rc;
}
