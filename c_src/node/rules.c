/* SPDX-License-Identifier: Apache-2.0 */
/* The rules, read from their text and kept as lists of rules with a table of
 * what each grants. */
#include "node/rules.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/hash.h"
#include "term/plain.h"

/* What of a term a message shows. */
#define SHOWN_BYTES 80u

/* Two atoms, two separators, a kind and an arity. */
#define KEY_MAX_BYTES (2 * TENON_ATOM_MAX_BYTES + 8)

/* What can be granted: the words of a rule, and the first byte of keys. */
enum kind { FUNCTIONS, SERVICES, NAMES };
#define KINDS 3

static const char *const kind_words[KINDS] = { "functions", "services",
                                               "names" };

/* One thing that is granted. Keys, whose parts hold no NUL:
 *
 *     function  kind module \0 function \0 arity; without what '_' stands for
 *     service   kind router \0 service; no router: any; no service: all of it
 *     name      kind name */
struct grant {
    UT_hash_handle hh;
    size_t key_len;
    char key[];
};

struct tn_rule {
    STAILQ_ENTRY(tn_rule) next;
    char *node;        /* pattern; NULL: any */
    char *certificate; /* pattern; NULL: any, also none */
    bool is_all;
    bool is_none;
    bool has_all[KINDS];
    bool is_told[KINDS]; /* while it is read */
    const struct tn_sip_key *hash_key;
    struct grant *grants;
};

struct cookie {
    STAILQ_ENTRY(cookie) next;
    bool is_file;
    char *node;
    char *source;
};

struct tn_rules {
    atomic_uint refs;
    STAILQ_HEAD(, tn_rule) rules;
    STAILQ_HEAD(, cookie) cookies;
    size_t rule_count;
    size_t cookie_count;
    size_t entry_count;
    const struct tn_sip_key *hash_key;
};

/* ---- asking -------------------------------------------------------------- */

struct key {
    size_t len;
    char bytes[KEY_MAX_BYTES];
};

static void begin_key(struct key *key, enum kind kind)
{
    key->bytes[0] = (char)kind;
    key->len = 1;
}

/* False: no grant has such a part. */
static bool add_part(struct key *key, const char *part, size_t len)
{
    if (len > TENON_ATOM_MAX_BYTES || memchr(part, '\0', len) != NULL) {
        return false;
    }
    memcpy(key->bytes + key->len, part, len);
    key->len += len;
    key->bytes[key->len++] = '\0';
    return true;
}

static bool is_granted(const tn_rule *rule, const struct key *key)
{
    struct grant *grant = NULL;

    TN_HASH_FIND(hh, rule->grants, rule->hash_key, key->bytes, key->len, grant);
    return grant != NULL;
}

bool tn_rule_has_function(const tn_rule *rule,
                          const char *module,
                          size_t module_len,
                          const char *name,
                          size_t name_len,
                          size_t arity)
{
    struct key key;

    if (rule->has_all[FUNCTIONS]) {
        return true;
    }
    begin_key(&key, FUNCTIONS);
    if (arity > 255 || !add_part(&key, module, module_len)) {
        return false;
    }
    if (is_granted(rule, &key)) {
        return true;
    }
    if (!add_part(&key, name, name_len)) {
        return false;
    }
    if (is_granted(rule, &key)) {
        return true;
    }
    key.bytes[key.len++] = (char)arity;
    return is_granted(rule, &key);
}

bool tn_rule_has_service(const tn_rule *rule,
                         const char *router,
                         const char *service)
{
    struct key key;

    if (rule->has_all[SERVICES]) {
        return true;
    }
    begin_key(&key, SERVICES);
    if (!add_part(&key, "", 0) || !add_part(&key, service, strlen(service))) {
        return false;
    }
    if (is_granted(rule, &key)) {
        return true;
    }
    begin_key(&key, SERVICES);
    if (!add_part(&key, router, strlen(router))) {
        return false;
    }
    return is_granted(rule, &key) ||
           (add_part(&key, service, strlen(service)) && is_granted(rule, &key));
}

bool tn_rule_has_name(const tn_rule *rule, const char *name, size_t len)
{
    struct key key;

    begin_key(&key, NAMES);
    return rule->has_all[NAMES] ||
           (add_part(&key, name, len) && is_granted(rule, &key));
}

static bool fits(const tn_rule *rule, const struct tn_rules_peer *peer)
{
    if (rule->node != NULL &&
        !tn_glob_fits(rule->node, peer->node, strlen(peer->node), false)) {
        return false;
    }
    return rule->certificate == NULL ||
           peer->has_certificate(peer->user, rule->certificate);
}

