/* SPDX-License-Identifier: Apache-2.0 */
/* The scopes of a node: their processes, what they send, who watches them. */
#include "otp/pg.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "node/link.h"
#include "node/node.h"
#include "node/text.h"
#include "otp/gen.h"
#include "otp/own.h"
#include "otp/pg_scope.h"
#include "term/build.h"
#include "term/canonical.h"

#define PART_KEY "pg"
#define DEFAULT_SCOPE "pg"
/* Longest atom that is a name of ASCII characters. */
#define NAME_MAX_BYTES 255u

/* One who is told of changes. */
struct watch {
    LIST_ENTRY(watch) next;
    tenon_process *self; /* kept */
    tenon_ref ref;       /* in its messages */
    tenon_ref end;       /* our monitor of it */
    tenon_value *group;  /* canonical; NULL: all */
};

/* A node has gone. */
struct gone {
    STAILQ_ENTRY(gone) next;
    char name[];
};

/* One scope; lives as long as the node. Its process cannot be killed, since members would be lost with it. */
struct scope {
    struct scope *next;
    struct pg *pg;
    tenon_process *self; /* kept */
    struct tn_pg_scope core;
    struct tn_sys sys; /* its process alone touches it */
    LIST_HEAD(, watch) watches;
    /* One for each poke that the process has still to read; guarded by the
     * node's lock. */
    STAILQ_HEAD(, gone) gone;
    unsigned watch_count;
    bool
        looks; /* for peers; without memory for that it is to be started again */
    char name[NAME_MAX_BYTES + 1];
};

/* Attached to the node. The lock guards all scopes; what is sent is sent under
 * it, so that peers hear of changes in the order in which they were made. The
 * node's lock is taken inside. Nobody waits for the loop thread under it. */
struct pg {
    tenon_node *node;
    char default_scope[NAME_MAX_BYTES + 1];
    pthread_mutex_t lock;
    struct scope *scopes;
    unsigned scope_count;
    bool has_functions;
};

/* ---- what the protocol asks for ---------------------------------------- */

static bool is_up(tenon_node *node, const struct tn_text *name)
{
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name->text, name->len);
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

/* The node of a pid; false when it is neither our own nor connected: what a
 * message says must not make this node connect somewhere. */
static bool is_reachable(tenon_node *node, tenon_term pid, struct tn_text *name)
{
    struct tn_id_view view;

    return tn_pid_view(pid, &view) && tn_text_of_view(&view.node, name) &&
           (tn_atom_view_is(&view.node, node->name.full,
                            strlen(node->name.full)) ||
            is_up(node, name));
}

/* A peer that was not told something would go on with a wrong picture, and
 * dies of some that contradict it: it gets a new connection, and with that
 * everything anew. */
static void
give_up(struct scope *scope, const struct tn_text *name, enum tenon_err why)
{
    tenon_node *node = scope->pg->node;
    char to[TENON_NODE_NAME_MAX_BYTES + 1];

    snprintf(to, sizeof to, "%.*s", (int)name->len, name->text);
    tn_log(&node->log, TN_WARN, "pg_peer_not_told", "scope", scope->name, "to",
           to, "why", tenon_err_text(why), NULL);
    (void)tenon_node_disconnect(node, to);
}

static void send_to_peer(void *user, tenon_term to, tenon_term message)
{
    struct scope *scope = user;
    tenon_node *node = scope->pg->node;
    struct tn_text name;

    if (!is_reachable(node, to, &name)) {
        return;
    }
    enum tenon_err rc =
        message.bytes == NULL
            ? TENON_E_NOMEM
            : tn_send_connected(node, tn_process_pid(scope->self), to, message);

    if (rc != TENON_OK) {
        give_up(scope, &name, rc);
    }
}

static enum tenon_err monitor(void *user, tenon_term term, tenon_ref *ref)
{
    struct scope *scope = user;
    struct tn_text name;
    tenon_pid pid;

    if (!is_reachable(scope->pg->node, term, &name) ||
        tenon_term_pid(term, &pid) != TENON_OK) {
        return TENON_E_NOT_FOUND;
    }
    return tenon_monitor(scope->self, &(tenon_dest){ .pid = &pid }, ref);
}

