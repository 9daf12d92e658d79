/* SPDX-License-Identifier: Apache-2.0 */
/* What global knows: nodes and names, and the monitors of names and locks. */
#include <stdlib.h>
#include <string.h>

#include "otp/gen.h"
#include "otp/global_core.h"
#include "term/build.h"
#include "term/canonical.h"

/* ---- node names -------------------------------------------------------- */

bool tn_gnodes_has(const struct tn_gnodes *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (strcmp(nodes->at[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool tn_gnodes_add(struct tn_gnodes *nodes, const char *name)
{
    return tn_gnodes_has(nodes, name) || tn_gnodes_push(nodes, name);
}

bool tn_gnodes_push(struct tn_gnodes *nodes, const char *name)
{
    if (nodes->count == nodes->cap) {
        size_t cap = nodes->cap == 0 ? 8 : 2 * nodes->cap;
        char **at = realloc(nodes->at, cap * sizeof *at);

        if (at == NULL) {
            return false;
        }
        nodes->at = at;
        nodes->cap = cap;
    }
    char *copy = strdup(name);

    if (copy == NULL) {
        return false;
    }
    nodes->at[nodes->count++] = copy;
    return true;
}

void tn_gnodes_remove(struct tn_gnodes *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (strcmp(nodes->at[i], name) == 0) {
            free(nodes->at[i]);
            nodes->at[i] = nodes->at[--nodes->count];
            return;
        }
    }
}

void tn_gnodes_fini(struct tn_gnodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        free(nodes->at[i]);
    }
    free(nodes->at);
    *nodes = (struct tn_gnodes){ 0 };
}

const char *tn_gnodes_boss(const struct tn_gnodes *nodes)
{
    const char *boss = NULL;

    for (size_t i = 0; i < nodes->count; i++) {
        if (boss == NULL || strcmp(nodes->at[i], boss) > 0) {
            boss = nodes->at[i];
        }
    }
    return boss;
}

/* ---- keys -------------------------------------------------------------- */

tenon_value *tn_global_canonical(tenon_term term)
{
    struct tenon_builder out;
    tenon_term result;
    tenon_value *value = NULL;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tn_build_canonical(&out, term);
    if (tenon_builder_term(&out, &result) == TENON_OK) {
        value = tenon_value_new(result);
    }
    tn_builder_fini(&out);
    return value;
}

/* ---- monitors ---------------------------------------------------------- */

bool tn_gwatch_start(struct tn_global *global,
                     struct tn_gwatch *watch,
                     const tenon_pid *pid)
{
    memset(&watch->ref, 0, sizeof watch->ref);
    if (global->io->monitor(global->io_user, pid, &watch->ref) < 0) {
        return false;
    }
    TN_HASH_ADD(hh, global->watches, global->hash_key, watch->ref.words,
                sizeof watch->ref.words, watch);
    if (!TN_HASH_HAS(hh, watch)) {
        global->io->demonitor(global->io_user, &watch->ref);
        return false;
    }
    watch->set = true;
    return true;
}

void tn_gwatch_stop(struct tn_global *global, struct tn_gwatch *watch)
{
    if (!watch->set) {
        return;
    }
    watch->set = false;
    HASH_DELETE(hh, global->watches, watch);
    global->io->demonitor(global->io_user, &watch->ref);
}

/* The monitor is over: taking it back would look for its end among all messages
 * that wait, of which a lost node's names make 100,000. */
static void forget_watch(struct tn_global *global, struct tn_gwatch *watch)
{
    watch->set = false;
    HASH_DELETE(hh, global->watches, watch);
}

void tn_global_down(struct tn_global *global, const tenon_ref *ref)
{
    struct tn_gwatch *watch;
    uint32_t words[5] = { 0 };

    for (uint32_t i = 0; i < ref->word_count && i < 5; i++) {
        words[i] = ref->words[i];
    }
    TN_HASH_FIND(hh, global->watches, global->hash_key, words, sizeof words,
                 watch);
    if (watch == NULL || !tenon_ref_equal(&watch->ref, ref)) {
        return;
    }
    forget_watch(global, watch);
    if (watch->of_name) {
        tn_gname_delete(global, watch->owner);
    } else {
        tn_glock_holder_ended(global, watch->owner);
    }
}

/* ---- peers ------------------------------------------------------------- */

struct tn_gpeer *tn_gpeer_find(struct tn_global *global, const char *name)
{
    struct tn_gpeer *peer;

    TN_HASH_FIND(hh, global->peers, global->hash_key, name, strlen(name), peer);
    return peer;
}

struct tn_gpeer *tn_gpeer_get(struct tn_global *global, const char *name)
{
    struct tn_gpeer *peer = tn_gpeer_find(global, name);
    size_t len = strlen(name);

    if (peer != NULL) {
        return peer;
    }
    if (len >= sizeof peer->name || strcmp(name, global->own) == 0 ||
        HASH_COUNT(global->peers) >= TN_GLOBAL_NODES_MAX) {
        return NULL;
    }
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    memcpy(peer->name, name, len + 1);
    TN_HASH_ADD(hh, global->peers, global->hash_key, peer->name, len, peer);
    if (!TN_HASH_HAS(hh, peer)) {
        free(peer);
        return NULL;
    }
    return peer;
}

void tn_gpeer_release(struct tn_global *global, struct tn_gpeer *peer)
{
    if (peer->up || peer->known || peer->wanted || peer->removing ||
        peer->session) {
        return;
    }
    HASH_DELETE(hh, global->peers, peer);
    tn_gheld_drop(&peer->early);
    free(peer);
}

bool tn_gpeer_is_member(const struct tn_gpeer *peer)
{
    return peer != NULL && (peer->known || peer->pending);
}

bool tn_global_known(struct tn_global *global,
                     bool own,
                     struct tn_gnodes *nodes)
{
    if (own && !tn_gnodes_push(nodes, global->own)) {
        return false;
    }
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (peer->known && !tn_gnodes_push(nodes, peer->name)) {
            return false;
        }
    }
    return true;
}

void tn_global_build_known(struct tn_global *global,
                           tenon_builder *out,
                           int64_t version)
{
    size_t count = 0;

    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        count += peer->known;
    }
    tenon_build_list(out, count);
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (!peer->known) {
            continue;
        }
        if (version >= TN_GLOBAL_PARTITION_VERSION) {
            tenon_format(out, "{~a, ~i}", peer->name, peer->version);
        } else {
            tenon_build_atom(out, peer->name);
        }
    }
    tenon_build_nil(out);
}

