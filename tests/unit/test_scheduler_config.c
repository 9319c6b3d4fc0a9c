/* The scheduler's configuration: the shipped example loads and holds the defaults; values that cannot work are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

#ifndef RUNWAVE_SOURCE_DIR
#define RUNWAVE_SOURCE_DIR "."
#endif

static struct scheduler_config *load(const char *text, struct rw_error *err)
{
    char path[] = "/tmp/runwave-test-scheduler-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    void *config = NULL;
    int rc = rw_config_load(path, &scheduler_config_schema, &config, err);
    assert_int_equal(unlink(path), 0);
    if (rc == 0 && scheduler_config_prepare(config, err) < 0) {
        rw_config_free(&scheduler_config_schema, config);
        config = NULL;
    }
    return config;
}

static void the_example_holds_the_defaults(void **state)
{
    (void)state;
    struct rw_error err = {0};
    void *opaque = NULL;
    if (rw_config_load(RUNWAVE_SOURCE_DIR "/scheduler/scheduler.yaml", &scheduler_config_schema, &opaque, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(scheduler_config_prepare(opaque, &err), 0);
    struct scheduler_config *example = opaque;
    struct scheduler_config *bare = load("languages_dir: /l\n", &err);
    assert_non_null(bare);
    /* The numbers lie next to each other. */
    assert_memory_equal(&example->drain_ms, &bare->drain_ms,
                        offsetof(struct scheduler_config, pod_manager) - offsetof(struct scheduler_config, drain_ms));
    assert_string_equal(example->pod_manager.url, bare->pod_manager.url);
    assert_string_equal(example->http.listen, bare->http.listen);
    assert_string_equal(example->database.host, bare->database.host);
    assert_string_equal(example->broker.user, bare->broker.user);
    rw_config_free(&scheduler_config_schema, example);
    rw_config_free(&scheduler_config_schema, bare);
}

static void derived_defaults(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct scheduler_config *config = load("languages_dir: /l\nrunning_max: 10\n", &err);
    assert_non_null(config);
    assert_int_equal(config->prefetch, 10);
    assert_int_equal(config->leasing_max, 3);
    rw_config_free(&scheduler_config_schema, config);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"running_max: 4\n", "languages_dir"},
        {"languages_dir: /l\nrunning_maximum: 4\n", "running_maximum"},
        {"languages_dir: /l\nrunning_max: many\n", ":2: "},
        {"languages_dir: /l\nrunning_max: 10001\n", "running_max"},
        {"languages_dir: /l\nlease_ms: 4000\nrenew_ms: 2001\n", "renew_ms"},
        {"languages_dir: /l\nattempt_max_ms: 3600000\n", "attempt_max_ms"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rw_error err = {0};
        assert_null(load(cases[i].text, &err));
        assert_int_equal(err.code, RW_ERR_CONFIG);
        if (!strstr(err.message, cases[i].says)) {
            fail_msg("case %zu: \"%s\" does not name %s", i, err.message, cases[i].says);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_holds_the_defaults),
        cmocka_unit_test(derived_defaults),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