static void demonitor(void *user, const tenon_ref *ref)
{
    struct scope *scope = user;

    tn_demonitor(scope->self, ref);
}

static bool wants(const struct watch *watch, tenon_term group)
{
    if (watch->group == NULL) {
        return true;
    }
    tenon_term wanted = tenon_value_term(watch->group);

    return wanted.len == group.len &&
           memcmp(wanted.bytes, group.bytes, group.len) == 0;
}

static enum tenon_err tell_watch(struct scope *scope,
                                 const struct watch *watch,
                                 bool joined,
                                 tenon_term group,
                                 tenon_term pids)
{
    tenon_builder out;
    tenon_term message;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    (void)tenon_format(&out, "{~r, ~a, ~t, ~t}", &watch->ref,
                       joined ? "join" : "leave", group, pids);
    enum tenon_err rc = tenon_builder_term(&out, &message);

    if (rc == TENON_OK) {
        rc = tn_send_pid(scope->pg->node, tn_process_pid(scope->self),
                         tn_process_pid(watch->self), message);
    }
    tn_builder_fini(&out);
    return rc;
}

static void changed(void *user, bool joined, tenon_term group, tenon_term pids)
{
    struct scope *scope = user;
    struct watch *watch;

    LIST_FOREACH(watch, &scope->watches, next)
    {
        if (!wants(watch, group)) {
            continue;
        }
        enum tenon_err rc = tell_watch(scope, watch, joined, group, pids);

        if (rc != TENON_OK) {
            tn_log(&scope->pg->node->log, TN_WARN, "pg_monitor_not_told",
                   "scope", scope->name, "why", tenon_err_text(rc), NULL);
        }
    }
}

/* In the scope's handler: of the peer whose message it is. */
static bool may_claim(void *user, tenon_term pid)
{
    struct scope *scope = user;
    tn_access *origin = tn_process_origin(scope->self);
    struct tn_id_view view;
    struct tn_text name;

    return origin == NULL ||
           (tn_pid_view(pid, &view) && tn_text_of_view(&view.node, &name) &&
            tn_may_claim(scope->pg->node, origin, "pg process", name.text,
                         name.len));
}

static tn_account *account_of(void *user)
{
    const struct scope *scope = user;

    return tn_process_account(scope->self);
}

/* The process alone feeds the scope, so that nothing of its peers changes. */
static void let_others(void *user)
{
    struct scope *scope = user;

    pthread_mutex_unlock(&scope->pg->lock);
    pthread_mutex_lock(&scope->pg->lock);
}

static const struct tn_pg_ops ops = {
    .let_others = let_others,
    .account = account_of,
    .send = send_to_peer,
    .monitor = monitor,
    .demonitor = demonitor,
    .changed = changed,
    .may_claim = may_claim,
};

/* ---- the scope's process ----------------------------------------------- */

static void free_watch(struct watch *watch)
{
    tenon_process_release(watch->self);
    tenon_value_free(watch->group);
    free(watch);
}

static void drop_watch(struct scope *scope, struct watch *watch)
{
    LIST_REMOVE(watch, next);
    scope->watch_count--;
    scope->core.watched = scope->watch_count > 0;
    free_watch(watch);
}

/* {'DOWN', Ref, ...} of one who was told of changes. */
static bool take_end_of_watch(struct scope *scope, tenon_term message)
{
    struct watch *watch;
    tenon_ref ref;

    if (!tenon_match(message, "{:DOWN, ~r, :process, _, _}", &ref)) {
        return false;
    }
    LIST_FOREACH(watch, &scope->watches, next)
    {
        if (tenon_ref_equal(&watch->end, &ref)) {
            drop_watch(scope, watch);
            return true;
        }
    }
    return false;
}

static void log_trouble(struct scope *scope, enum tenon_err rc)
{
    enum tn_level level =
        rc == TENON_E_LIMIT || rc == TENON_E_NOMEM ? TN_WARN : TN_DEBUG;

    tn_log(&scope->pg->node->log, level, "pg_message", "scope", scope->name,
           "why", tenon_err_text(rc), NULL);
}