bool tn_rules_judge(const tn_rules *rules,
                    const struct tn_rules_peer *peer,
                    const tn_rule **rule)
{
    const tn_rule *at;

    STAILQ_FOREACH(at, &rules->rules, next)
    {
        if (fits(at, peer)) {
            *rule = at->is_all ? NULL : at;
            return !at->is_none;
        }
    }
    *rule = NULL;
    return STAILQ_EMPTY(&rules->rules);
}

size_t tn_rules_count(const tn_rules *rules)
{
    return rules->rule_count;
}

bool tn_rules_cookie(const tn_rules *rules,
                     size_t index,
                     struct tn_rule_cookie *cookie)
{
    const struct cookie *at;

    STAILQ_FOREACH(at, &rules->cookies, next)
    {
        if (index-- == 0) {
            *cookie = (struct tn_rule_cookie){ .node = at->node,
                                               .is_file = at->is_file,
                                               .source = at->source };
            return true;
        }
    }
    return false;
}

/* ---- freed --------------------------------------------------------------- */

static void free_rule(tn_rule *rule)
{
    struct grant *grant, *following;

    HASH_ITER(hh, rule->grants, grant, following)
    {
        HASH_DELETE(hh, rule->grants, grant);
        free(grant);
    }
    free(rule->node);
    free(rule->certificate);
    free(rule);
}

static void free_cookie(struct cookie *cookie)
{
    free(cookie->node);
    free(cookie->source);
    free(cookie);
}

tn_rules *tn_rules_ref(tn_rules *rules)
{
    atomic_fetch_add(&rules->refs, 1);
    return rules;
}

void tn_rules_unref(tn_rules *rules)
{
    if (rules == NULL || atomic_fetch_sub(&rules->refs, 1) > 1) {
        return;
    }
    while (!STAILQ_EMPTY(&rules->rules)) {
        tn_rule *rule = STAILQ_FIRST(&rules->rules);

        STAILQ_REMOVE_HEAD(&rules->rules, next);
        free_rule(rule);
    }
    while (!STAILQ_EMPTY(&rules->cookies)) {
        struct cookie *cookie = STAILQ_FIRST(&rules->cookies);

        STAILQ_REMOVE_HEAD(&rules->cookies, next);
        free_cookie(cookie);
    }
    free(rules);
}

/* ---- reading ------------------------------------------------------------- */

/* One text on its way. */
struct reading {
    tn_rules *rules;
    unsigned line; /* of the rule that is read */
    tenon_error *err;
};

static enum tenon_err
refuse(const struct reading *r, const char *expected, tenon_term got)
{
    char shown[SHOWN_BYTES];

    tenon_term_print(got, shown, sizeof shown);
    return tn_error(r->err, TENON_E_INVAL,
                    "rule in line %u: expected %s, got %s", r->line, expected,
                    shown);
}

static enum tenon_err
too_many(const struct reading *r, const char *what, unsigned max)
{
    return tn_error(r->err, TENON_E_LIMIT,
                    "rule in line %u: expected at most %u %s, got more",
                    r->line, max, what);
}

static enum tenon_err no_memory(const struct reading *r)
{
    return tn_error(r->err, TENON_E_NOMEM, "rules: out of memory");
}

static enum tenon_err
enter(struct reading *r, tn_rule *rule, const struct key *key)
{
    if (is_granted(rule, key)) {
        return TENON_OK; /* said twice */
    }
    struct grant *grant = calloc(1, sizeof *grant + key->len);

    if (grant == NULL) {
        return no_memory(r);
    }
    grant->key_len = key->len;
    memcpy(grant->key, key->bytes, key->len);
    TN_HASH_ADD(hh, rule->grants, rule->hash_key, grant->key, grant->key_len,
                grant);
    if (!TN_HASH_HAS(hh, grant)) {
        free(grant);
        return no_memory(r);
    }
    return TENON_OK;
}

static bool add_atom(struct key *key, const tenon_atom *atom)
{
    return add_part(key, atom->text, strlen(atom->text));
}

static bool is_any(const tenon_atom *atom)
{
    return strcmp(atom->text, "_") == 0;
}

/* {Module, Function, Arity} */
static bool function_key(tenon_term entry, struct key *key)
{
    tenon_term function, arity;
    tenon_atom module, name;
    int64_t count;

    if (!tenon_match(entry, "{~a, ~t, ~t}", &module, &function, &arity) ||
        tenon_term_atom(function, &name) < 0 || is_any(&module) ||
        !add_atom(key, &module)) {
        return false;
    }
    if (is_any(&name)) {
        return tenon_term_is_atom(arity, "_");
    }
    if (!add_atom(key, &name)) {
        return false;
    }
    if (tenon_term_is_atom(arity, "_")) {
        return true;
    }
    if (tenon_term_int64(arity, &count) < 0 || count < 0 || count > 255) {
        return false;
    }
    key->bytes[key->len++] = (char)count;
    return true;
}

