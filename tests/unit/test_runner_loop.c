/* The event loop with its timers, the capped pumps, the feeder, and descriptors over the channel. */
#include "support.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/clock.h>

#include "channel.h"
#include "loop.h"
#include "pump.h"

struct journal {
    struct loop loop;
    char text[64];
    size_t len;
    struct loop_timer timers[3];
    size_t kept;
    unsigned exceeded;
};

static void note(struct journal *journal, char letter)
{
    journal->text[journal->len++] = letter;
}

static void first(void *context)
{
    struct journal *journal = context;
    note(journal, 'a');
    loop_timer_clear(&journal->loop, &journal->timers[1]);
}

static void never(void *context)
{
    note(context, 'x');
}

static void last(void *context)
{
    struct journal *journal = context;
    note(journal, 'z');
    loop_stop(&journal->loop, 7);
}

static void timers_in_order(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct journal journal = {0};
    int64_t now_us = rw_monotonic_us();
    assert_ok(loop_init(&journal.loop, &err), &err);
    journal.timers[0] = (struct loop_timer){.handle = first, .context = &journal};
    journal.timers[1] = (struct loop_timer){.handle = never, .context = &journal};
    journal.timers[2] = (struct loop_timer){.handle = last, .context = &journal};
    loop_timer_set(&journal.loop, &journal.timers[2], now_us + 3000);
    loop_timer_set(&journal.loop, &journal.timers[1], now_us + 2000);
    loop_timer_set(&journal.loop, &journal.timers[0], now_us + 900000);
    loop_timer_set(&journal.loop, &journal.timers[0], now_us + 1000); /* moved */
    assert_int_equal(loop_run(&journal.loop), 7);
    assert_string_equal(journal.text, "az");
    assert_int_equal(journal.loop.n_timers, 0);
    assert_true(rw_monotonic_us() >= now_us + 3000);
    loop_done(&journal.loop);
}

static void keep(void *context, enum rw_stream stream, struct rw_bytes bytes)
{
    struct journal *journal = context;
    assert_int_equal(stream, RW_STREAM_STDERR);
    journal->kept += bytes.len;
}

static void exceeded(void *context)
{
    struct journal *journal = context;
    journal->exceeded++;
}

static void pump_case(size_t written, size_t cap, size_t kept, unsigned times_exceeded)
{
    struct rw_error err = {0};
    struct journal journal = {0};
    int ends[2];
    RW_AUTO_FREE uint8_t *data = rw_xcalloc(1, written + 1);
    assert_ok(loop_init(&journal.loop, &err), &err);
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    struct pump pump = {.stream = RW_STREAM_STDERR, .data = keep, .exceeded = exceeded, .context = &journal};
    pump_start(&pump, &journal.loop, ends[0], cap);
    assert_int_equal(write(ends[1], data, written), written);
    pump_drain(&pump); /* the write end is still open: it must not wait for its end */
    assert_int_equal(pump.source.fd, -1);
    assert_int_equal(journal.kept, kept);
    assert_int_equal(journal.exceeded, times_exceeded);
    assert_int_equal(pump.is_exceeded, times_exceeded > 0);
    (void)close(ends[1]);
    loop_done(&journal.loop);
}

static void pumps_at_their_cap(void **state)
{
    (void)state;
    pump_case(0, 100, 0, 0);
    pump_case(99, 100, 99, 0);
    pump_case(100, 100, 100, 0);
    pump_case(101, 100, 100, 1);
    pump_case(60000, 1, 1, 1);
}

static void a_feeder_ends_its_pipe(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct journal journal = {0};
    int ends[2];
    char byte;
    assert_ok(loop_init(&journal.loop, &err), &err);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    struct feeder feeder;
    feeder_start(&feeder, &journal.loop, ends[1], NULL, 0);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    feeder_stop(&feeder); /* once more is harmless */
    (void)close(ends[0]);
    loop_done(&journal.loop);
}

static void descriptors_cross_the_channel(void **state)
{
    (void)state;
    struct rw_error err = {0};
    int pair[2];
    int pipe_ends[2];
    int fds[SANDBOX_FDS_MAX];
    int none[SANDBOX_FDS_MAX];
    size_t n_fds;
    struct sandbox_command sent = {.type = SANDBOX_COMMAND_SPAWN, .stage = RW_STAGE_RUN};
    struct sandbox_command got;
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(channel_receive(pair[1], &got, sizeof(got), fds, &n_fds), 0);
    assert_ok(channel_send(pair[0], &sent, sizeof(sent), &pipe_ends[1], 1, &err), &err);
    assert_int_equal(channel_receive(pair[1], &got, sizeof(got), fds, &n_fds), 1);
    assert_int_equal(got.type, SANDBOX_COMMAND_SPAWN);
    assert_int_equal(n_fds, 1);
    assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(fds[0], "y", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    /* A record of another size is none. */
    assert_ok(channel_send(pair[0], "x", 1, &pipe_ends[1], 1, &err), &err);
    assert_int_equal(channel_receive(pair[1], &got, sizeof(got), none, &n_fds), -1);
    assert_int_equal(n_fds, 0);
    (void)close(pair[0]);
    assert_int_equal(channel_receive(pair[1], &got, sizeof(got), none, &n_fds), -1);
    (void)close(pair[1]);
    (void)close(fds[0]);
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_in_order),
        cmocka_unit_test(pumps_at_their_cap),
        cmocka_unit_test(a_feeder_ends_its_pipe),
        cmocka_unit_test(descriptors_cross_the_channel),
    };
    return cmocka_run_group_tests_name("runner_loop", tests, NULL, NULL);
}