static void build_state(void *state, tenon_builder *out)
{
    const struct scope *scope = state;

    tenon_build_map(out, 2);
    tenon_build_atom(out, "scope");
    tenon_build_atom(out, scope->name);
    tenon_build_atom(out, "groups");
    pthread_mutex_lock(&scope->pg->lock);
    (void)tn_pg_scope_all(&scope->core, out);
    pthread_mutex_unlock(&scope->pg->lock);
}

static void take_gone(struct scope *scope)
{
    tenon_node *node = scope->pg->node;

    tn_lock(node);
    struct gone *gone = STAILQ_FIRST(&scope->gone);

    if (gone != NULL) {
        STAILQ_REMOVE_HEAD(&scope->gone, next);
    }
    tn_unlock(node);
    if (gone != NULL) {
        pthread_mutex_lock(&scope->pg->lock);
        tn_pg_scope_node_down(&scope->core, gone->name);
        pthread_mutex_unlock(&scope->pg->lock);
        free(gone);
    }
}

/* The monitor of the peer's scope tells the same; this is for one that could
 * not be set. In order with the messages of the process, which alone touches
 * what peers have. */
static void note_gone(struct scope *scope, const char *name)
{
    tenon_node *node = scope->pg->node;
    size_t len = strlen(name) + 1;
    struct gone *gone = malloc(sizeof *gone + len);

    if (gone == NULL) {
        return;
    }
    memcpy(gone->name, name, len);
    tn_lock(node);
    STAILQ_INSERT_TAIL(&scope->gone, gone, next);
    tn_unlock(node);
    (void)tn_process_poke(scope->self);
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct scope *scope = state;
    enum tenon_err rc = TENON_OK;

    if (tn_is_poke(message)) {
        take_gone(scope);
        return;
    }
    if (tn_own_system(self, &scope->sys, build_state, scope, message)) {
        return;
    }
    pthread_mutex_lock(&scope->pg->lock);
    if (!take_end_of_watch(scope, message)) {
        rc = tn_pg_scope_feed(&scope->core, message);
    }
    pthread_mutex_unlock(&scope->pg->lock);
    /* A quota's line comes with those of its peer. */
    if (rc != TENON_OK && !tn_account_was_refused(tn_process_account(self))) {
        log_trouble(scope, rc);
    }
}

/* What forgets a peer, with all members that it has. */
static bool is_long(tenon_term message)
{
    tenon_term tag;

    return tn_is_poke(message) ||
           (tenon_term_type(message) == TENON_TYPE_TUPLE &&
            tenon_term_count(message) == 5 &&
            tenon_tuple_get(message, 0, &tag) == TENON_OK &&
            tenon_term_is_atom(tag, "DOWN"));
}

static const struct tn_process_class scope_class = {
    .on_message = on_message,
    .large_on_worker = true,
    .is_long = is_long,
    .kind = "pg",
};

/* As net_kernel:monitor_nodes/1 of a BEAM's scope: visible nodes alone. */
static void on_peer(void *user, const char *name, bool up, bool visible)
{
    struct scope *scope = user;
    tenon_node *node = scope->pg->node;

    if (!up) {
        note_gone(scope, name);
    } else if (visible) {
        tenon_value *discover =
            tenon_value_format("{:discover, ~t}", tn_process_pid(scope->self));
        enum tenon_err rc =
            tn_send_name(node, tn_process_pid(scope->self), scope->name, name,
                         tenon_value_term(discover));

        if (rc != TENON_OK) {
            struct tn_text to = { .text = name, .len = strlen(name) };

            give_up(scope, &to, rc);
        }
        tenon_value_free(discover);
    }
}

/* ---- life -------------------------------------------------------------- */

static void free_scope(struct scope *scope)
{
    struct watch *watch;

    while ((watch = LIST_FIRST(&scope->watches)) != NULL) {
        drop_watch(scope, watch);
    }
    struct gone *gone;

    while ((gone = STAILQ_FIRST(&scope->gone)) != NULL) {
        STAILQ_REMOVE_HEAD(&scope->gone, next);
        free(gone);
    }
    tn_pg_scope_fini(&scope->core);
    tn_sys_fini(&scope->sys);
    tenon_process_release(scope->self);
    free(scope);
}

static void free_pg(void *part)
{
    struct pg *pg = part;
    struct scope *scope;

    while ((scope = pg->scopes) != NULL) {
        pg->scopes = scope->next;
        free_scope(scope);
    }
    pthread_mutex_destroy(&pg->lock);
    free(pg);
}

