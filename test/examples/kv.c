/* SPDX-License-Identifier: Apache-2.0 */
/* The distributed key-value store of Elixir's guide, in C: KV.Registry makes
 * buckets and finds them, a bucket is a process that takes an Agent's calls,
 * and KV.Router routes by the first byte of a bucket's name. It shares its
 * buckets with nodes of Elixir that run the guide's modules; an Agent's
 * functions travel as {module, function, args}, since C cannot run a fun.
 *
 * As a library it is loaded by each node (`tenon run --load kv.so`), with the
 * table of all of them in KV_ROUTES: a-m=NODE,n-z=NODE. As a program it has
 * two nodes of its own, that try it.
 */
#include <string.h>

#include "example.h"

#define REGISTRY "Elixir.KV.Registry"
#define ROUTER "Elixir.KV.Router"
#define ROUTER_TASKS "Elixir.KV.RouterTasks"
#define ROUTES_MAX 16
#define ROUTES_MAX_BYTES 2000

/* ---- buckets ----------------------------------------------------------- *
 * Everything of the store runs on the loop thread of its node, one thing at a
 * time: no lock is needed. */

struct pair {
    struct pair *next;
    tenon_value *key, *value;
};

struct store;

struct bucket {
    struct bucket *next;
    struct store *store;
    tenon_value *name;
    tenon_process *process;
    struct pair *pairs;
};

struct store {
    struct bucket *buckets;
    char routes[ROUTES_MAX_BYTES]; /* KV_ROUTES, which the table is cut from */
    tenon_route_entry table[ROUTES_MAX];
    size_t count;
};

/* Where the pair with that key hangs, or where one would. */
static struct pair **find_pair(struct bucket *bucket, tenon_term key)
{
    struct pair **at = &bucket->pairs;

    while (*at != NULL &&
           !tenon_term_equal(tenon_value_term((*at)->key), key)) {
        at = &(*at)->next;
    }
    return at;
}

static tenon_term value_at(struct pair *const *at)
{
    static const uint8_t nil[] = { 119, 3, 'n', 'i', 'l' };

    return *at != NULL ? tenon_value_term((*at)->value)
                       : (tenon_term){ nil, sizeof nil };
}

static void drop_pair(struct pair **at)
{
    struct pair *pair = *at;

    if (pair != NULL) {
        *at = pair->next;
        tenon_value_free(pair->key);
        tenon_value_free(pair->value);
        free(pair);
    }
}

static bool put(struct bucket *bucket, tenon_term key, tenon_term value)
{
    struct pair *pair = malloc(sizeof *pair);

    if (pair == NULL) {
        return false;
    }
    *pair = (struct pair){ NULL, tenon_value_new(key), tenon_value_new(value) };
    if (pair->key == NULL || pair->value == NULL) {
        drop_pair(&pair);
        return false;
    }
    drop_pair(find_pair(bucket, key));
    pair->next = bucket->pairs;
    bucket->pairs = pair;
    return true;
}

/* What Agent.get, update and get_and_update send, for the functions of Map
 * that the guide's bucket uses. */
static void bucket_call(tenon_call *call, void *state)
{
    struct bucket *bucket = state;
    tenon_term request = tenon_call_request(call);
    tenon_term key, value;

    if (tenon_match(request, "{:get, {Map, :get, [~t]}}", &key)) {
        tenon_reply_term(call, value_at(find_pair(bucket, key)));
    } else if (tenon_match(request, "{:update, {Map, :put, [~t, ~t]}}", &key,
                           &value)) {
        if (put(bucket, key, value)) {
            tenon_reply(call, ":ok");
        } else {
            tenon_raise(call, ":system_limit");
        }
    } else if (tenon_match(request, "{:get_and_update, {Map, :pop, [~t]}}",
                           &key)) {
        struct pair **at = find_pair(bucket, key);

        tenon_reply_term(call, value_at(at));
        drop_pair(at);
    } else {
        tenon_raise(call, ":undef");
    }
}

static void free_bucket(struct bucket *bucket)
{
    while (bucket->pairs != NULL) {
        drop_pair(&bucket->pairs);
    }
    tenon_value_free(bucket->name);
    tenon_process_release(bucket->process);
    free(bucket);
}

