/* The runner's messages: each there and back, everything the specification refuses, and the proof against a known value. */
#include "support.h"

#include <msgpack.h>
#include <rw/frame.h>
#include <rw/runner_protocol.h>

static const uint8_t nonce[RW_NONCE_BYTES] = {1, 2, 3};
static const uint8_t proof[RW_PROOF_BYTES] = {4, 5, 6};

/* Encode and decode; the payload stays in out, which *ret_message borrows from. */
static void round_trip(const struct rw_message *message, struct rw_buffer *out, struct rw_message *ret_message)
{
    struct rw_error err = {0};
    assert_ok(rw_message_encode(message, out, &err), &err);
    size_t len = (size_t)out->data[0] << 24 | (size_t)out->data[1] << 16 | (size_t)out->data[2] << 8 | out->data[3];
    assert_int_equal(len, out->len - RW_FRAME_HEADER_BYTES);
    assert_ok(rw_message_decode(rw_bytes_of(out->data + RW_FRAME_HEADER_BYTES, len), ret_message, &err), &err);
    assert_int_equal(ret_message->type, message->type);
}

static void assert_same_bytes(struct rw_bytes left, struct rw_bytes right)
{
    assert_int_equal(left.len, right.len);
    assert_memory_equal(left.data, right.data, left.len);
}

static void test_both_hellos(void **state)
{
    (void)state;
    struct rw_message decoded;
    struct rw_message message = {.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce)), .lease_id = {{7, 8}}};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 1000);
    round_trip(&message, &out, &decoded);
    assert_same_bytes(decoded.nonce, message.nonce);
    assert_memory_equal(&decoded.lease_id, &message.lease_id, sizeof(message.lease_id));
    assert_int_equal(decoded.proof.len, 0);
    rw_buffer_clear(&out);
    message.proof = rw_bytes_of(proof, sizeof(proof));
    round_trip(&message, &out, &decoded);
    assert_same_bytes(decoded.proof, message.proof);
    assert_int_equal(decoded.lease_id.bytes[0], 0);
}

static void test_job(void **state)
{
    (void)state;
    struct rw_message decoded;
    struct rw_message message = {.type = RW_MESSAGE_JOB,
                                 .proof = rw_bytes_of(proof, sizeof(proof)),
                                 .task_id = {{9}},
                                 .attempt = 3,
                                 .job = rw_bytes_of("job\0bytes", 9)};
    for (int has_trace = 0; has_trace < 2; has_trace++) {
        RW_AUTO_BUFFER struct rw_buffer out;
        rw_buffer_init(&out, 1000);
        if (has_trace) {
            rw_trace_new(&message.trace);
        }
        round_trip(&message, &out, &decoded);
        assert_same_bytes(decoded.job, message.job);
        assert_same_bytes(decoded.proof, message.proof);
        assert_memory_equal(&decoded.task_id, &message.task_id, sizeof(message.task_id));
        assert_int_equal(decoded.attempt, 3);
        assert_string_equal(decoded.trace.traceparent, message.trace.traceparent);
    }
}

