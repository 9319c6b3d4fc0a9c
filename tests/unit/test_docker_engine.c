/* What the Docker Engine is told about a pod's container, and what its answers, states and events are taken for. */
#include "support.h"

#include <rw/json.h>

#include "engine_container.h"
#include "engine_text.h"

static const struct engine_making making = {
    .pod = "python-1",
    .instance = "main",
    .language = "python",
    .image = "runwave/runner-python:dev",
    .folder = "/var/lib/docker/volumes/pods/_data/python-1",
    .slots = 1,
    .uses = 1,
    .uid = 70001,
    .memory_bytes = 1 << 28,
    .disk_bytes = 1 << 26,
    .processes = 80,
    .cpu_milli = 1500,
};

static bool holds(const cJSON *array, const char *text)
{
    const cJSON *element = NULL;
    cJSON_ArrayForEach(element, array)
    {
        if (cJSON_IsString(element) && strcmp(element->valuestring, text) == 0) {
            return true;
        }
    }
    return false;
}

static void a_container_is_fenced(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *container = engine_container_make(&making);
    const cJSON *host = rw_json_at(container, "HostConfig", NULL);
    assert_string_equal(rw_json_string(container, "User", NULL), "70001:70001");
    assert_string_equal(rw_json_string(host, "NetworkMode", NULL), "none");
    assert_true(cJSON_IsTrue(rw_json_at(host, "ReadonlyRootfs", NULL)));
    assert_true(cJSON_IsFalse(rw_json_at(host, "Privileged", NULL)));
    assert_true(holds(rw_json_at(host, "CapDrop", NULL), "ALL"));
    assert_true(holds(rw_json_at(host, "SecurityOpt", NULL), "no-new-privileges"));
    assert_int_equal(cJSON_GetArraySize(rw_json_at(host, "SecurityOpt", NULL)), 1); /* the engine's own filter stays */
    assert_null(rw_json_at(host, "MaskedPaths", NULL));
    assert_null(rw_json_at(host, "CapAdd", NULL));
    assert_string_equal(rw_json_string(host, "LogConfig", "Type", NULL), "none");
    assert_string_equal(rw_json_string(host, "RestartPolicy", "Name", NULL), "no");
    assert_string_equal(rw_json_string(container, "Labels", ENGINE_LABEL_POOL, NULL), "main");
    assert_string_equal(rw_json_string(container, "Labels", ENGINE_LABEL_POD, NULL), "python-1");
}

static void a_container_is_bounded(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *container = engine_container_make(&making);
    const cJSON *host = rw_json_at(container, "HostConfig", NULL);
    RW_AUTO_FREE char *text = rw_json_print(host, &(size_t){0});
    assert_non_null(strstr(text, "\"Memory\":268435456,\"MemorySwap\":268435456"));
    assert_non_null(strstr(text, "\"NanoCpus\":1500000000"));
    assert_non_null(strstr(text, "\"PidsLimit\":80"));
    assert_string_equal(rw_json_string(host, "Tmpfs", "/box", NULL),
                        "rw,exec,nosuid,nodev,mode=0700,uid=70001,gid=70001,size=67108864,nr_inodes=65536");
}

static void its_folder_is_the_only_way_in(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *container = engine_container_make(&making);
    const cJSON *mounts = rw_json_at(container, "HostConfig", "Mounts", NULL);
    assert_int_equal(cJSON_GetArraySize(mounts), 1);
    assert_string_equal(rw_json_string(cJSON_GetArrayItem(mounts, 0), "Source", NULL), making.folder);
    assert_true(holds(rw_json_at(container, "Cmd", NULL), "unix:/run/runwave/pod.sock"));
    assert_true(holds(rw_json_at(container, "Cmd", NULL), "/run/runwave/secret"));
    assert_false(holds(rw_json_at(container, "Cmd", NULL), "--slots"));
    assert_int_equal(cJSON_GetArraySize(rw_json_at(container, "Env", NULL)), 0);
    assert_null(rw_json_at(container, "Entrypoint", NULL)); /* the image's */
}

static void the_runner_is_told_what_to_insist_on_and_what_to_start_ahead(void **state)
{
    (void)state;
    struct engine_making told = making;
    told.required = "seccomp,landlock=4";
    told.plan = "cGxhbg==";
    RW_AUTO(cJSON_Delete) cJSON *container = engine_container_make(&told);
    const cJSON *environment = rw_json_at(container, "Env", NULL);
    assert_int_equal(cJSON_GetArraySize(environment), 2);
    assert_true(holds(environment, "RUNWAVE_REQUIRE=seccomp,landlock=4") && holds(environment, "RUNWAVE_WARM=cGxhbg=="));
}

static void sandboxes_inside_open_what_they_need(void **state)
{
    (void)state;
    struct engine_making inner = making;
    inner.has_namespaces = true;
    inner.slots = 4;
    inner.uses = 0;
    RW_AUTO(cJSON_Delete) cJSON *container = engine_container_make(&inner);
    const cJSON *host = rw_json_at(container, "HostConfig", NULL);
    assert_true(holds(rw_json_at(host, "SecurityOpt", NULL), "seccomp=unconfined"));
    assert_int_equal(cJSON_GetArraySize(rw_json_at(host, "MaskedPaths", NULL)), 0);
    assert_true(holds(rw_json_at(host, "CapDrop", NULL), "ALL"));
    assert_true(holds(rw_json_at(container, "Cmd", NULL), "namespaces"));
    assert_true(holds(rw_json_at(container, "Cmd", NULL), "--slots"));
}

