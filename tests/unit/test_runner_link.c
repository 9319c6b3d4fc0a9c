/* The runner's side of the protocol: bytes in, bytes and events out. */
#include "support.h"

#include <rw/frame.h>
#include <rw/runner_protocol.h>

#include "link.h"

static const uint8_t secret[RW_POD_SECRET_BYTES] = "the secret of one pod, 32 bytes";
static const uint8_t nonce[RW_NONCE_BYTES] = "a scheduler's nonce";
static const struct rw_uuid lease = {.bytes = "a lease's number"};

static void feed_message(struct link *link, const struct rw_message *message)
{
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_error err = {0};
    rw_buffer_init(&buffer, RW_FRAME_BYTES_MAX);
    assert_ok(rw_message_encode(message, &buffer, &err), &err);
    link_feed(link, rw_buffer_view(&buffer));
}

static void feed_hello(struct link *link)
{
    feed_message(link,
                 &(struct rw_message){.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce)), .lease_id = lease});
}

/* The single message that is in out. */
static void take_out(struct link *link, struct rw_message *message)
{
    static uint8_t copy[4096];
    struct rw_error err = {0};
    assert_in_range(link->out.len, RW_FRAME_HEADER_BYTES + 1, sizeof(copy));
    size_t len = link->out.len - RW_FRAME_HEADER_BYTES;
    memcpy(copy, link->out.data + RW_FRAME_HEADER_BYTES, len);
    assert_ok(rw_message_decode(rw_bytes_of(copy, len), message, &err), &err);
    rw_buffer_clear(&link->out);
}

static void assert_refused(struct link *link, const char *reason)
{
    struct rw_message message;
    assert_int_equal(link_next(link, &message), LINK_EVENT_REFUSED);
    assert_int_equal(link->state, LINK_REFUSED);
    take_out(link, &message);
    assert_int_equal(message.type, RW_MESSAGE_REFUSED);
    assert_string_equal(message.reason, reason);
    /* And for good. */
    feed_hello(link);
    assert_int_equal(link_next(link, &message), LINK_EVENT_REFUSED);
    assert_int_equal(link->out.len, 0);
}

static void greet(struct link *link)
{
    struct rw_message message;
    link_init(link, secret);
    feed_hello(link);
    assert_int_equal(link_next(link, &message), LINK_EVENT_NONE);
    assert_int_equal(link->state, LINK_AWAITS_JOB);
    take_out(link, &message);
    assert_int_equal(message.type, RW_MESSAGE_HELLO);
    assert_true(rw_proof_check(secret, RW_ROLE_RUNNER, nonce, message.nonce.data, &lease, message.proof));
}

static void feed_job(struct link *link, const uint8_t *with_secret, struct rw_bytes job)
{
    uint8_t proof[RW_PROOF_BYTES];
    rw_proof_make(with_secret, RW_ROLE_SCHEDULER, nonce, link->runner_nonce, &lease, proof);
    feed_message(
        link, &(struct rw_message){.type = RW_MESSAGE_JOB, .proof = rw_bytes_of(proof, sizeof(proof)), .attempt = 1, .job = job});
}

static void the_whole_way(void **state)
{
    (void)state;
    struct link link;
    struct rw_message message;
    greet(&link);
    feed_job(&link, secret, rw_bytes_of("job", 3));
    feed_message(&link, &(struct rw_message){.type = RW_MESSAGE_STDIN, .data = rw_bytes_of("in", 2), .is_eof = true});
    feed_message(&link, &(struct rw_message){.type = RW_MESSAGE_CANCEL});
    assert_int_equal(link_next(&link, &message), LINK_EVENT_JOB);
    assert_memory_equal(message.job.data, "job", 3);
    assert_int_equal(link_next(&link, &message), LINK_EVENT_STDIN);
    assert_true(message.is_eof);
    assert_int_equal(link_next(&link, &message), LINK_EVENT_CANCEL);
    assert_int_equal(link_next(&link, &message), LINK_EVENT_NONE);
    assert_int_equal(link.state, LINK_HAS_JOB);
    link_done(&link);
}

