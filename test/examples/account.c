/* SPDX-License-Identifier: Apache-2.0 */
/* account.so: bank accounts, each of which lives on one node of several, C or
 * Elixir, that its id chooses. A handler decides on events; they are applied
 * when the call is committed, and never in a dry run. As a program it checks
 * itself with three nodes.
 *
 * ACCOUNT_NODES="a@host,b@host" in the environment names the nodes, the same
 * on each of them; without it every account is kept where it is called. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "example.h"

#define ROUTER "Elixir.Account.Router"
/* The module that has the same functions on Elixir nodes. */
#define HANDLER "Elixir.Account.Handler"

#define NODES_MAX 16
#define ID_MAX 63
#define AMOUNT_MAX INT64_C(1000000000000)
/* How many message ids an account remembers, to run none of them twice. */
#define PROCESSED_MAX 64

struct account {
    SLIST_ENTRY(account) next;
    int64_t balance;
    int64_t version; /* events - 1 */
    tenon_value *processed[PROCESSED_MAX];
    unsigned processed_count;
    char id[ID_MAX + 1];
};

/* The accounts of one node. */
struct bank {
    pthread_mutex_t lock; /* from the begin of a handler to its commit */
    SLIST_HEAD(, account) accounts;
    char names[NODES_MAX * 80];
    const char *nodes[NODES_MAX];
    size_t node_count;
};

/* ---- where an account lives -------------------------------------------- */

static bool read_id(tenon_term term, char id[ID_MAX + 1])
{
    const void *bytes;
    size_t len;

    if (tenon_term_binary(term, &bytes, &len) != TENON_OK || len > ID_MAX) {
        return false;
    }
    memcpy(id, bytes, len);
    id[len] = '\0';
    return true;
}

static const char *home_of(const struct bank *bank, const char *id)
{
    size_t sum = 0;

    while (*id != '\0') {
        sum += (unsigned char)*id++;
    }
    return bank->nodes[sum % bank->node_count];
}

/* A request without an id is refused here. */
static void
choose_node(const tenon_message *message, tenon_builder *node, void *user)
{
    const struct bank *bank = user;
    tenon_term term;
    char id[ID_MAX + 1];

    if (bank->node_count > 0 &&
        tenon_map_get_binary(tenon_message_get(message, "raw_request"), "id",
                             &term) == TENON_OK &&
        read_id(term, id)) {
        tenon_build_atom(node, home_of(bank, id));
    }
}

/* ---- accounts ---------------------------------------------------------- */

static struct account *find_account(struct bank *bank, const char *id)
{
    struct account *account;

    SLIST_FOREACH(account, &bank->accounts, next)
    {
        if (strcmp(account->id, id) == 0) {
            return account;
        }
    }
    return NULL;
}

static struct account *open_account(struct bank *bank, const char *id)
{
    struct account *account = calloc(1, sizeof *account);

    if (account != NULL) {
        account->version = -1;
        memcpy(account->id, id, strlen(id) + 1);
        SLIST_INSERT_HEAD(&bank->accounts, account, next);
    }
    return account;
}

static void apply_event(struct account *account, tenon_term event)
{
    int64_t amount;

    if (tenon_match(event, "{:deposited, ~i}", &amount)) {
        account->balance += amount;
    } else if (tenon_match(event, "{:withdrawn, ~i}", &amount)) {
        account->balance -= amount;
    }
    account->version++;
}

static bool was_processed(const struct account *account, tenon_term message_id)
{
    for (unsigned i = 0; i < PROCESSED_MAX; i++) {
        if (account->processed[i] != NULL &&
            tenon_term_equal(tenon_value_term(account->processed[i]),
                             message_id)) {
            return true;
        }
    }
    return false;
}

static void remember(struct account *account, tenon_term message_id)
{
    tenon_value **slot =
        &account->processed[account->processed_count++ % PROCESSED_MAX];

    tenon_value_free(*slot);
    *slot = tenon_value_new(message_id);
}

/* ---- commands ---------------------------------------------------------- */

/* One call of a handler, with the bank locked until it is settled. */
struct command {
    struct bank *bank;
    tenon_call *call;
    tenon_message *message;
    struct account *account; /* NULL: there is none */
    int64_t version;         /* before the command; -1: no account */
    char id[ID_MAX + 1];
};