static void test_small_messages(void **state)
{
    (void)state;
    struct rw_message decoded;
    const struct rw_message messages[] = {
        {.type = RW_MESSAGE_CANCEL},
        {.type = RW_MESSAGE_STARTED, .stage = RW_STAGE_RUN},
        {.type = RW_MESSAGE_STARTED, .stage = RW_STAGE_COMPILE},
        {.type = RW_MESSAGE_OUTPUT, .stream = RW_STREAM_COMPILE, .data = rw_bytes_of("a\0b", 3)},
        {.type = RW_MESSAGE_OUTPUT, .stream = RW_STREAM_STDERR},
        {.type = RW_MESSAGE_STDIN, .data = rw_bytes_of("x", 1), .is_eof = true},
        {.type = RW_MESSAGE_REFUSED, .reason = "taken"},
        {.type = RW_MESSAGE_REFUSED, .reason = "\xC4\x8D\xC3\xA1j"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(messages); i++) {
        RW_AUTO_BUFFER struct rw_buffer out;
        rw_buffer_init(&out, 1000);
        round_trip(&messages[i], &out, &decoded);
        assert_int_equal(decoded.stage, messages[i].stage);
        assert_int_equal(decoded.stream, messages[i].stream);
        assert_same_bytes(decoded.data, messages[i].data);
        assert_int_equal(decoded.is_eof, messages[i].is_eof);
        assert_string_equal(decoded.reason, messages[i].reason);
    }
}

static struct rw_message sample_result(void)
{
    return (struct rw_message){
        .type = RW_MESSAGE_RESULT,
        .result = {.verdict = RW_VERDICT_MEMORY_LIMIT,
                   .has_exit_code = true,
                   .exit_code = 255,
                   .signal = 9,
                   .truncated = {[RW_STREAM_STDERR] = true},
                   .has_compile = true,
                   .compile = {1, 2, 3, 4, 5},
                   .run = {INT64_MAX, 20, 30, 40, 50},
                   .run_started_after_us = 77,
                   .reason = "memory limit"},
    };
}

static void test_result(void **state)
{
    (void)state;
    struct rw_message decoded;
    struct rw_message message = sample_result();
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 1000);
    round_trip(&message, &out, &decoded);
    assert_int_equal(decoded.result.verdict, RW_VERDICT_MEMORY_LIMIT);
    assert_true(decoded.result.has_exit_code);
    assert_int_equal(decoded.result.exit_code, 255);
    assert_int_equal(decoded.result.signal, 9);
    assert_false(decoded.result.truncated[RW_STREAM_STDOUT]);
    assert_true(decoded.result.truncated[RW_STREAM_STDERR]);
    assert_false(decoded.result.truncated[RW_STREAM_COMPILE]);
    assert_true(decoded.result.has_compile);
    assert_memory_equal(&decoded.result.compile, &message.result.compile, sizeof(message.result.compile));
    assert_memory_equal(&decoded.result.run, &message.result.run, sizeof(message.result.run));
    assert_int_equal(decoded.result.run_started_after_us, 77);
    assert_string_equal(decoded.result.reason, "memory limit");
    rw_buffer_clear(&out);
    message.result.has_exit_code = message.result.has_compile = false;
    round_trip(&message, &out, &decoded);
    assert_false(decoded.result.has_exit_code);
    assert_false(decoded.result.has_compile);
    assert_int_equal(decoded.result.exit_code, 0);
}

static void assert_encode_fails(const struct rw_message *message, enum rw_err code)
{
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, RW_FRAME_BYTES_MAX);
    assert_int_equal(rw_buffer_append_some(&out, "before", 6), 6);
    assert_int_equal(rw_message_encode(message, &out, &err), -1);
    assert_int_equal(err.code, code);
    assert_int_equal(out.len, 6);
}

static void test_what_cannot_be_encoded(void **state)
{
    (void)state;
    RW_AUTO_FREE uint8_t *large = rw_xcalloc(1, RW_JOB_BYTES_MAX + 1);
    struct rw_message message = {.type = RW_MESSAGE_OUTPUT, .data = rw_bytes_of(large, RW_OUTPUT_CHUNK_BYTES_MAX + 1)};
    assert_encode_fails(&message, RW_ERR_TOO_LARGE);
    message.data.len--;
    message.stream = _RW_STREAM_MAX;
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = (struct rw_message){
        .type = RW_MESSAGE_JOB, .proof = rw_bytes_of(proof, 32), .job = rw_bytes_of(large, RW_JOB_BYTES_MAX + 1)};
    assert_encode_fails(&message, RW_ERR_TOO_LARGE);
    message = (struct rw_message){.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, 31)};
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = sample_result();
    message.result.signal = -1;
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = sample_result();
    message.result.exit_code = 256;
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = sample_result();
    message.result.verdict = _RW_VERDICT_INVALID;
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = sample_result();
    memset(message.result.reason, 'x', sizeof(message.result.reason));
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = (struct rw_message){.type = RW_MESSAGE_REFUSED, .reason = "\xFF"};
    assert_encode_fails(&message, RW_ERR_INTERNAL);
    message = (struct rw_message){.type = _RW_MESSAGE_MAX};
    assert_encode_fails(&message, RW_ERR_INTERNAL);
}

static void test_a_full_buffer_keeps_what_it_had(void **state)
{
    (void)state;
    struct rw_error err = {0};
    const struct rw_message message = sample_result();
    for (size_t room = 0; room < 250; room++) {
        RW_AUTO_BUFFER struct rw_buffer out;
        rw_buffer_init(&out, room);
        assert_fails(rw_message_encode(&message, &out, &err), &err, TOO_LARGE, "more than");
        assert_int_equal(out.len, 0);
    }
}

