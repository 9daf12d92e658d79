/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, as a file of rules says it: reading and asking. Knows no
 * connections; what a refusal looks like is for those who ask. */
#ifndef TN_NODE_RULES_H
#define TN_NODE_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/error.h>
#include <tenon/node.h>

#include "base/siphash.h"

/* Longest name of a certificate. */
#define TN_RULES_PATTERN_MAX_BYTES 1024u

/* Immutable; counted references. */
typedef struct tn_rules tn_rules;
/* What one peer may use; lives as long as its rules. */
typedef struct tn_rule tn_rule;

/* Reads a text of terms:
 *
 *     {peer, Who, all | none | [{functions, all | [{M, F, A}]},
 *                               {services, all | [Service | {Router, Service}]},
 *                               {names, all | [Name]}]}.
 *     {cookie, Node, {file, Path} | {env, Variable}}.
 *
 * Who is a node's name, or {certificate, Name}, or a list of one each, which
 * must both fit; a star in them stands for any characters. '_' as function,
 * arity or service stands for any. Of what a list does not have nothing is
 * allowed. The first rule that fits a peer counts; a peer that none fits may
 * not connect, unless there are no rules of peers at all.
 *
 * hash_key  the node's; borrowed for the life of the rules.
 * rules  owned: tn_rules_unref.
 * err    says in which line, and what was expected.
 * Errors: TERM_SYNTAX, INVAL, LIMIT, NOMEM; those of the builder.
 * Threads: any. Blocks: no; no cookie is read. */
TENON_CHECK enum tenon_err tn_rules_read(const char *text,
                                         size_t len,
                                         const struct tn_sip_key *hash_key,
                                         tn_rules **rules,
                                         tenon_error *err);
tn_rules *tn_rules_ref(tn_rules *rules);
/* rules: taken; NULL is fine. */
void tn_rules_unref(tn_rules *rules);

/* How many peers' rules there are. */
size_t tn_rules_count(const tn_rules *rules);

/* Where a node's cookie comes from; texts live as long as the rules. */
struct tn_rule_cookie {
    const char *node;
    bool is_file;       /* else a variable of the environment */
    const char *source; /* its path or name */
};
/* The cookie at `index` from 0; false: there are no more. */
bool tn_rules_cookie(const tn_rules *rules,
                     size_t index,
                     struct tn_rule_cookie *cookie);

/* A peer, as it is known after the handshake. */
struct tn_rules_peer {
    const char *node;
    /* Whether its certificate bears a name that fits the pattern. */
    bool (*has_certificate)(void *user, const char *pattern);
    void *user;
};

/* Finds the rule of a peer. False: it may not connect.
 *
 * rule  set when it may; NULL: it may do everything. Borrowed from rules. */
bool tn_rules_judge(const tn_rules *rules,
                    const struct tn_rules_peer *peer,
                    const tn_rule **rule);

/* Whether the rule allows it. Texts are UTF-8, any bytes. Threads: any. */
bool tn_rule_has_function(const tn_rule *rule,
                          const char *module,
                          size_t module_len,
                          const char *name,
                          size_t name_len,
                          size_t arity);
bool tn_rule_has_service(const tn_rule *rule,
                         const char *router,
                         const char *service);
bool tn_rule_has_name(const tn_rule *rule, const char *name, size_t len);

#endif