static enum tenon_err prepare_id(tenon_message *message)
{
    tenon_value *field = tenon_value_format("\"id\"");
    enum tenon_err rc = tenon_message_prepare_aggregate_id(
        message, tenon_value_term(field), false);

    tenon_value_free(field);
    return rc;
}

static enum tenon_err put_version(tenon_message *message, int64_t version)
{
    tenon_value *value = tenon_value_format("~i", version);
    enum tenon_err rc = tenon_message_put_aggregate_meta(
        message, "version", tenon_value_term(value));

    tenon_value_free(value);
    return rc;
}

/* False: the call has been answered. */
static bool begin(struct command *command, tenon_call *call, void *user)
{
    tenon_message *message = tenon_call_message(call);

    *command = (struct command){
        .bank = user, .call = call, .message = message, .version = -1
    };
    pthread_mutex_lock(&command->bank->lock);
    if (prepare_id(message) != TENON_OK) {
        tenon_reply_error(call, "{:badarg, ~t}", tenon_call_request(call));
        return false;
    }
    if (tenon_message_is_halted(message)) {
        tenon_reply_message(call); /* {:missing_id, "id"} */
        return false;
    }
    tenon_term id = { 0 };

    if (!tenon_match(tenon_message_get(message, "aggregate_meta"), "%{id: ~t}",
                     &id) ||
        !read_id(id, command->id)) {
        tenon_reply_error(call, "{:bad_id, ~t}", id);
        return false;
    }
    command->account = find_account(command->bank, command->id);
    if (command->account != NULL) {
        command->version = command->account->version;
    }
    if (put_version(message, command->version) != TENON_OK) {
        tenon_raise(call, ":system_limit");
        return false;
    }
    return true;
}

/* The same for commands to an account that must be there, and that run once. */
static bool
begin_on_account(struct command *command, tenon_call *call, void *user)
{
    if (!begin(command, call, user)) {
        return false;
    }
    if (command->account == NULL) {
        tenon_reply_error(call, ":not_found");
        return false;
    }
    if (was_processed(command->account,
                      tenon_message_get(command->message, "id"))) {
        tenon_reply_ok(call, "~i", command->version);
        return false;
    }
    return true;
}

static bool is_dry_run(const struct command *command)
{
    return !tenon_term_is_atom(tenon_message_get(command->message, "dry_run"),
                               "false");
}

/* False: the call has been answered. */
static bool
add_event(struct command *command, const char *event, int64_t amount)
{
    tenon_value *value = tenon_value_format("{~a, ~i}", event, amount);
    enum tenon_err rc =
        tenon_message_add_event(command->message, tenon_value_term(value));

    tenon_value_free(value);
    if (rc != TENON_OK) {
        tenon_raise(command->call, ":system_limit");
    }
    return rc == TENON_OK;
}

/* {:ok, version}; a dry run leaves that as it is. */
static void accept(struct command *command, const char *event, int64_t amount)
{
    if (add_event(command, event, amount)) {
        tenon_reply_ok(command->call, "~i",
                       command->version + (is_dry_run(command) ? 0 : 1));
    }
}

static bool read_amount(struct command *command, int64_t *amount)
{
    if (tenon_match(tenon_call_request(command->call), "%{\"amount\" => ~i}",
                    amount) &&
        *amount > 0 && *amount <= AMOUNT_MAX) {
        return true;
    }
    tenon_value *request =
        tenon_value_format("%{valid?: false, amount: \"no amount\"}");

    tenon_message_put_request(command->message, tenon_value_term(request));
    tenon_value_free(request);
    tenon_reply_message(command->call);
    return false;
}

/* ---- the services ------------------------------------------------------ */

static void account_open(tenon_call *call, void *user)
{
    struct command command;

    if (!begin(&command, call, user)) {
        return;
    }
    if (command.account != NULL) {
        tenon_reply_error(call, ":already_exists");
    } else if (is_dry_run(&command)) {
        accept(&command, "opened", 0);
    } else if (add_event(&command, "opened", 0)) {
        tenon_reply(call, "{:created, ~s, 0}", command.id);
    }
}