static void test_every_cut_and_every_changed_byte(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xCF, 0xDC, 0xDF, 0xFF};
    struct rw_error err = {0};
    struct rw_message decoded;
    const struct rw_message message = sample_result();
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 1000);
    round_trip(&message, &out, &decoded);
    size_t len = out.len - RW_FRAME_HEADER_BYTES;
    for (size_t cut = 0; cut < len; cut++) {
        RW_AUTO_FREE uint8_t *copy = rw_xmemdup(out.data + RW_FRAME_HEADER_BYTES, cut);
        assert_int_equal(rw_message_decode(rw_bytes_of(copy, cut), &decoded, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
    }
    for (size_t i = 0; i < len * sizeof(values); i++) {
        RW_AUTO_FREE uint8_t *copy = rw_xmemdup(out.data + RW_FRAME_HEADER_BYTES, len);
        copy[i / sizeof(values)] = values[i % sizeof(values)];
        if (rw_message_decode(rw_bytes_of(copy, len), &decoded, &err) == 0) {
            assert_in_range(decoded.result.exit_code, 0, 255);
            assert_in_range(decoded.result.signal, 0, 64);
            assert_true(strnlen(decoded.result.reason, RW_REASON_BYTES_MAX) < RW_REASON_BYTES_MAX);
        }
    }
}

/* Payloads by hand: pairs of key and value, ended by NULL; a value beginning with '#' is a number, with '!' is bytes of that length. */
static int decode_pairs(const char *const *pairs, struct rw_error *err)
{
    struct rw_message message;
    msgpack_sbuffer out;
    msgpack_packer packer;
    size_t n_pairs = 0;
    while (pairs[2 * n_pairs]) {
        n_pairs++;
    }
    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&packer, &out, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, n_pairs);
    for (size_t i = 0; i < n_pairs; i++) {
        static const uint8_t zeros[RW_OUTPUT_CHUNK_BYTES_MAX + 1];
        const char *value = pairs[2 * i + 1];
        (void)msgpack_pack_str_with_body(&packer, pairs[2 * i], strlen(pairs[2 * i]));
        if (value[0] == '#') {
            (void)msgpack_pack_int64(&packer, strtoll(value + 1, NULL, 10));
        } else if (value[0] == '!') {
            (void)msgpack_pack_bin_with_body(&packer, zeros, strtoul(value + 1, NULL, 10));
        } else {
            (void)msgpack_pack_str_with_body(&packer, value, strlen(value));
        }
    }
    int outcome = rw_message_decode(rw_bytes_of(out.data, out.size), &message, err);
    msgpack_sbuffer_destroy(&out);
    return outcome;
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[13];
        const char *part; /* NULL: accepted */
    } rows[] = {
        {{"type", "cancel"}, NULL},
        {{"type", "cancel", "x", "y"}, "unknown key"},
        {{"type", "cancel", "type", "cancel"}, "type is doubled"},
        {{"type", "bye"}, "unknown type"},
        {{"type", "#1"}, "unknown type"},
        {{"stage", "run"}, "unknown type"},
        {{"type", "started"}, "stage is missing"},
        {{"type", "started", "stage", "link"}, "stage"},
        {{"type", "started", "stage", "#1"}, "another type"},
        {{"type", "started", "stage", "run"}, NULL},
        {{"type", "output", "stream", "stdin", "data", "!1"}, "stream"},
        {{"type", "output", "stream", "stdout", "data", "text"}, "data is of another type"},
        {{"type", "output", "stream", "stdout", "data", "!65537"}, "data"},
        {{"type", "output", "stream", "stdout", "data", "!65536"}, NULL},
        {{"type", "hello", "nonce", "!32", "lease_id", "!16"}, NULL},
        {{"type", "hello", "nonce", "!32", "proof", "!32"}, NULL},
        {{"type", "hello", "nonce", "!32"}, "lease_id is missing"},
        {{"type", "hello", "nonce", "!32", "lease_id", "!16", "proof", "!32"}, "unknown key"},
        {{"type", "hello", "nonce", "!31", "lease_id", "!16"}, "nonce"},
        {{"type", "hello", "nonce", "!33", "lease_id", "!16"}, "nonce"},
        {{"type", "hello", "nonce", "!32", "lease_id", "!15"}, "lease_id"},
        {{"type", "hello", "nonce", "!32", "proof", "!0"}, "proof"},
        {{"type", "job", "proof", "!32", "task_id", "!16", "attempt", "#1", "trace", "", "job", "!9"}, NULL},
        {{"type", "job", "proof", "!32", "task_id", "!16", "attempt", "#-1", "trace", "", "job", "!9"},
         "attempt is of another type"},
        {{"type", "job", "proof", "!32", "task_id", "!16", "attempt", "#2147483648", "trace", "", "job", "!9"}, "attempt"},
        {{"type", "job", "proof", "!32", "task_id", "!16", "attempt", "#1", "trace", "00-zz", "job", "!9"}, "trace"},
        {{"type", "refused", "reason", "\xFF"}, "reason"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        int outcome = decode_pairs(rows[i].pairs, &err);
        if (rows[i].part) {
            assert_fails(outcome, &err, PROTOCOL, rows[i].part);
        } else {
            assert_ok(outcome, &err);
        }
    }
}

