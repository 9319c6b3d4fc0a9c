/* The pod-manager's configuration: the shipped example loads and holds the defaults; values that cannot work are refused. */
#include "support.h"

#include "backend.h"
#include "config.h"

static struct manager_config *load(const char *text, struct rw_error *err)
{
    void *config = NULL;
    write_text("config.yaml", text);
    if (rw_config_load("config.yaml", &manager_config_schema, &config, err)) {
        return NULL;
    }
    if (manager_config_prepare(config, err)) {
        rw_config_free(&manager_config_schema, config);
        return NULL;
    }
    return config;
}

static const char minimal[] = "languages_dir: /etc/runwave/languages\nlocal: {run_dir: /run/x, runner: /usr/bin/runner}\n";

static void the_example_holds_the_defaults(void **state)
{
    (void)state;
    struct rw_error err = {0};
    void *opaque = NULL;
    assert_ok(rw_config_load(RUNWAVE_SOURCE_DIR "/pod-manager/pod-manager.yaml", &manager_config_schema, &opaque, &err), &err);
    struct manager_config *example = opaque;
    assert_ok(manager_config_prepare(example, &err), &err);
    struct manager_config *bare = load(minimal, &err);
    assert_non_null(bare);
    assert_string_equal(example->http.listen, bare->http.listen);
    assert_string_equal(example->backend, bare->backend);
    assert_string_equal(example->log.level, bare->log.level);
    assert_int_equal(example->pods_max, bare->pods_max);
    assert_int_equal(example->waiting_max, bare->waiting_max);
    assert_int_equal(example->ready_timeout_ms, bare->ready_timeout_ms);
    assert_int_equal(example->drain_ms, bare->drain_ms);
    assert_memory_equal(&example->scaling, &bare->scaling, sizeof(bare->scaling));
    assert_string_equal(example->local.sandbox, bare->local.sandbox);
    assert_string_equal(example->local.cgroup, bare->local.cgroup);
    assert_int_equal(example->local.uid_base, bare->local.uid_base);
    rw_config_free(&manager_config_schema, example);
    rw_config_free(&manager_config_schema, bare);
}

static void what_cannot_work_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* behind the minimal configuration's first line */
        const char *part;
    } cases[] = {
        {"", "run_dir"},
        {"local: {run_dir: /run/x}", "local.runner"},
        {"backend: cloud\nlocal: {run_dir: /run/x, runner: /r}", "cloud"},
        {"isolation: {default: vm}\nlocal: {run_dir: /run/x, runner: /r}", "isolation.default"},
        {"isolation: {offered: [sandbox]}\nlocal: {run_dir: /run/x, runner: /r}", "isolation.default"},
        {"isolation: {default: sandbox, slots: 65}\nlocal: {run_dir: /run/x, runner: /r}", "isolation.slots"},
        {"isolation: {default: sandbox}\nlocal: {run_dir: /run/x, runner: /r, sandbox: container}", "local.sandbox"},
        {"isolation: {default: sandbox}\nbackend: docker\ndocker: {run_dir: /run/x}", "docker"},
        {"pods_max: 10001\nlocal: {run_dir: /run/x, runner: /r}", "pods_max"},
        {"ready_timeout_ms: 5\nlocal: {run_dir: /run/x, runner: /r}", "ready_timeout_ms"},
        {"scaling: {shrink_delay_ms: 4000000}\nlocal: {run_dir: /run/x, runner: /r}", "scaling.shrink_delay_ms"},
        {"local: {run_dir: /run/x, runner: /r, sandbox: none}", "local.sandbox"},
        {"local: {run_dir: /run/x, runner: /r, cgroup: ../up}", "local.cgroup"},
        {"local: {run_dir: /run/x, runner: /r, uid_base: 1000}", "local.uid_base"},
        {"local: {run_dir: /run/x, runner: /r, uid_base: 2147483600}", "local.uid_base"},
        {"local: {run_dir: /run/x, runner: /r, user: me}", "user"},
        {"require: {isolation: vm}\nlocal: {run_dir: /run/x, runner: /r}", "require.isolation"},
        {"require: {landlock_abi: 100}\nlocal: {run_dir: /run/x, runner: /r}", "require.landlock_abi"},
        {"require: {cgroup: true}\nlocal: {run_dir: /run/x, runner: /r, cgroup: \"\"}", "require.cgroup"},
        {"pods_max: many\nlocal: {run_dir: /run/x, runner: /r}", "many"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        RW_AUTO_FREE char *text = rw_xasprintf("languages_dir: /etc\n%s\n", cases[i].text);
        struct rw_error err = {0};
        if (load(text, &err)) {
            fail_msg("was taken: %s", text);
        }
        assert_int_equal(err.code, RW_ERR_CONFIG);
        if (!strstr(err.message, cases[i].part)) {
            fail_msg("\"%s\" does not name \"%s\"", err.message, cases[i].part);
        }
    }
}

static void required_layers_are_the_runners_words(void **state)
{
    (void)state;
    static const struct {
        const char *require;
        const char *words;
    } cases[] = {
        {"{}", ""},
        {"{isolation: container}", ""},
        {"{cgroup: true}", "cgroup"},
        {"{isolation: namespaces, cgroup: true, landlock_abi: 3, own_uid: true, seccomp: true}",
         "namespaces,own_uid,seccomp,landlock=3,cgroup"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        RW_AUTO_FREE char *text = rw_xasprintf("%srequire: %s\n", minimal, cases[i].require);
        struct rw_error err = {0};
        struct manager_config *config = load(text, &err);
        assert_non_null(config);
        assert_string_equal(config->required, cases[i].words);
        rw_config_free(&manager_config_schema, config);
    }
}

static void every_backend_has_a_whole_table(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct backend_class *class = backend_at(0); class; class = backend_at(n)) {
        assert_ptr_equal(backend_find(class->name), class);
        assert_true(class->prepare && class->open && class->create && class->destroy && class->list && class->tick && class->close);
        n++;
    }
    assert_true(n > 0);
    assert_null(backend_find("none"));
    for (int reason = 0; reason < _BACKEND_REASON_MAX; reason++) {
        assert_non_null(backend_reason_name((enum backend_reason)reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_holds_the_defaults),
        cmocka_unit_test(what_cannot_work_is_refused),
        cmocka_unit_test(required_layers_are_the_runners_words),
        cmocka_unit_test(every_backend_has_a_whole_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