static bool is_name(const char *name)
{
    return name[0] != '\0' && strlen(name) <= NAME_MAX_BYTES;
}

enum tenon_err
tn_pg_attach(tenon_node *node, const char *default_scope, tenon_error *err)
{
    const char *name = default_scope != NULL ? default_scope : DEFAULT_SCOPE;

    if (!is_name(name)) {
        return tn_error(err, TENON_E_INVAL,
                        "could not start: \"%.40s\" cannot be the name of a "
                        "pg scope",
                        name);
    }
    struct pg *pg = calloc(1, sizeof *pg);

    if (pg == NULL) {
        return tn_error(err, TENON_E_NOMEM, "could not start: out of memory");
    }
    pg->node = node;
    memcpy(pg->default_scope, name, strlen(name) + 1);
    pthread_mutex_init(&pg->lock, NULL);
    enum tenon_err rc = tn_node_attach(node, PART_KEY, pg, NULL, free_pg);

    if (rc != TENON_OK) {
        free_pg(pg);
        return tn_error(err, rc, "could not start: %s", tenon_err_text(rc));
    }
    return TENON_OK;
}

static struct pg *pg_of(tenon_node *node)
{
    return node == NULL ? NULL : tn_node_part(node, PART_KEY);
}

/* With the lock. */
static struct scope *find_locked(const struct pg *pg, const char *name)
{
    struct scope *scope = pg->scopes;

    if (name == NULL) {
        name = pg->default_scope;
    }
    while (scope != NULL && strcmp(scope->name, name) != 0) {
        scope = scope->next;
    }
    return scope;
}

/* The scope, with the lock held, to be given back by leave(); NULL, without
 * it: not started. */
static struct scope *enter(tenon_node *node, const char *name)
{
    struct pg *pg = pg_of(node);

    if (pg == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&pg->lock);
    struct scope *scope = find_locked(pg, name);

    if (scope == NULL) {
        pthread_mutex_unlock(&pg->lock);
    }
    return scope;
}

static void leave(struct scope *scope)
{
    pthread_mutex_unlock(&scope->pg->lock);
}

/* The new scope's process is there, and unknown to everybody until it has been
 * entered into the list. */
static struct scope *
new_scope(struct pg *pg, const char *name, tenon_error *err)
{
    struct scope *scope = calloc(1, sizeof *scope);
    const struct tn_process_spec spec = {
        .class = &scope_class,
        .state = scope,
        .name = name,
        .run_inline = true,
        .immortal = true,
        .is_open = true,
    };

    if (scope == NULL) {
        tn_error(err, TENON_E_NOMEM, "pg scope \"%.40s\": out of memory", name);
        return NULL;
    }
    memcpy(scope->name, name, strlen(name) + 1);
    scope->pg = pg;
    LIST_INIT(&scope->watches);
    STAILQ_INIT(&scope->gone);
    /* Its first message waits for the lock that the caller holds. */
    scope->self = tn_process_start(pg->node, &spec, err);
    if (scope->self == NULL) {
        free(scope);
        return NULL;
    }
    tn_pg_scope_init(&scope->core, &ops, scope, &pg->node->hash_key,
                     tn_process_pid(scope->self));
    return scope;
}

static enum tenon_err add_scope_locked(struct pg *pg,
                                       const char *name,
                                       struct scope **added,
                                       tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };
    enum tenon_err rc = TENON_OK;

    *added = find_locked(pg, name);
    if (*added != NULL) {
        return !(*added)->looks
                   ? TENON_OK
                   : tn_error(err, TENON_E_EXISTS,
                              "pg scope \"%.40s\": is running already", name);
    }
    if (pg->scope_count >= TENON_PG_SCOPES_MAX) {
        return tn_error(err, TENON_E_LIMIT,
                        "pg scope \"%.40s\": %d are running already", name,
                        TENON_PG_SCOPES_MAX);
    }
    if (!pg->has_functions) {
        rc = tn_pg_add_functions(pg->node);
        pg->has_functions = rc == TENON_OK;
    }
    if (rc != TENON_OK) {
        return tn_error(err, rc, "pg: %s", tenon_err_text(rc));
    }
    *added = new_scope(pg, name, &why);
    if (*added == NULL) {
        return tn_error(err, why.code, "pg scope: %s", why.text);
    }
    (*added)->next = pg->scopes;
    pg->scopes = *added;
    pg->scope_count++;
    return TENON_OK;
}

