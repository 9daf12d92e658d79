/* SPDX-License-Identifier: Apache-2.0 */
/* An adversary without the cookie between two nodes that have it: it says to
 * one that it is the other, and would have that one answer the challenge. What
 * stands against it, and what it can do where nothing does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "adversary.h"
#include "dist/bytes.h"
#include "dist/flags.h"

/* The adversary, under the name at which it is called. */
#define BETWEEN "between@127.0.0.1"
#define PACKET_MAX 600u

static int listener;
static struct adversary evil;

/* ---- packets -------------------------------------------------------------- */

struct packet {
    uint8_t bytes[PACKET_MAX];
    size_t len;
};

static void send_packet(int fd, const struct packet *packet)
{
    uint8_t head[2];
    tn_add16(head, packet->len);
    assert_int_equal(send(fd, head, 2, MSG_NOSIGNAL), 2);
    assert_int_equal(send(fd, packet->bytes, packet->len, MSG_NOSIGNAL),
                     packet->len);
}

/* False: closed. */
static bool read_packet(int fd, struct packet *packet)
{
    uint8_t head[2];
    if (recv(fd, head, 2, MSG_WAITALL) != 2) {
        return false;
    }
    packet->len = tn_get16(head);
    assert_true(packet->len <= PACKET_MAX);
    return recv(fd, packet->bytes, packet->len, MSG_WAITALL) ==
           (ssize_t)packet->len;
}

static void expect(int fd, struct packet *packet, char tag)
{
    assert_true(read_packet(fd, packet));
    assert_int_equal(packet->bytes[0], tag);
}

static void send_name(int fd, const char *name)
{
    struct packet packet;
    uint8_t *at = packet.bytes;
    *at++ = 'N';
    at = tn_add64(at, TN_FLAGS_OURS);
    at = tn_add32(at, 3000);
    at = tn_add16(at, strlen(name));
    memcpy(at, name, strlen(name));
    packet.len = (size_t)(at - packet.bytes) + strlen(name);
    send_packet(fd, &packet);
}

static void send_challenge(int fd, const char *name, uint32_t challenge)
{
    struct packet packet;
    uint8_t *at = packet.bytes;
    *at++ = 'N';
    at = tn_add64(at, TN_FLAGS_OURS);
    at = tn_add32(at, challenge);
    at = tn_add32(at, 3000);
    at = tn_add16(at, strlen(name));
    memcpy(at, name, strlen(name));
    packet.len = (size_t)(at - packet.bytes) + strlen(name);
    send_packet(fd, &packet);
}

/* ---- the adversary -------------------------------------------------------- */

/* Says to a node that it is the ruled one, or another; the challenge that it
 * gets. */
static int call_as(tenon_node *node, const char *name, uint32_t *challenge)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(tenon_node_port(node)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct packet packet;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    send_name(fd, name);
    expect(fd, &packet, 's');
    expect(fd, &packet, 'N');
    *challenge = tn_get32(packet.bytes + 9);
    return fd;
}

/* Has the ruled node call it, and gives it that challenge. */
static int pass_on(uint32_t challenge)
{
    struct packet packet;
    OK(tenon_send_format(ruled, &(tenon_dest){ .name = "box", .node = BETWEEN },
                         "1"));
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    expect(fd, &packet, 'N');
    memcpy(packet.bytes, "sok", 3);
    packet.len = 3;
    send_packet(fd, &packet);
    send_challenge(fd, BETWEEN, challenge);
    return fd;
}

/* Passes the digest back. Whether that node takes it. */
static bool passes(int from, int to)
{
    struct packet packet;
    expect(from, &packet, 'r');
    tn_put32(packet.bytes + 1, 12345); /* a challenge of its own */
    send_packet(to, &packet);
    return read_packet(to, &packet) && packet.bytes[0] == 'a';
}

static int start(void **state)
{
    static const char rules[] = "{peer, 'evil@*', []}. {peer, '*', all}.";
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    tenon_error err = { 0 };
    char name[64];
    (void)state;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    good = start_member("good", NULL);
    new_name(name, "ruled");
    tenon_node_config config = config_of(name, &err);
    config.rules = rules;
    config.no_epmd = true;
    config.peer_port = ntohs(at.sin_port);
    ruled = tenon_node_start(&config);
    if (ruled == NULL) {
        fail_msg("%s", err.text);
    }
    ruled->stop_workers_ms = DEADLINE_MS;
    assert_int_equal(uv_loop_init(&loop), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    stop_nodes();
    return close(listener);
}

/* ---- tests ---------------------------------------------------------------- */

/* README says so: this node may call only addresses that it trusts. */
static void whom_a_node_calls_can_pass_on_a_challenge(void **state)
{
    uint32_t challenge;
    (void)state;
    int there = call_as(good, tenon_node_name(ruled), &challenge);
    int here = pass_on(challenge);
    assert_true(passes(here, there));
    close(here);
    close(there);
}

static void a_cookie_of_its_own_makes_that_useless(void **state)
{
    uint32_t challenge;
    (void)state;
    OK(tenon_node_set_cookie(ruled, BETWEEN, "its_own"));
    int there = call_as(good, tenon_node_name(ruled), &challenge);
    int here = pass_on(challenge);
    assert_false(passes(here, there));
    assert_false(is_peer(good, tenon_node_name(ruled)));
    close(here);
    close(there);
}

static void a_challenge_of_the_nodes_own_is_not_answered(void **state)
{
    struct packet packet;
    uint32_t challenge;
    (void)state;
    int there = call_as(ruled, tenon_node_name(good), &challenge);
    int here = pass_on(challenge);
    assert_false(read_packet(here, &packet));
    assert_false(is_peer(ruled, tenon_node_name(good)));
    close(here);
    close(there);
}

/* A limited peer says the name under which the adversary waits for the call. */
static void nobody_is_called_whom_a_limited_peer_names(void **state)
{
    uint32_t challenge;
    (void)state;
    int there = call_as(good, tenon_node_name(ruled), &challenge);
    join_as(&evil, EVIL);
    answer_nodes(&evil, BETWEEN);
    WAIT_FOR(claims() == 1);
    assert_false(is_peer(ruled, BETWEEN));
    assert_false(is_peer(good, tenon_node_name(ruled)));
    end_close(&evil.end);
    forget_question(&evil);
    close(there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(whom_a_node_calls_can_pass_on_a_challenge),
        TEST(a_cookie_of_its_own_makes_that_useless),
        TEST(a_challenge_of_the_nodes_own_is_not_answered),
        TEST(nobody_is_called_whom_a_limited_peer_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
