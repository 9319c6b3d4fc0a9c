/* What is started ahead: which bytes are a plan, which jobs fit it, and what a process is told when it is let go. */
#include "support.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../runner-images/warm/hold.h"
#include "job_sample.h"
#include "warm.h"

/* first is what fits, second what is started; owned by the caller. */
static struct rw_bytes make_plan(const struct rw_job *first, const struct rw_job *second)
{
    struct rw_error err = {0};
    uint8_t *data[2] = {NULL, NULL};
    size_t len[2] = {0, 0};
    assert_ok(rw_job_encode(first, &data[0], &len[0], &err), &err);
    assert_ok(rw_job_encode(second, &data[1], &len[1], &err), &err);
    uint32_t front = htonl((uint32_t)len[0]);
    uint8_t *plan = rw_xcalloc(1, sizeof(front) + len[0] + len[1]);
    memcpy(plan, &front, sizeof(front));
    memcpy(plan + sizeof(front), data[0], len[0]);
    memcpy(plan + sizeof(front) + len[0], data[1], len[1]);
    free(data[0]);
    free(data[1]);
    return rw_bytes_of(plan, sizeof(front) + len[0] + len[1]);
}

static void set_sample_plan(struct warm *warm)
{
    struct rw_error err = {0};
    struct job_sample fits;
    struct job_sample starts;
    warm_init(warm);
    (void)job_sample(&starts);
    starts.job.has_compile = false;
    struct rw_bytes plan = make_plan(job_sample(&fits), &starts.job);
    assert_ok(warm_set_plan(warm, plan, -1, -1, &err), &err);
    free((void *)(uintptr_t)plan.data);
}

static void test_plans(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct warm warm;
    set_sample_plan(&warm);
    assert_null(warm_stage(&warm, RW_STAGE_COMPILE));
    assert_string_equal(warm_stage(&warm, RW_STAGE_RUN)->argv[0], "/box/program");
    assert_fails(warm_set_plan(&warm, rw_bytes_of("", 0), -1, -1, &err), &err, PROTOCOL, "second plan");
    warm_done(&warm);
    assert_null(warm_stage(&warm, RW_STAGE_RUN));
}

static void test_what_is_no_plan(void **state)
{
    (void)state;
    struct job_sample sample;
    (void)job_sample(&sample);
    struct rw_bytes plan = make_plan(&sample.job, &sample.job);
    for (size_t len = 0; len < plan.len; len++) {
        struct rw_error err = {0};
        struct warm warm;
        warm_init(&warm);
        assert_int_equal(warm_set_plan(&warm, rw_bytes_of(plan.data, len), -1, -1, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
        assert_null(warm_stage(&warm, RW_STAGE_RUN));
        warm_done(&warm);
    }
    free((void *)(uintptr_t)plan.data);
}

static char other[] = "other";

static void change_argument(struct job_sample *sample)
{
    sample->run_argv[2] = other;
}
static void add_argument(struct job_sample *sample)
{
    sample->run_argv[3] = other;
    sample->job.run.n_argv = 4;
}
static void change_environment(struct job_sample *sample)
{
    sample->env[1] = other;
}
static void drop_environment(struct job_sample *sample)
{
    sample->job.run.n_env = 1;
}
static void name_a_setting(struct job_sample *sample)
{
    static char name[] = ".settings/x";
    sample->files[1].name = name;
}
static void compile_not(struct job_sample *sample)
{
    sample->job.has_compile = false;
}
static void change_other_stage(struct job_sample *sample)
{
    sample->compile_argv[1] = other;
}
static void change_files(struct job_sample *sample)
{
    sample->files[0].name = other;
    sample->job.n_files = 1;
}
static void raise_wall(struct job_sample *sample)
{
    sample->job.run.limits.wall_ms *= 10;
    sample->job.run.limits.output_bytes *= 10;
    sample->job.run.limits.disk_bytes *= 10;
}
static void lower_all(struct job_sample *sample)
{
    sample->job.run.limits = (struct rw_limits){1, 1, 1, 1, 1, 1, 1, 1};
}
#define RAISER(field)                                                                                                              \
    static void raise_##field(struct job_sample *sample)                                                                           \
    {                                                                                                                              \
        sample->job.run.limits.field++;                                                                                            \
    }
RAISER(cpu_ms)
RAISER(memory_bytes)
RAISER(processes)
RAISER(file_bytes)
RAISER(open_files)

static void test_what_fits(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct job_sample *sample);
        bool fits;
    } rows[] = {
        {change_files, true},     {change_other_stage, true}, {raise_wall, true},          {lower_all, true},
        {change_argument, false}, {add_argument, false},      {change_environment, false}, {drop_environment, false},
        {name_a_setting, false},  {compile_not, false},       {raise_cpu_ms, false},       {raise_memory_bytes, false},
        {raise_processes, false}, {raise_file_bytes, false},  {raise_open_files, false},
    };
    struct warm warm;
    set_sample_plan(&warm);
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct job_sample sample;
        (void)job_sample(&sample);
        assert_true(warm_fits(&warm, &sample.job, RW_STAGE_RUN));
        rows[i].change(&sample);
        assert_int_equal(warm_fits(&warm, &sample.job, RW_STAGE_RUN), rows[i].fits);
        assert_false(warm_fits(&warm, &sample.job, RW_STAGE_COMPILE)); /* nothing is started for it */
    }
    warm_done(&warm);
}

static void test_what_it_is_told(void **state)
{
    (void)state;
    const struct launch_policy policy = {.extra_processes = 1};
    struct hold_release release;
    struct job_sample sample;
    struct warm warm;
    int pair[2];
    set_sample_plan(&warm);
    (void)job_sample(&sample);
    struct rw_limits *limits = &sample.job.run.limits;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    warm.processes[RW_STAGE_RUN].channel_fd = pair[0];

    assert_true(warm_release(&warm, RW_STAGE_RUN, &policy, limits));
    assert_int_equal(read(pair[1], &release, sizeof(release)), sizeof(release));
    assert_int_equal(release.n_limits, 0);

    limits->processes -= 3;
    limits->wall_ms = 1;
    assert_true(warm_release(&warm, RW_STAGE_RUN, &policy, limits));
    assert_int_equal(read(pair[1], &release, sizeof(release)), sizeof(release));
    assert_int_equal(release.n_limits, 1);
    assert_int_equal(release.limits[0].resource, RLIMIT_NPROC);
    assert_int_equal(release.limits[0].hard, limits->processes + 1);

    assert_int_equal(close(pair[1]), 0);
    assert_false(warm_release(&warm, RW_STAGE_RUN, &policy, limits));
    warm_done(&warm); /* closes the channel */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_what_is_no_plan),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_what_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