enum tenon_err
tenon_pg_start(tenon_node *node, const char *name, tenon_error *err)
{
    struct pg *pg = pg_of(node);
    struct scope *scope = NULL;

    if (pg == NULL || (name != NULL && !is_name(name))) {
        return tn_error(err, TENON_E_INVAL,
                        "pg: no node, or no name for a scope");
    }
    pthread_mutex_lock(&pg->lock);
    enum tenon_err rc = add_scope_locked(
        pg, name != NULL ? name : pg->default_scope, &scope, err);

    pthread_mutex_unlock(&pg->lock);
    if (rc != TENON_OK) {
        return rc;
    }
    /* Not under the lock: it waits for the loop thread. */
    rc = tenon_node_watch_peers(node, on_peer, scope);
    if (rc != TENON_OK) {
        return tn_error(err, rc, "pg scope \"%.40s\": %s", scope->name,
                        tenon_err_text(rc));
    }
    pthread_mutex_lock(&pg->lock);
    scope->looks = true;
    pthread_mutex_unlock(&pg->lock);
    return TENON_OK;
}

/* ---- the public face --------------------------------------------------- */

/* A group's name in canonical form, to be given back by tn_builder_fini. */
static enum tenon_err
canonical(tenon_builder *built, tenon_term group, tenon_term *name)
{
    tn_builder_init(built, TENON_PG_GROUP_MAX_BYTES);
    if (tn_leaves_levels(group)) {
        (void)tn_build_canonical(built, group);
    } else {
        (void)tn_builder_fail(built, TENON_E_TERM_DEEP);
    }
    return tenon_builder_term(built, name);
}

static bool has_ended(tenon_process *process)
{
    tn_lock(process->node);
    bool ended = process->exited;

    tn_unlock(process->node);
    return ended;
}

/* What a process does to its membership; with the scope entered. */
typedef enum tenon_err
change_fn(struct scope *scope, tenon_term group, tenon_process *member);

static enum tenon_err
join(struct scope *scope, tenon_term group, tenon_process *member)
{
    if (has_ended(member)) {
        return TENON_E_NOPROC;
    }
    return tn_pg_scope_join(&scope->core, group, tn_process_pid(member));
}

static enum tenon_err
leave_group(struct scope *scope, tenon_term group, tenon_process *member)
{
    return tn_pg_scope_leave(&scope->core, group, tn_process_pid(member));
}

static enum tenon_err change_membership(tenon_process *member,
                                        const char *name,
                                        tenon_term group,
                                        change_fn *change)
{
    tenon_builder built;
    tenon_term form;

    if (member == NULL) {
        return TENON_E_INVAL;
    }
    enum tenon_err rc = canonical(&built, group, &form);

    if (rc == TENON_OK) {
        struct scope *scope = enter(tenon_process_node(member), name);

        rc = TENON_E_NOPROC;
        if (scope != NULL) {
            rc = change(scope, form, member);
            leave(scope);
        }
    }
    tn_builder_fini(&built);
    return rc;
}

enum tenon_err
tenon_pg_join(tenon_process *member, const char *name, tenon_term group)
{
    return change_membership(member, name, group, join);
}

enum tenon_err
tenon_pg_leave(tenon_process *member, const char *name, tenon_term group)
{
    return change_membership(member, name, group, leave_group);
}

enum tenon_err tenon_pg_members(tenon_node *node,
                                const char *name,
                                tenon_term group,
                                enum tenon_pg_whose whose,
                                tenon_builder *out)
{
    tenon_builder built;
    tenon_term form;

    if (node == NULL || group.bytes == NULL) {
        return TENON_E_INVAL;
    }
    enum tenon_err rc = canonical(&built, group, &form);
    struct scope *scope = rc == TENON_OK ? enter(node, name) : NULL;

    if (scope != NULL) {
        rc = tn_pg_scope_members(&scope->core, form, whose, out);
        leave(scope);
    } else if (rc == TENON_OK || rc == TENON_E_TERM_BIG ||
               rc == TENON_E_TERM_DEEP) {
        rc = tenon_build_nil(out);
    }
    tn_builder_fini(&built);
    return rc;
}