static void account_deposit(tenon_call *call, void *user)
{
    struct command command;
    int64_t amount;

    if (!begin_on_account(&command, call, user) ||
        !read_amount(&command, &amount)) {
        return;
    }
    if (command.account->balance > INT64_MAX - amount) {
        tenon_reply_error(call, ":too_rich");
        return;
    }
    accept(&command, "deposited", amount);
}

static void account_withdraw(tenon_call *call, void *user)
{
    struct command command;
    int64_t amount;

    if (!begin_on_account(&command, call, user) ||
        !read_amount(&command, &amount)) {
        return;
    }
    if (command.account->balance < amount) {
        tenon_reply_error(call, ":insufficient_funds");
        return;
    }
    accept(&command, "withdrawn", amount);
}

static void account_balance(tenon_call *call, void *user)
{
    struct command command;

    if (begin_on_account(&command, call, user)) {
        tenon_reply(call, "{:ok, ~i, ~i}", command.account->balance,
                    command.version);
    }
}

/* Which node serves it. */
static void account_home(tenon_call *call, void *user)
{
    struct bank *bank = user;

    pthread_mutex_lock(&bank->lock);
    tenon_reply_ok(call, "~a", tenon_node_name(tenon_call_node(call)));
}

/* ---- settling ---------------------------------------------------------- */

/* Exactly one of the two follows each run of a handler, on its thread. */
static void on_commit(tenon_message *message, void *user)
{
    struct bank *bank = user;
    tenon_term id, event;
    tenon_cursor at;
    char text[ID_MAX + 1];

    tenon_cursor_init(&at, tenon_message_get(message, "events"));
    if (tenon_cursor_next(&at, &event) &&
        tenon_match(tenon_message_get(message, "aggregate_meta"), "%{id: ~t}",
                    &id) &&
        read_id(id, text)) {
        struct account *account = find_account(bank, text);

        if (account == NULL) {
            account = open_account(bank, text);
        }
        if (account == NULL) {
            tenon_message_error(message, ":system_limit");
        } else {
            apply_event(account, event);
            remember(account, tenon_message_get(message, "id"));
        }
    }
    pthread_mutex_unlock(&bank->lock);
}

static void on_rollback(tenon_message *message, void *user)
{
    struct bank *bank = user;

    (void)message;
    pthread_mutex_unlock(&bank->lock);
}

/* ---- the library ------------------------------------------------------- */

static const struct {
    const char *name;
    tenon_service_fn fn;
} services[] = {
    { "account_open", account_open },
    { "account_deposit", account_deposit },
    { "account_withdraw", account_withdraw },
    { "account_balance", account_balance },
    { "account_home", account_home },
};

static enum tenon_err add_services(tenon_node *node, struct bank *bank)
{
    tenon_router *router = tenon_router_new(node, ROUTER);
    enum tenon_err rc = tenon_router_choose_node(router, choose_node, bank);

    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        if (rc == TENON_OK) {
            rc = tenon_service_add(router, services[i].name, services[i].fn,
                                   &(tenon_service_options){
                                       .user = bank,
                                       .handler = HANDLER,
                                       .on_commit = on_commit,
                                       .on_rollback = on_rollback,
                                   });
        }
    }
    return rc == TENON_OK ? tenon_register_services(router) : rc;
}

/* Reads ACCOUNT_NODES. */
static bool read_nodes(struct bank *bank)
{
    const char *names = getenv("ACCOUNT_NODES");
    char *rest = bank->names;

    if (names == NULL || *names == '\0') {
        return true;
    }
    if (strlen(names) >= sizeof bank->names) {
        return false;
    }
    memcpy(bank->names, names, strlen(names) + 1);
    while (rest != NULL && bank->node_count < NODES_MAX) {
        bank->nodes[bank->node_count++] = strsep(&rest, ",");
    }
    return rest == NULL;
}

