/* Measuring without a cgroup: reading /proc, taking samples, and when to look next. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meter.h"
#include "process_table.h"

static void stat_lines(void **state)
{
    (void)state;
    struct process process;
    const char *line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 0 0 11 22 33 44 20 0 5 0 100 1000 256 18446744073709551615 1 1";
    assert_true(process_parse_stat(line, &process));
    assert_int_equal(process.pid, 42);
    assert_int_equal(process.parent, 7);
    assert_int_equal(process.user_ticks, 11 + 33);
    assert_int_equal(process.system_ticks, 22 + 44);
    assert_int_equal(process.threads, 5);
    assert_int_equal(process.resident_bytes, 256 * (uint64_t)sysconf(_SC_PAGESIZE));
    static const char *const bad[] = {"", "42", "42 (a", "42 (a)", "42 (a) S", "42 (a) S x", "42 (a) S 1 2 3 4"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        assert_false(process_parse_stat(bad[i], &process));
    }
}

/* A child with a child: both are found below us, and nobody else. */
static void descendants(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* should an assertion fail */
        char byte;
        if (grandchild != 0) {
            (void)!write(ends[1], &grandchild, sizeof(grandchild));
        }
        (void)close(ends[1]);
        (void)pause();
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    pid_t grandchild = 0;
    assert_int_equal(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    RW_AUTO_FD int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY);
    struct process_table table = {0};
    struct rw_usage usage;
    process_table_read(proc_fd, getpid(), true, &table);
    assert_int_equal(table.n, 2);
    assert_true((table.processes[0].pid == child && table.processes[1].pid == grandchild) ||
                (table.processes[1].pid == child && table.processes[0].pid == grandchild));
    process_table_usage(proc_fd, &table, UINT64_MAX, &usage);
    uint64_t plain = usage.memory_bytes;
    assert_in_range(plain, 1, 1 << 30);
    assert_in_range(usage.processes, 2, 4); /* a sanitizer may have a thread in each */
    /* Counted exactly, what the copies share is there once. */
    process_table_usage(proc_fd, &table, 0, &usage);
    assert_in_range(usage.memory_bytes, 1, plain);
    process_table_read(proc_fd, getpid(), false, &table);
    assert_true(table.n > 2);
    process_table_done(&table);
    (void)kill(child, SIGKILL);
    (void)kill(grandchild, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void samples(void **state)
{
    (void)state;
    const struct rw_limits limits = {.cpu_ms = 100, .memory_bytes = 100 << 20};
    struct meter meter;
    struct stage_facts facts = {.is_started = true};
    meter_init(&meter, NULL);
    assert_true(meter_needs_samples(&meter));
    meter_stage_begins(&meter);
    meter_code_begins(&meter, 0, 0);
    int64_t far_us = meter_next_check_us(&meter, &limits);
    meter_take_sample(&meter,
                      &(struct rw_usage){.cpu_user_us = 60000, .cpu_system_us = 40000, .memory_bytes = 99 << 20, .processes = 7});
    meter_check(&meter, &limits, &facts);
    assert_false(facts.is_cpu_exceeded || facts.is_memory_exceeded);
    assert_true(meter_next_check_us(&meter, &limits) < far_us);
    meter_take_sample(&meter, &(struct rw_usage){.cpu_user_us = 60000, .cpu_system_us = 40001, .memory_bytes = 1 << 20});
    meter_check(&meter, &limits, &facts);
    assert_true(facts.is_cpu_exceeded);
    assert_false(facts.is_memory_exceeded);
    meter_take_sample(&meter, &(struct rw_usage){.memory_bytes = (100 << 20) + 1});
    meter_check(&meter, &limits, &facts);
    assert_true(facts.is_memory_exceeded);
    meter_stage_ended(&meter, &(struct rw_usage){.wall_us = 5, .cpu_user_us = 6, .cpu_system_us = 7, .memory_bytes = 8}, &facts);
    assert_int_equal(facts.usage.wall_us, 5);
    assert_int_equal(facts.usage.cpu_user_us, 6);
    assert_int_equal(facts.usage.cpu_system_us, 7);
    assert_int_equal(facts.usage.memory_bytes, (100 << 20) + 1);
    assert_int_equal(facts.usage.processes, 7);
    /* The next stage starts anew. */
    facts = (struct stage_facts){.is_started = true};
    meter_stage_begins(&meter);
    meter_check(&meter, &limits, &facts);
    assert_false(facts.is_cpu_exceeded || facts.is_memory_exceeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stat_lines), cmocka_unit_test(descendants), cmocka_unit_test(samples)};
    return cmocka_run_group_tests_name("runner_measure", tests, NULL, NULL);
}