/* Service or {Router, Service} */
static bool service_key(tenon_term entry, struct key *key)
{
    tenon_atom router = { .text = "" }, service;

    if (tenon_term_atom(entry, &service) < 0 &&
        !tenon_match(entry, "{~a, ~a}", &router, &service)) {
        return false;
    }
    if (is_any(&service)) {
        return router.text[0] != '\0' && add_atom(key, &router);
    }
    return add_atom(key, &router) && add_atom(key, &service);
}

static bool name_key(tenon_term entry, struct key *key)
{
    tenon_atom name;

    return tenon_term_atom(entry, &name) == TENON_OK && add_atom(key, &name);
}

static enum tenon_err
read_entry(struct reading *r, tn_rule *rule, enum kind kind, tenon_term entry)
{
    static const struct {
        bool (*make_key)(tenon_term entry, struct key *key);
        const char *expected;
    } forms[KINDS] = {
        [FUNCTIONS] = { function_key, "a function {module, function, arity}" },
        [SERVICES] = { service_key, "a service, or {router, service}" },
        [NAMES] = { name_key, "a registered name" },
    };
    struct key key;

    begin_key(&key, kind);
    if (!forms[kind].make_key(entry, &key)) {
        return refuse(r, forms[kind].expected, entry);
    }
    if (r->rules->entry_count == TENON_RULES_ENTRIES_MAX) {
        return too_many(r, "functions, services and names",
                        TENON_RULES_ENTRIES_MAX);
    }
    r->rules->entry_count++;
    return enter(r, rule, &key);
}

/* {functions, ...} and the others. */
static enum tenon_err
read_right(struct reading *r, tn_rule *rule, tenon_term right)
{
    tenon_term what, entry;
    tenon_atom word;
    tenon_cursor at;
    unsigned kind = 0;

    if (!tenon_match(right, "{~a, ~t}", &word, &what)) {
        return refuse(r, "{functions, ...}, {services, ...} or {names, ...}",
                      right);
    }
    while (kind < KINDS && strcmp(kind_words[kind], word.text) != 0) {
        kind++;
    }
    if (kind == KINDS || rule->is_told[kind]) {
        return refuse(
            r, "each of functions, services and names once at the most", right);
    }
    rule->is_told[kind] = true;
    rule->has_all[kind] = tenon_term_is_atom(what, "all");
    if (rule->has_all[kind]) {
        return TENON_OK;
    }
    if (tenon_term_type(what) != TENON_TYPE_LIST) {
        return refuse(r, "all, or a list", what);
    }
    tenon_cursor_init(&at, what);
    while (tenon_cursor_next(&at, &entry)) {
        enum tenon_err rc = read_entry(r, rule, (enum kind)kind, entry);

        if (rc != TENON_OK) {
            return rc;
        }
    }
    return TENON_OK;
}

static enum tenon_err
read_rights(struct reading *r, tn_rule *rule, tenon_term rights)
{
    tenon_cursor at;
    tenon_term right;

    rule->is_all = tenon_term_is_atom(rights, "all");
    rule->is_none = tenon_term_is_atom(rights, "none");
    if (rule->is_all || rule->is_none) {
        return TENON_OK;
    }
    if (tenon_term_type(rights) != TENON_TYPE_LIST) {
        return refuse(r, "all, none, or a list of what the peer may use",
                      rights);
    }
    tenon_cursor_init(&at, rights);
    while (tenon_cursor_next(&at, &right)) {
        enum tenon_err rc = read_right(r, rule, right);

        if (rc != TENON_OK) {
            return rc;
        }
    }
    return TENON_OK;
}