static void unload(void *state)
{
    struct bank *bank = state;
    struct account *account;

    while ((account = SLIST_FIRST(&bank->accounts)) != NULL) {
        SLIST_REMOVE_HEAD(&bank->accounts, next);
        for (unsigned i = 0; i < PROCESSED_MAX; i++) {
            tenon_value_free(account->processed[i]);
        }
        free(account);
    }
    pthread_mutex_destroy(&bank->lock);
    free(bank);
}

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    struct bank *bank = calloc(1, sizeof *bank);

    (void)err;
    if (bank == NULL) {
        return TENON_E_NOMEM;
    }
    pthread_mutex_init(&bank->lock, NULL);
    SLIST_INIT(&bank->accounts);
    *state = bank;
    return read_nodes(bank) ? add_services(node, bank) : TENON_E_INVAL;
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "account", load, unload };

/* ---- the check --------------------------------------------------------- */

/* Whether a dispatch of that request gets a response of that form. */
static bool answers(tenon_node *from,
                    const char *service,
                    const char *id,
                    int64_t amount,
                    const char *pattern)
{
    tenon_value *request =
        tenon_value_format("%{\"id\" => ~s, \"amount\" => ~i}", id, amount);
    tenon_message *message = tenon_message_new(
        from, service,
        &(tenon_message_options){ .raw_request = tenon_value_term(request) });
    tenon_message *reply = NULL;

    CHECK(tenon_dispatch(from, message, SOON_MS, &reply, NULL) == TENON_OK);
    bool matches = tenon_match(tenon_message_get(reply, "response"), pattern);

    tenon_message_free(reply);
    tenon_message_free(message);
    tenon_value_free(request);
    return matches;
}

static const char *const ids[] = { "a", "b", "c", "ada", "bob", "eve" };
#define IDS (sizeof ids / sizeof *ids)

/* Each account is opened, used and asked for from another node. */
static void use_accounts(tenon_node *const nodes[3])
{
    for (size_t i = 0; i < IDS; i++) {
        tenon_node *one = nodes[i % 3], *two = nodes[(i + 1) % 3];
        tenon_node *three = nodes[(i + 2) % 3];

        CHECK(
            answers(one, "account_deposit", ids[i], 5, "{:error, :not_found}"));
        CHECK(answers(one, "account_open", ids[i], 0, "{:created, _, 0}"));
        CHECK(answers(two, "account_deposit", ids[i], 100, "{:ok, 1}"));
        CHECK(answers(three, "account_withdraw", ids[i], 101,
                      "{:error, :insufficient_funds}"));
        CHECK(answers(three, "account_withdraw", ids[i], 60, "{:ok, 2}"));
        CHECK(answers(one, "account_balance", ids[i], 0, "{:ok, 40, 2}"));
    }
}

static void
expect_home(tenon_node *from, const char *id, const struct bank *bank)
{
    char pattern[100];

    snprintf(pattern, sizeof pattern, "{:ok, :\"%s\"}", home_of(bank, id));
    CHECK(answers(from, "account_home", id, 0, pattern));
}

int main(void)
{
    tenon_node *nodes[3];
    void *banks[3];
    char names[300];
    tenon_error err = { 0 };

    for (int i = 0; i < 3; i++) {
        nodes[i] =
            start_node((const char *const[]){ "one", "two", "three" }[i]);
    }
    snprintf(names, sizeof names, "%s,%s,%s", tenon_node_name(nodes[0]),
             tenon_node_name(nodes[1]), tenon_node_name(nodes[2]));
    setenv("ACCOUNT_NODES", names, 1);
    for (int i = 0; i < 3; i++) {
        CHECK(load(nodes[i], &banks[i], &err) == TENON_OK);
    }
    use_accounts(nodes);
    for (size_t i = 0; i < IDS; i++) {
        expect_home(nodes[i % 3], ids[i], banks[0]);
    }
    tenon_node_stop(nodes[2]);
    for (size_t i = 0; i < IDS; i++) {
        bool is_lost =
            strcmp(home_of(banks[0], ids[i]), strrchr(names, ',') + 1) == 0;

        CHECK(answers(nodes[0], "account_balance", ids[i], 0,
                      is_lost ? "{:error, {:badrpc, :nodedown}}"
                              : "{:ok, 40, 2}"));
    }
    tenon_node_stop(nodes[1]);
    tenon_node_stop(nodes[0]);
    for (int i = 0; i < 3; i++) {
        unload(banks[i]);
    }
    puts("account: three nodes, each account on its own");
    return 0;
}
