/* Pods as the API server shows them: each trouble is told apart from the others. */
#include "support.h"

#include <rw/json.h>

#include "kube_pod.h"
#include "kube_stream.h"

#define METADATA "\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\"}"

static struct kube_pod read_pod(const char *text)
{
    struct rw_error err = {0};
    struct kube_pod pod;
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    assert_int_equal(kube_json_parse(rw_bytes_of(text, strlen(text)), &json, &err), 0);
    assert_int_equal(kube_pod_read(json, &pod, &err), 0);
    return pod;
}

static void tells_troubles_apart(void **state)
{
    (void)state;
    static const struct {
        enum kube_trouble trouble;
        const char *status;
    } rows[] = {
        {KUBE_TROUBLE_NONE, "{\"phase\":\"Pending\"}"},
        {KUBE_TROUBLE_OOM_KILLED,
         "{\"phase\":\"Failed\",\"containerStatuses\":[{\"state\":{\"terminated\":{\"reason\":\"OOMKilled\",\"exitCode\":137}}}]}"},
        {KUBE_TROUBLE_EXITED, "{\"phase\":\"Succeeded\",\"containerStatuses\":[{\"state\":{\"terminated\":{\"reason\":"
                              "\"Completed\",\"exitCode\":0}}}]}"},
        {KUBE_TROUBLE_EVICTED,
         "{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"The node was low on resource: memory.\"}"},
        {KUBE_TROUBLE_DEADLINE, "{\"phase\":\"Failed\",\"reason\":\"DeadlineExceeded\"}"},
        {KUBE_TROUBLE_IMAGE, "{\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]}"},
        {KUBE_TROUBLE_IMAGE, "{\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"ErrImageNeverPull\"}}}]}"},
        {KUBE_TROUBLE_CONTAINER, "{\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"CreateContainerError\"}}}]}"},
        {KUBE_TROUBLE_NONE, "{\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}}}]}"},
        {KUBE_TROUBLE_UNSCHEDULABLE, "{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":"
                                     "\"Unschedulable\",\"message\":\"0/1 nodes\"}]}"},
        {KUBE_TROUBLE_DISRUPTED, "{\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"x\"}]}"},
        {KUBE_TROUBLE_NODE_LOST, "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\",\"reason\":\"NodeStatusUnknown\"}]}"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        RW_AUTO_FREE char *text = rw_xasprintf("{" METADATA ",\"status\":%s}", rows[i].status);
        struct kube_pod pod = read_pod(text);
        assert_string_equal(kube_trouble_name(pod.trouble), kube_trouble_name(rows[i].trouble));
        assert_false(pod.is_ready);
    }
}

static void reads_a_ready_pod(void **state)
{
    (void)state;
    struct kube_pod pod = read_pod(
        "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"labels\":{\"runwave.dev/language\":\"python\","
        "\"runwave.dev/state\":\"leased\"},\"annotations\":{\"runwave.dev/template\":\"t.1\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"runner\",\"env\":[{\"name\":\"RUNWAVE_POD_SECRET\","
        "\"value\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}]}]},"
        "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.244.0.9\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    assert_true(pod.is_ready);
    assert_true(pod.is_leased);
    assert_false(pod.is_deleting);
    assert_string_equal(pod.ip, "10.244.0.9");
    assert_string_equal(pod.language, "python");
    assert_string_equal(pod.template_version, "t.1");
    assert_true(pod.has_secret);
    assert_int_equal(pod.secret[0], 0);
    assert_int_equal(pod.secret[31], 31);
}

static void a_deleted_pod_is_not_ready(void **state)
{
    (void)state;
    struct kube_pod pod = read_pod(
        "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"
        "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    assert_int_equal(pod.trouble, KUBE_TROUBLE_DELETED);
    assert_false(pod.is_ready);
}

static void reads_when_it_was_made(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t created_s;
    } rows[] = {
        {"2026-01-01T00:00:00Z", 1767225600},
        {"1970-01-01T00:00:00Z", 0},
        {"0001-01-01T00:00:00Z", 0},
        {"2026-01-01T00:00:00", 0},
        {"2026-01-01T00:00:00Zx", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        RW_AUTO_FREE char *text = rw_xasprintf("{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\","
                                               "\"creationTimestamp\":\"%s\"}}",
                                               rows[i].text);
        assert_int_equal(read_pod(text).created_s, rows[i].created_s);
    }
}

static void refuses_objects_without_identity(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"metadata\":{\"name\":\"p\",\"resourceVersion\":\"7\"}}",
        "{\"metadata\":{\"name\":\"\",\"uid\":\"u\",\"resourceVersion\":\"7\"}}",
        "{\"metadata\":{\"name\":\"p\",\"uid\":3,\"resourceVersion\":\"7\"}}",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        struct kube_pod pod;
        RW_AUTO(cJSON_Delete) cJSON *json = NULL;
        assert_int_equal(kube_json_parse(rw_bytes_of(bad[i], strlen(bad[i])), &json, &err), 0);
        assert_int_equal(kube_pod_read(json, &pod, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
    }
}

static void reads_how_it_ended_and_until_when_it_is_leased(void **state)
{
    (void)state;
    struct kube_pod ended = read_pod("{" METADATA ",\"status\":{\"phase\":\"Succeeded\",\"containerStatuses\":[{\"state\":{"
                                     "\"terminated\":{\"reason\":\"OOMKilled\",\"exitCode\":0}}}]}}");
    assert_true(ended.has_finished); /* its code was killed, its runner has told the verdict */
    assert_int_equal(ended.leased_until_s, 0);
    static const struct {
        const char *text;
        int64_t until_s;
    } rows[] = {{"1767225600", 1767225600}, {"", 0}, {"-5", 0}, {"1e9", 0}, {"99999999999999999999", 0}};
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        RW_AUTO_FREE char *text = rw_xasprintf("{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":\"7\","
                                               "\"annotations\":{\"runwave.dev/leased-until\":\"%s\"}}}",
                                               rows[i].text);
        assert_int_equal(read_pod(text).leased_until_s, rows[i].until_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_troubles_apart),
        cmocka_unit_test(reads_a_ready_pod),
        cmocka_unit_test(a_deleted_pod_is_not_ready),
        cmocka_unit_test(reads_when_it_was_made),
        cmocka_unit_test(refuses_objects_without_identity),
        cmocka_unit_test(reads_how_it_ended_and_until_when_it_is_leased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