/* ---- names ------------------------------------------------------------- */

static struct tn_gname *find_name(struct tn_global *global, tenon_term key)
{
    struct tn_gname *name = NULL;

    TN_HASH_FIND(hh, global->names, global->hash_key, key.bytes, key.len, name);
    return name;
}

/* Without memory more slowly: a name that must go must be found. */
struct tn_gname *tn_gname_find(struct tn_global *global, tenon_term name)
{
    tenon_value *key = tn_global_canonical(name);
    struct tn_gname *found;

    if (key != NULL) {
        found = find_name(global, tenon_value_term(key));
        tenon_value_free(key);
        return found;
    }
    for (found = global->names; found != NULL; found = found->hh.next) {
        if (tenon_term_equal(found->key, name)) {
            return found;
        }
    }
    return NULL;
}

static size_t bytes_of(const struct tn_gname *name)
{
    return name->key.len + name->method.len;
}

static void free_name(struct tn_gname *name)
{
    tn_gkept_give_back(&name->kept);
    free(name);
}

void tn_gname_delete(struct tn_global *global, struct tn_gname *name)
{
    tn_gwatch_stop(global, &name->watch);
    pthread_mutex_lock(&global->lock);
    HASH_DELETE(hh, global->names, name);
    pthread_mutex_unlock(&global->lock);
    global->name_bytes -= bytes_of(name);
    free_name(name);
}

/* One piece of memory: a lost node's names are freed one after the other, and
 * small pieces by the hundred thousand are joined by glibc all at once later. */
static struct tn_gname *
new_name(tenon_term key, const tenon_pid *pid, tenon_term method)
{
    struct tn_gname *name = calloc(1, sizeof *name + key.len + method.len);

    if (name == NULL) {
        return NULL;
    }
    memcpy(name->bytes, key.bytes, key.len);
    memcpy(name->bytes + key.len, method.bytes, method.len);
    name->key = (tenon_term){ name->bytes, key.len };
    name->method = (tenon_term){ name->bytes + key.len, method.len };
    name->pid = *pid;
    name->watch.owner = name;
    name->watch.of_name = true;
    return name;
}

static enum tenon_err enter_name(struct tn_global *global,
                                 tenon_term key,
                                 const tenon_pid *pid,
                                 tenon_term method)
{
    struct tn_gname *old = find_name(global, key);

    if (old == NULL && HASH_COUNT(global->names) >= TENON_GLOBAL_NAMES_MAX) {
        global->io->warn(global->io_user, "global_names_full", NULL);
        return TENON_E_LIMIT;
    }
    struct tn_gname *name = new_name(key, pid, method);

    if (name == NULL) {
        return TENON_E_NOMEM;
    }
    uint32_t max = global->by != NULL ? TN_GLOBAL_PEER_NAMES_MAX : UINT32_MAX;
    bool may = tn_gkept_take(global, &name->kept, TN_QUOTA_NAMES, max,
                             sizeof *name + bytes_of(name));

    if (!may || !tn_gwatch_start(global, &name->watch, pid)) {
        free_name(name);
        return may ? TENON_E_NOMEM : TENON_E_LIMIT;
    }
    if (old != NULL) {
        tn_gwatch_stop(global, &old->watch);
    }
    pthread_mutex_lock(&global->lock);
    if (old != NULL) {
        HASH_DELETE(hh, global->names, old);
    }
    TN_HASH_ADD(hh, global->names, global->hash_key, name->key.bytes, key.len,
                name);
    pthread_mutex_unlock(&global->lock);
    if (old != NULL) {
        global->name_bytes -= bytes_of(old);
        free_name(old);
    }
    if (!TN_HASH_HAS(hh, name)) {
        tn_gwatch_stop(global, &name->watch);
        free_name(name);
        return TENON_E_NOMEM;
    }
    global->name_bytes += bytes_of(name);
    return TENON_OK;
}