static void nonces_differ(void **state)
{
    (void)state;
    struct link one;
    struct link two;
    greet(&one);
    greet(&two);
    assert_memory_not_equal(one.runner_nonce, two.runner_nonce, RW_NONCE_BYTES);
    link_done(&one);
    link_done(&two);
}

static void a_wrong_proof(void **state)
{
    (void)state;
    struct link link;
    greet(&link);
    feed_job(&link, (const uint8_t[RW_POD_SECRET_BYTES]){0}, rw_bytes_of("job", 3));
    assert_refused(&link, "proof");
    link_done(&link);
}

/* The runner's own proof, sent back, is not the scheduler's. */
static void a_reflected_proof(void **state)
{
    (void)state;
    struct link link;
    uint8_t proof[RW_PROOF_BYTES];
    greet(&link);
    rw_proof_make(secret, RW_ROLE_RUNNER, nonce, link.runner_nonce, &lease, proof);
    feed_message(&link, &(struct rw_message){.type = RW_MESSAGE_JOB, .proof = rw_bytes_of(proof, sizeof(proof)), .attempt = 1});
    assert_refused(&link, "proof");
    link_done(&link);
}

static void messages_out_of_turn(void **state)
{
    (void)state;
    static const enum rw_message_type wrong_first[] = {RW_MESSAGE_CANCEL, RW_MESSAGE_STDIN};
    for (size_t i = 0; i < RW_ARRAY_SIZE(wrong_first); i++) {
        struct link link;
        link_init(&link, secret);
        feed_message(&link, &(struct rw_message){.type = wrong_first[i]});
        assert_refused(&link, "protocol");
        link_done(&link);
        greet(&link);
        feed_message(&link, &(struct rw_message){.type = wrong_first[i]});
        assert_refused(&link, "protocol");
        link_done(&link);
    }
    struct link link;
    struct rw_message message;
    greet(&link);
    feed_job(&link, secret, rw_bytes_of("job", 3));
    assert_int_equal(link_next(&link, &message), LINK_EVENT_JOB);
    feed_hello(&link);
    assert_refused(&link, "protocol");
    link_done(&link);
}

static void a_runners_hello(void **state)
{
    (void)state;
    struct link link;
    uint8_t proof[RW_PROOF_BYTES] = {0};
    link_init(&link, secret);
    feed_message(&link, &(struct rw_message){.type = RW_MESSAGE_HELLO,
                                             .nonce = rw_bytes_of(nonce, sizeof(nonce)),
                                             .proof = rw_bytes_of(proof, sizeof(proof))});
    assert_refused(&link, "protocol");
    link_done(&link);
}

static void garbage(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
    } cases[] = {{"GET / HTTP/1.1\r\n", 16}, {"\0\0\0\0", 4}, {"\xff\xff\xff\xff", 4}, {"\0\0\0\1\xc1", 5}, {"\0\0\2\1", 4}};
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct link link;
        link_init(&link, secret);
        link_feed(&link, rw_bytes_of(cases[i].data, cases[i].len));
        assert_refused(&link, "protocol");
        link_done(&link);
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    RW_AUTO_BUFFER struct rw_buffer buffer = {0};
    struct rw_error err = {0};
    struct link link;
    struct rw_message message;
    rw_buffer_init(&buffer, RW_FRAME_BYTES_MAX);
    const struct rw_message hello = {.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce)), .lease_id = lease};
    assert_ok(rw_message_encode(&hello, &buffer, &err), &err);
    link_init(&link, secret);
    for (size_t i = 0; i < buffer.len; i++) {
        assert_int_equal(link.state, LINK_AWAITS_HELLO);
        link_feed(&link, rw_bytes_of(buffer.data + i, 1));
        assert_int_equal(link_next(&link, &message), LINK_EVENT_NONE);
    }
    assert_int_equal(link.state, LINK_AWAITS_JOB);
    link_done(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_way),     cmocka_unit_test(nonces_differ),        cmocka_unit_test(a_wrong_proof),
        cmocka_unit_test(a_reflected_proof), cmocka_unit_test(messages_out_of_turn), cmocka_unit_test(a_runners_hello),
        cmocka_unit_test(garbage),           cmocka_unit_test(byte_by_byte),
    };
    return cmocka_run_group_tests_name("runner_link", tests, NULL, NULL);
}