static void test_texts_at_their_bounds(void **state)
{
    (void)state;
    struct rw_error err = {0};
    char reason[RW_REASON_BYTES_MAX + 1];
    const char *const refused[] = {"type", "refused", "reason", reason, NULL};
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x";
    const char *const job[] = {"type", "job", "proof", "!32", "task_id", "!16", "attempt", "#1", "trace", trace, "job", "!0", NULL};
    memset(reason, 'x', sizeof(reason));
    reason[RW_REASON_BYTES_MAX] = '\0';
    assert_fails(decode_pairs(refused, &err), &err, PROTOCOL, "reason");
    reason[RW_REASON_BYTES_MAX - 1] = '\0';
    assert_ok(decode_pairs(refused, &err), &err);
    assert_fails(decode_pairs(job, &err), &err, PROTOCOL, "trace");
}

static void test_documents_that_are_no_map(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "\x01", "\x90", "\xA1x", "\xC0", "\xC1", "\x80x", "\x81", "\xDF\xFF\xFF\xFF\xFF", "\x91\x91\x91\x90"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        struct rw_message message;
        assert_int_equal(rw_message_decode(rw_bytes_of(bad[i], strlen(bad[i])), &message, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
    }
}

/* Made with Python: hmac.new(bytes(range(32)), b"runner\0" + b"s"*32 + b"r"*32 + bytes(range(16)), "sha512").digest()[:32] */
static void test_the_proof_is_what_the_specification_says(void **state)
{
    (void)state;
    static const uint8_t wanted[2][8] = {{0x2D, 0x91, 0x45, 0x77, 0x43, 0x48, 0x01, 0xA3},
                                         {0x98, 0x57, 0xE6, 0x11, 0xA9, 0x60, 0x0F, 0xCF}};
    uint8_t secret[RW_POD_SECRET_BYTES], made[RW_PROOF_BYTES];
    uint8_t scheduler_nonce[RW_NONCE_BYTES], runner_nonce[RW_NONCE_BYTES];
    struct rw_uuid lease_id;
    for (size_t i = 0; i < 32; i++) {
        secret[i] = (uint8_t)i;
        lease_id.bytes[i % 16] = (uint8_t)(i % 16);
        scheduler_nonce[i] = 's';
        runner_nonce[i] = 'r';
    }
    rw_proof_make(secret, RW_ROLE_RUNNER, scheduler_nonce, runner_nonce, &lease_id, made);
    assert_memory_equal(made, wanted[0], 8);
    assert_true(rw_proof_check(secret, RW_ROLE_RUNNER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(made, 32)));
    assert_false(rw_proof_check(secret, RW_ROLE_SCHEDULER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(made, 32)));
    assert_false(rw_proof_check(secret, RW_ROLE_RUNNER, runner_nonce, scheduler_nonce, &lease_id, rw_bytes_of(made, 32)));
    assert_false(rw_proof_check(secret, RW_ROLE_RUNNER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(made, 31)));
    assert_false(rw_proof_check(secret, RW_ROLE_RUNNER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(NULL, 0)));
    made[31] ^= 1;
    assert_false(rw_proof_check(secret, RW_ROLE_RUNNER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(made, 32)));
    rw_proof_make(secret, RW_ROLE_SCHEDULER, scheduler_nonce, runner_nonce, &lease_id, made);
    assert_memory_equal(made, wanted[1], 8);
    secret[0] ^= 1;
    assert_false(rw_proof_check(secret, RW_ROLE_SCHEDULER, scheduler_nonce, runner_nonce, &lease_id, rw_bytes_of(made, 32)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_hellos),
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_small_messages),
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_what_cannot_be_encoded),
        cmocka_unit_test(test_a_full_buffer_keeps_what_it_had),
        cmocka_unit_test(test_every_cut_and_every_changed_byte),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_texts_at_their_bounds),
        cmocka_unit_test(test_documents_that_are_no_map),
        cmocka_unit_test(test_the_proof_is_what_the_specification_says),
    };
    return cmocka_run_group_tests_name("runner_protocol", tests, NULL, NULL);
}