enum tenon_err tn_gname_insert(struct tn_global *global,
                               tenon_term name,
                               tenon_term pid,
                               tenon_term method,
                               bool lock_set)
{
    tenon_pid at;

    if (tenon_term_pid(pid, &at) < 0) {
        return TENON_E_INVAL;
    }
    /* The others would lose their connections when they are told of it. */
    if (!tn_leaves_levels(name) || !tn_leaves_levels(method)) {
        global->io->warn(global->io_user, "global_name_too_deep", at.node);
        return TENON_E_TERM_DEEP;
    }
    if (name.len > TENON_GLOBAL_KEY_MAX_BYTES ||
        method.len > TENON_GLOBAL_KEY_MAX_BYTES - name.len) {
        global->io->warn(global->io_user, "global_name_long", NULL);
        return TENON_E_LIMIT;
    }
    tenon_value *key = tn_global_canonical(name);

    if (key == NULL) {
        return TENON_E_NOMEM;
    }
    if (!lock_set) {
        struct tn_gname *old = find_name(global, tenon_value_term(key));

        if (old != NULL) {
            tn_gname_delete(global, old);
        }
        tenon_value_free(key);
        return TENON_OK;
    }
    enum tenon_err rc = enter_name(global, tenon_value_term(key), &at, method);

    tenon_value_free(key);
    return rc;
}

enum tenon_err
tn_global_find(struct tn_global *global, tenon_term name, tenon_pid *pid)
{
    tenon_value *key = tn_global_canonical(name);

    if (key == NULL) {
        return name.bytes == NULL ? TENON_E_INVAL : TENON_E_NOMEM;
    }
    pthread_mutex_lock(&global->lock);
    struct tn_gname *found = find_name(global, tenon_value_term(key));

    if (found != NULL) {
        *pid = found->pid;
    }
    pthread_mutex_unlock(&global->lock);
    tenon_value_free(key);
    if (found == NULL || (strcmp(pid->node, global->own) == 0 &&
                          !global->io->is_alive(global->io_user, pid))) {
        return TENON_E_NOT_FOUND;
    }
    return TENON_OK;
}

enum tenon_err tn_global_list(struct tn_global *global, tenon_builder *out)
{
    pthread_mutex_lock(&global->lock);
    tenon_build_list(out, HASH_COUNT(global->names));
    for (struct tn_gname *name = global->names; name != NULL;
         name = name->hh.next) {
        tenon_build_term(out, name->key);
    }
    pthread_mutex_unlock(&global->lock);
    return tenon_build_nil(out);
}

/* ---- life -------------------------------------------------------------- */

struct tn_global *tn_global_new(const struct tn_global_io *io,
                                void *io_user,
                                const char *own,
                                const struct tn_sip_key *hash_key,
                                const tenon_pid *locker,
                                const tenon_pid *holder)
{
    struct tn_global *global = calloc(1, sizeof *global);

    if (global == NULL) {
        return NULL;
    }
    global->io = io;
    global->io_user = io_user;
    global->hash_key = hash_key;
    strncpy(global->own, own, sizeof global->own - 1);
    global->holder_pid = *holder;
    global->locker = tenon_value_format("~p", locker);
    global->holder = tenon_value_format("~p", holder);
    LIST_INIT(&global->syncs);
    STAILQ_INIT(&global->questions);
    STAILQ_INIT(&global->ops);
    pthread_mutex_init(&global->lock, NULL);
    if (global->locker == NULL || global->holder == NULL) {
        tn_global_free(global);
        return NULL;
    }
    return global;
}

static void free_names(struct tn_global *global)
{
    while (global->names != NULL) {
        struct tn_gname *name = global->names;

        name->watch.set = false;
        HASH_DELETE(hh, global->names, name);
        free_name(name);
    }
}

static void free_peers(struct tn_global *global)
{
    while (global->peers != NULL) {
        struct tn_gpeer *peer = global->peers;

        tn_gsession_end(global, peer);
        peer->up = peer->known = peer->wanted = peer->removing = false;
        tn_gpeer_release(global, peer);
    }
}

void tn_global_free(struct tn_global *global)
{
    if (global == NULL) {
        return;
    }
    tn_gops_fini(global);
    tn_gsyncs_fini(global);
    free_peers(global);
    tn_gquestions_fini(global);
    HASH_CLEAR(hh, global->watches);
    free_names(global);
    tn_glocks_fini(global);
    tn_gpartition_fini(global);
    tenon_value_free(global->locker);
    tenon_value_free(global->holder);
    pthread_mutex_destroy(&global->lock);
    free(global);
}