static enum tenon_err
keep_text(const struct reading *r, const char *text, size_t len, char **kept)
{
    char *copy = malloc(len + 1);

    if (copy == NULL) {
        return no_memory(r);
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    *kept = copy;
    return TENON_OK;
}

/* A node's name with stars, or {certificate, "name"}. */
static enum tenon_err read_who(struct reading *r, tn_rule *rule, tenon_term who)
{
    tenon_atom node;
    const char *name;
    size_t len;

    if (tenon_term_atom(who, &node) == TENON_OK) {
        if (rule->node != NULL || strpbrk(node.text, "@*") == NULL) {
            return refuse(r, "one node's name, such as 'shop@*'", who);
        }
        return keep_text(r, node.text, strlen(node.text), &rule->node);
    }
    if (!tenon_match(who, "{:certificate, ~s}", &name, &len) || len == 0 ||
        len > TN_RULES_PATTERN_MAX_BYTES || rule->certificate != NULL) {
        return refuse(r,
                      "a node's name, such as 'shop@*', or {certificate, "
                      "\"shop.example.org\"}",
                      who);
    }
    return keep_text(r, name, len, &rule->certificate);
}

static enum tenon_err
read_all_of_who(struct reading *r, tn_rule *rule, tenon_term who)
{
    tenon_cursor at;
    tenon_term one;

    if (tenon_term_type(who) != TENON_TYPE_LIST) {
        return read_who(r, rule, who);
    }
    if (tenon_term_count(who) == 0) {
        return refuse(r, "a node's name, a certificate's, or both", who);
    }
    tenon_cursor_init(&at, who);
    while (tenon_cursor_next(&at, &one)) {
        enum tenon_err rc = read_who(r, rule, one);

        if (rc != TENON_OK) {
            return rc;
        }
    }
    return TENON_OK;
}

static enum tenon_err
read_rule(struct reading *r, tenon_term who, tenon_term rights)
{
    if (r->rules->rule_count == TENON_RULES_MAX) {
        return too_many(r, "rules of peers", TENON_RULES_MAX);
    }
    tn_rule *rule = calloc(1, sizeof *rule);

    if (rule == NULL) {
        return no_memory(r);
    }
    rule->hash_key = r->rules->hash_key;
    STAILQ_INSERT_TAIL(&r->rules->rules, rule, next);
    r->rules->rule_count++;
    enum tenon_err rc = read_all_of_who(r, rule, who);

    return rc == TENON_OK ? read_rights(r, rule, rights) : rc;
}

static enum tenon_err
read_cookie(struct reading *r, tenon_term node, tenon_term source)
{
    tenon_atom name;
    const char *text;
    size_t len;
    bool is_file = tenon_match(source, "{:file, ~s}", &text, &len);

    if (tenon_term_atom(node, &name) < 0 || strchr(name.text, '@') == NULL) {
        return refuse(r, "the name of the node whose cookie it is", node);
    }
    if ((!is_file && !tenon_match(source, "{:env, ~s}", &text, &len)) ||
        len == 0) {
        return refuse(r, "{file, \"path\"} or {env, \"VARIABLE\"}", source);
    }
    if (r->rules->cookie_count == TENON_RULES_COOKIES_MAX) {
        return too_many(r, "cookies", TENON_RULES_COOKIES_MAX);
    }
    struct cookie *cookie = calloc(1, sizeof *cookie);

    if (cookie == NULL) {
        return no_memory(r);
    }
    cookie->is_file = is_file;
    STAILQ_INSERT_TAIL(&r->rules->cookies, cookie, next);
    r->rules->cookie_count++;
    enum tenon_err rc =
        keep_text(r, name.text, strlen(name.text), &cookie->node);

    return rc == TENON_OK ? keep_text(r, text, len, &cookie->source) : rc;
}

static enum tenon_err read_term(struct reading *r, tenon_term term)
{
    tenon_term first, second;

    if (tenon_match(term, "{:peer, ~t, ~t}", &first, &second)) {
        return read_rule(r, first, second);
    }
    if (tenon_match(term, "{:cookie, ~t, ~t}", &first, &second)) {
        return read_cookie(r, first, second);
    }
    return refuse(r, "{peer, Who, Rights} or {cookie, Node, Source}", term);
}

static enum tenon_err read_next(struct reading *r, struct tn_plain *plain)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    if (builder == NULL) {
        return no_memory(r);
    }
    r->line = plain->line;
    enum tenon_err rc = tn_plain_next(plain, builder, r->err);

    if (rc == TENON_OK) {
        rc = tenon_builder_term(builder, &term);
    }
    if (rc == TENON_OK) {
        rc = read_term(r, term);
    }
    tenon_builder_free(builder);
    return rc;
}

enum tenon_err tn_rules_read(const char *text,
                             size_t len,
                             const struct tn_sip_key *hash_key,
                             tn_rules **rules,
                             tenon_error *err)
{
    tn_rules *made = calloc(1, sizeof *made);
    struct tn_plain plain = tn_plain_begin(text, len);
    struct reading r = { .rules = made, .err = err };
    enum tenon_err rc = TENON_OK;

    if (made == NULL) {
        return no_memory(&r);
    }
    atomic_init(&made->refs, 1);
    made->hash_key = hash_key;
    STAILQ_INIT(&made->rules);
    STAILQ_INIT(&made->cookies);
    while (rc == TENON_OK && plain.at != plain.end) {
        rc = read_next(&r, &plain);
    }
    if (rc != TENON_OK) {
        tn_rules_unref(made);
        return rc;
    }
    *rules = made;
    return TENON_OK;
}