static void bucket_ended(tenon_process *self, tenon_term reason, void *state)
{
    struct bucket *bucket = state;
    struct bucket **at = &bucket->store->buckets;

    (void)self;
    (void)reason;
    while (*at != bucket) {
        at = &(*at)->next;
    }
    *at = bucket->next;
    free_bucket(bucket);
}

/* ---- KV.Registry ------------------------------------------------------- */

static struct bucket *find_bucket(struct store *store, tenon_term name)
{
    struct bucket *bucket = store->buckets;

    while (bucket != NULL &&
           !tenon_term_equal(tenon_value_term(bucket->name), name)) {
        bucket = bucket->next;
    }
    return bucket;
}

static struct bucket *
make_bucket(tenon_node *node, struct store *store, tenon_term name)
{
    struct bucket *bucket = calloc(1, sizeof *bucket);

    if (bucket == NULL) {
        return NULL;
    }
    bucket->store = store;
    bucket->name = tenon_value_new(name);
    if (bucket->name != NULL) {
        bucket->process =
            tenon_server_start(node, &(tenon_server_config){
                                         .on_call = bucket_call,
                                         .on_terminate = bucket_ended,
                                         .state = bucket,
                                         .run_inline = true,
                                     });
    }
    if (bucket->process == NULL) {
        free_bucket(bucket);
        return NULL;
    }
    bucket->next = store->buckets;
    store->buckets = bucket;
    return bucket;
}

/* create(registry, name): the pid of the bucket, which may have been there. */
static void create(tenon_call *call, void *user)
{
    tenon_term name = tenon_call_arg(call, 1);
    struct bucket *bucket = find_bucket(user, name);
    tenon_pid pid;

    if (bucket == NULL) {
        bucket = make_bucket(tenon_call_node(call), user, name);
    }
    if (bucket == NULL) {
        tenon_raise(call, ":system_limit");
        return;
    }
    tenon_process_pid(bucket->process, &pid);
    tenon_reply(call, "~p", &pid);
}

/* lookup(registry, name): {:ok, pid} or :error. */
static void lookup(tenon_call *call, void *user)
{
    struct bucket *bucket = find_bucket(user, tenon_call_arg(call, 1));
    tenon_pid pid;

    if (bucket == NULL) {
        tenon_reply(call, ":error");
        return;
    }
    tenon_process_pid(bucket->process, &pid);
    tenon_reply_ok(call, "~p", &pid);
}

/* ---- a node ------------------------------------------------------------ */

/* "a-m=NODE" */
static bool read_route(const char *text, tenon_route_entry *entry)
{
    if (strlen(text) <= 4 || text[1] != '-' || text[3] != '=') {
        return false;
    }
    *entry =
        (tenon_route_entry){ (uint8_t)text[0], (uint8_t)text[2], text + 4 };
    return true;
}

/* Reads KV_ROUTES. */
static bool read_routes(struct store *store)
{
    const char *routes = getenv("KV_ROUTES");
    char *rest = store->routes;

    if (routes == NULL || strlen(routes) >= sizeof store->routes) {
        return false;
    }
    memcpy(store->routes, routes, strlen(routes) + 1);
    while (rest != NULL && store->count < ROUTES_MAX) {
        if (!read_route(strsep(&rest, ","), &store->table[store->count++])) {
            return false;
        }
    }
    return rest == NULL;
}

static tenon_routes *
serve(tenon_node *node, struct store *store, tenon_error *err)
{
    tenon_process *tasks = tenon_task_supervisor_start(
        node,
        &(tenon_task_supervisor_config){ .name = ROUTER_TASKS, .err = err });

    tenon_process_release(tasks);
    if (tasks == NULL ||
        tenon_function(node, REGISTRY, "create", 2, create, store,
                       TENON_INLINE) != TENON_OK ||
        tenon_function(node, REGISTRY, "lookup", 2, lookup, store,
                       TENON_INLINE) != TENON_OK) {
        return NULL;
    }
    return tenon_routes_start(node, &(tenon_routes_config){
                                        .module = ROUTER,
                                        .tasks = ROUTER_TASKS,
                                        .entries = store->table,
                                        .entry_count = store->count,
                                        .err = err,
                                    });
}

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return TENON_E_NOMEM;
    }
    if (!read_routes(store)) {
        snprintf(err->text, sizeof err->text,
                 "KV_ROUTES: expected a-m=NODE,n-z=NODE and at most %d of them",
                 ROUTES_MAX);
        free(store);
        return TENON_E_INVAL;
    }
    *state = store;
    return serve(node, store, err) != NULL ? TENON_OK : TENON_E_INVAL;
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "kv", load, free };

