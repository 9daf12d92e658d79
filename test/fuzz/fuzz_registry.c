/* SPDX-License-Identifier: Apache-2.0 */
/* Any terms as what service registries of other nodes say, one after the
 * other. What is kept counts right, is found again, and is gone with its node;
 * and what this node says of its services is read back as the same. */
#include "fuzz/input.h"
#include "unit/support/hash_key.h"
#include "x3m/registry_message.h"
#include "x3m/services.h"

static const char *const atoms[] = {
    "s",
    "deposit",
    "get_account",
    "Elixir.MyApp.Router",
    "Elixir.Other.Router",
    "introduce_local_services",
    "register_remote_services",
    "unregister_node_services",
    "\xc3\xa9",
    "",
};
static const char *const nodes[] = { "a@h", "b@h", "c@h", "nonode@nohost" };
static const char *const shapes[] = {
    "{:introduce_local_services, ~t}",
    "{:register_remote_services, {~t, ~t}}",
    "{:register_remote_services, {:a@h, %{~t => ~t, ~t => ~t}}}",
    "{:register_remote_services, {:b@h, [{~t, ~t} | ~t]}}",
    "{:register_remote_services, {:c@h, %{s: :m, deposit: :n}}}",
    "{:unregister_node_services, ~t}",
    "{~t, ~t}",
};
static const struct words words = WORDS(atoms, nodes, shapes);

static void must_count(const struct tn_remotes *remotes)
{
    const struct tn_remote *remote;
    const struct tn_offer *offer;
    size_t all = 0;

    for (remote = remotes->table; remote != NULL; remote = remote->hh.next) {
        size_t count = 0;

        MUST(tn_remotes_find(remotes, remote->name) == remote);
        SLIST_FOREACH(offer, &remote->offers, next)
        {
            count++;
        }
        MUST(count > 0 && count == remote->count);
        all += count;
    }
    MUST(all == remotes->offers);
}

static bool offers_anything(const struct tn_remotes *remotes, const char *node)
{
    const struct tn_remote *remote;
    const struct tn_offer *offer;

    for (remote = remotes->table; remote != NULL; remote = remote->hh.next) {
        SLIST_FOREACH(offer, &remote->offers, next)
        {
            if (strcmp(offer->node, node) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void say(struct tn_remotes *remotes, tenon_term term)
{
    struct tn_registry_message message;
    size_t left_out = 0;

    if (tn_registry_read(term, &message) < 0) {
        return;
    }
    if (message.kind == TN_REGISTRY_REGISTER) {
        MUST(tn_remotes_fold(remotes, message.node.text, message.services,
                             &left_out) == TENON_OK);
        MUST(left_out <= tenon_term_count(message.services));
    } else if (message.kind == TN_REGISTRY_UNREGISTER) {
        tn_remotes_drop_node(remotes, message.node.text);
        MUST(!offers_anything(remotes, message.node.text));
    }
}

/* What this node would announce, if its services had these names. */
static void announce(struct input *in)
{
    tenon_builder *out = tenon_builder_new();
    struct tn_registry_message message;
    struct tn_announced services[4];
    size_t count = input_byte(in) % 5u;
    tenon_term term;

    MUST(out != NULL);
    for (size_t i = 0; i < count; i++) {
        services[i].service = input_word(in, atoms, COUNT_OF(atoms));
        services[i].module = input_word(in, atoms, COUNT_OF(atoms));
    }
    if (tn_registry_build(out, TN_REGISTRY_REGISTER, input_node(in), services,
                          count) == TENON_OK) {
        MUST(tenon_builder_term(out, &term) == TENON_OK);
        MUST(tn_registry_read(term, &message) == TENON_OK);
        MUST(message.kind == TN_REGISTRY_REGISTER);
        MUST(tenon_term_count(message.services) == count);
    }
    tenon_builder_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 64 * 1024
    };

    announce(&in);
    for (int i = 0; i < 32 && in.at < in.end; i++) {
        tenon_value *value = input_value(&in, 0);

        if (value != NULL) {
            say(&remotes, tenon_value_term(value));
            must_count(&remotes);
        }
        tenon_value_free(value);
    }
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        tn_remotes_drop_node(&remotes, nodes[i]);
    }
    must_count(&remotes);
    tn_remotes_fini(&remotes);
    return 0;
}