enum tenon_err tenon_pg_groups(tenon_node *node,
                               const char *name,
                               enum tenon_pg_whose whose,
                               tenon_builder *out)
{
    struct scope *scope = enter(node, name);

    if (scope == NULL) {
        return node == NULL ? TENON_E_INVAL : TENON_E_NOPROC;
    }
    enum tenon_err rc = tn_pg_scope_groups(&scope->core, whose, out);

    leave(scope);
    return rc;
}

/* ---- monitors ---------------------------------------------------------- */

static enum tenon_err keep_group(struct watch *watch, tenon_term group)
{
    tenon_builder built;
    tenon_term form;
    enum tenon_err rc = canonical(&built, group, &form);

    if (rc == TENON_OK) {
        watch->group = tenon_value_new(form);
        rc = watch->group == NULL ? TENON_E_NOMEM : TENON_OK;
    }
    tn_builder_fini(&built);
    return rc;
}

static enum tenon_err
new_watch(tenon_process *self, tenon_term group, struct watch **made)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        return TENON_E_NOMEM;
    }
    watch->self = tenon_process_keep(self);
    tn_node_make_ref(tenon_process_node(self), &watch->ref);
    enum tenon_err rc =
        group.bytes == NULL ? TENON_OK : keep_group(watch, group);

    if (rc != TENON_OK) {
        free_watch(watch);
        return rc;
    }
    *made = watch;
    return TENON_OK;
}

static enum tenon_err
build_now(struct scope *scope, const struct watch *watch, tenon_builder *now)
{
    if (now == NULL) {
        return TENON_OK;
    }
    if (watch->group == NULL) {
        return tn_pg_scope_all(&scope->core, now);
    }
    return tn_pg_scope_members(&scope->core, tenon_value_term(watch->group),
                               TENON_PG_ALL, now);
}

/* Takes the watch on success. */
static enum tenon_err
add_watch(struct scope *scope, struct watch *watch, tenon_builder *now)
{
    if (scope->watch_count >= TENON_PG_MONITORS_MAX) {
        return TENON_E_LIMIT;
    }
    if (has_ended(watch->self)) {
        return TENON_E_NOPROC;
    }
    enum tenon_err rc = build_now(scope, watch, now);

    if (rc == TENON_OK) {
        rc = monitor(scope, tn_process_pid(watch->self), &watch->end);
    }
    if (rc == TENON_OK) {
        LIST_INSERT_HEAD(&scope->watches, watch, next);
        scope->watch_count++;
        scope->core.watched = true;
    }
    return rc;
}

enum tenon_err tenon_pg_monitor(tenon_process *self,
                                const char *name,
                                tenon_term group,
                                tenon_ref *ref,
                                tenon_builder *now)
{
    if (self == NULL || ref == NULL) {
        return TENON_E_INVAL;
    }
    struct watch *watch;
    enum tenon_err rc = new_watch(self, group, &watch);

    if (rc != TENON_OK) {
        return rc;
    }
    struct scope *scope = enter(tenon_process_node(self), name);

    rc = TENON_E_NOPROC;
    if (scope != NULL) {
        *ref = watch->ref;
        rc = add_watch(scope, watch, now);
        leave(scope);
    }
    if (rc != TENON_OK) {
        free_watch(watch);
    }
    return rc;
}

enum tenon_err
tenon_pg_demonitor(tenon_process *self, const char *name, const tenon_ref *ref)
{
    struct watch *watch;

    if (self == NULL || ref == NULL) {
        return TENON_E_INVAL;
    }
    struct scope *scope = enter(tenon_process_node(self), name);

    if (scope == NULL) {
        return TENON_E_NOPROC;
    }
    LIST_FOREACH(watch, &scope->watches, next)
    {
        if (watch->self == self && tenon_ref_equal(&watch->ref, ref)) {
            break;
        }
    }
    if (watch != NULL) {
        tn_demonitor(scope->self, &watch->end);
        drop_watch(scope, watch);
    }
    leave(scope);
    return watch == NULL ? TENON_E_NOT_FOUND : TENON_OK;
}