/* ---- two nodes, tried --------------------------------------------------- */

/* KV.Router.route(bucket, KV.Registry, function, [KV.Registry, bucket]). */
static tenon_value *
ask_registry(tenon_routes *from, const char *bucket, const char *function)
{
    tenon_value *args = tenon_value_format("[KV.Registry, ~s]", bucket);
    tenon_value *answer = NULL;

    CHECK(tenon_route(from, bucket, strlen(bucket), REGISTRY, function,
                      tenon_value_term(args), SOON_MS, &answer,
                      NULL) == TENON_OK);
    tenon_value_free(args);
    return answer;
}

static bool answers(tenon_node *from,
                    const tenon_pid *bucket,
                    const char *request,
                    const char *pattern)
{
    tenon_value *term = tenon_value_format(request);
    tenon_value *answer = NULL;
    const tenon_dest to = { .pid = bucket };

    CHECK(tenon_server_call(from, &to, tenon_value_term(term), SOON_MS, &answer,
                            NULL) == TENON_OK);
    bool matches = tenon_match(tenon_value_term(answer), pattern);

    tenon_value_free(answer);
    tenon_value_free(term);
    return matches;
}

/* Uses a bucket from a node; `owner` is the one that must have it. */
static void use_bucket(tenon_node *node,
                       tenon_routes *routes,
                       const char *bucket,
                       const tenon_node *owner)
{
    tenon_value *created = ask_registry(routes, bucket, "create");
    tenon_pid pid, found;

    CHECK(tenon_match(tenon_value_term(created), "~p", &pid));
    CHECK(strcmp(pid.node, tenon_node_name(owner)) == 0);
    tenon_value *looked_up = ask_registry(routes, bucket, "lookup");

    CHECK(tenon_match(tenon_value_term(looked_up), "{:ok, ~p}", &found));
    CHECK(tenon_pid_equal(&pid, &found));
    CHECK(answers(node, &pid, "{:get, {Map, :get, [\"milk\"]}}", "nil"));
    CHECK(answers(node, &pid, "{:update, {Map, :put, [\"milk\", 1]}}", ":ok"));
    CHECK(answers(node, &pid, "{:update, {Map, :put, [\"milk\", 3]}}", ":ok"));
    CHECK(answers(node, &pid, "{:get, {Map, :get, [\"milk\"]}}", "3"));
    CHECK(
        answers(node, &pid, "{:get_and_update, {Map, :pop, [\"milk\"]}}", "3"));
    CHECK(answers(node, &pid, "{:get, {Map, :get, [\"milk\"]}}", "nil"));
    tenon_value_free(looked_up);
    tenon_value_free(created);
}

int main(void)
{
    struct store stores[2] = { { .buckets = NULL }, { .buckets = NULL } };
    tenon_node *foo = start_node("foo");
    tenon_node *bar = start_node("bar");
    char table[300];
    tenon_error err = { 0 };

    snprintf(table, sizeof table, "a-m=%s,n-z=%s", tenon_node_name(foo),
             tenon_node_name(bar));
    setenv("KV_ROUTES", table, 1);
    CHECK(read_routes(&stores[0]) && read_routes(&stores[1]));
    tenon_routes *from_foo = serve(foo, &stores[0], &err);
    tenon_routes *from_bar = serve(bar, &stores[1], &err);

    CHECK(from_foo != NULL && from_bar != NULL);

    use_bucket(foo, from_foo, "apples", foo);
    use_bucket(foo, from_foo, "pears", bar);
    use_bucket(bar, from_bar, "bananas", foo);
    use_bucket(bar, from_bar, "zucchini", bar);
    tenon_value *unknown = ask_registry(from_foo, "quinces", "lookup");
    tenon_value *no_args = tenon_value_format("[]");

    CHECK(tenon_match(tenon_value_term(unknown), ":error"));
    CHECK(tenon_route(from_foo, "\xff", 1, REGISTRY, "lookup",
                      tenon_value_term(no_args), 0, NULL,
                      &err) == TENON_E_NOT_FOUND);
    tenon_value_free(no_args);
    tenon_value_free(unknown);
    tenon_node_stop(bar);
    tenon_node_stop(foo);
    puts("kv: buckets made, found and used, here and there");
    return 0;
}