static int choose(const char *text, unsigned *ret_minor, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *version = NULL;
    assert_ok(engine_json_parse(rw_bytes_of(text, strlen(text)), &version, err), err);
    return engine_version_choose(version, ret_minor, err);
}

static void the_newest_common_version_is_spoken(void **state)
{
    (void)state;
    struct rw_error err = {0};
    unsigned minor = 0;
    assert_ok(choose("{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}", &minor, &err), &err);
    assert_int_equal(minor, 41);
    assert_ok(choose("{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.44\"}", &minor, &err), &err);
    assert_int_equal(minor, ENGINE_API_MINOR_MAX);
    assert_fails(choose("{\"ApiVersion\":\"1.24\",\"MinAPIVersion\":\"1.12\"}", &minor, &err), &err, UNSUPPORTED, "1.12 to 1.24");
    assert_fails(choose("{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.60\"}", &minor, &err), &err, UNSUPPORTED, "1.60 to 1.99");
    assert_fails(choose("{\"ApiVersion\":\"2.1\"}", &minor, &err), &err, UNSUPPORTED, "no Docker Engine");
    assert_fails(choose("{\"ApiVersion\":\"1.4x\"}", &minor, &err), &err, UNSUPPORTED, "no Docker Engine");
    assert_fails(choose("{}", &minor, &err), &err, UNSUPPORTED, "no Docker Engine");
}

struct seen {
    char text[256];
};

static void note(void *arg, const struct engine_event *event)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);
    (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%d:%s ", (int)event->type, event->pod);
}

static const char events[] =
    "{\"Type\":\"container\",\"Action\":\"create\",\"Actor\":{\"Attributes\":{\"dev.runwave.pod\":\"a\"}},\"timeNano\":"
    "1763942400123456789}\n"
    "{\"Type\":\"container\",\"Action\":\"exec_start: sh\",\"Actor\":{\"Attributes\":{\"dev.runwave.pod\":\"a\"}}}\n"
    "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{\"exitCode\":\"0\"}}}\n\n"
    "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{\"dev.runwave.pod\":\"b\",\"exitCode\":\"137\"}}}\n"
    "{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{\"Attributes\":{\"dev.runwave.pod\":\"b\"}}}\n";

static void events_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(events); piece += 7) {
        struct engine_stream stream;
        struct seen seen = {""};
        struct rw_error err = {0};
        engine_stream_init(&stream);
        for (size_t at = 0; at < sizeof(events) - 1; at += piece) {
            size_t len = sizeof(events) - 1 - at < piece ? sizeof(events) - 1 - at : piece;
            assert_ok(engine_stream_feed(&stream, rw_bytes_of(events + at, len), note, &seen, &err), &err);
        }
        assert_string_equal(seen.text, "0:a 1:b 2:b ");
        engine_stream_done(&stream);
    }
}

static void what_is_no_event_ends_the_stream(void **state)
{
    (void)state;
    struct engine_stream stream;
    struct seen seen = {""};
    struct rw_error err = {0};
    engine_stream_init(&stream);
    assert_fails(engine_stream_feed(&stream, rw_bytes_of("{\"Type\":\n", 9), note, &seen, &err), &err, PROTOCOL,
                 "event of the engine");
    RW_AUTO_FREE char *endless = rw_xcalloc(1, ENGINE_EVENT_BYTES_MAX + 1);
    memset(endless, ' ', ENGINE_EVENT_BYTES_MAX + 1);
    assert_int_equal(engine_stream_feed(&stream, rw_bytes_of(endless, ENGINE_EVENT_BYTES_MAX + 1), note, &seen, &err), -1);
    assert_string_equal(rw_err_name(err.code), rw_err_name(RW_ERR_TOO_LARGE));
    engine_stream_done(&stream);
}

static int read_state(const char *text, struct engine_state *ret_state, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *container = NULL;
    assert_ok(engine_json_parse(rw_bytes_of(text, strlen(text)), &container, err), err);
    return engine_state_read(container, ret_state, err);
}

static void a_state_says_how_it_ended(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct engine_state found;
    assert_ok(read_state("{\"State\":{\"Status\":\"running\",\"ExitCode\":0}}", &found, &err), &err);
    assert_true(found.is_running);
    assert_ok(read_state("{\"State\":{\"Status\":\"exited\",\"ExitCode\":137,\"OOMKilled\":true,\"Error\":\"\"}}", &found, &err),
              &err);
    assert_true(!found.is_running && found.is_oom_killed);
    assert_string_equal(found.detail, "runner killed by signal 9");
    assert_ok(read_state("{\"State\":{\"Status\":\"exited\",\"ExitCode\":69,\"Error\":\"\"}}", &found, &err), &err);
    assert_string_equal(found.detail, "runner exited with status 69");
    assert_ok(read_state("{\"State\":{\"Status\":\"dead\",\"ExitCode\":127,\"Error\":\"no such file\"}}", &found, &err), &err);
    assert_string_equal(found.detail, "no such file");
    assert_fails(read_state("{\"State\":{\"Status\":\"exited\"}}", &found, &err), &err, PROTOCOL, "no state");
    assert_fails(read_state("{}", &found, &err), &err, PROTOCOL, "no state");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_fenced),
        cmocka_unit_test(a_container_is_bounded),
        cmocka_unit_test(its_folder_is_the_only_way_in),
        cmocka_unit_test(the_runner_is_told_what_to_insist_on_and_what_to_start_ahead),
        cmocka_unit_test(sandboxes_inside_open_what_they_need),
        cmocka_unit_test(the_newest_common_version_is_spoken),
        cmocka_unit_test(events_may_be_cut_anywhere),
        cmocka_unit_test(what_is_no_event_ends_the_stream),
        cmocka_unit_test(a_state_says_how_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
