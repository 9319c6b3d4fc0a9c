/* Pods made from templates: what the user wrote stays, what keeps the promises cannot be loosened. */
#include "support.h"

#include <rw/json.h>

#include "kube_pod.h"
#include "kube_stream.h"

static const char loose_template[] =
    "{\"metadata\":{\"name\":\"runner\",\"uid\":\"t\",\"resourceVersion\":\"12\"},\"template\":{\"metadata\":{\"labels\":{\"mine\":"
    "\"1\","
    "\"runwave.dev/state\":\"leased\"}},\"spec\":{\"restartPolicy\":\"Always\",\"automountServiceAccountToken\":true,"
    "\"enableServiceLinks\":true,\"nodeSelector\":{\"disk\":\"fast\"},\"containers\":[{\"name\":\"side\",\"image\":\"x\"},"
    "{\"name\":\"runner\",\"image\":\"runwave/"
    "runner-$(language):dev\",\"env\":[{\"name\":\"RUNWAVE_POD_SECRET\",\"value\":\"known\"},"
    "{\"name\":\"KEEP\",\"value\":\"1\"}]}]}}}";

static const uint8_t secret[RW_POD_SECRET_BYTES] = {1, 2, 3};

static const struct kube_pod_making making = {
    .name = "python-1",
    .language = "python",
    .instance = "main",
    .secret = secret,
    .plan = "cGxhbg==",
    .anchor_name = "anchor",
    .anchor_uid = "a-u",
    .active_deadline_s = 600,
};

static cJSON *make(const char *text, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *pod_template = NULL;
    cJSON *pod = NULL;
    assert_int_equal(kube_json_parse(rw_bytes_of(text, strlen(text)), &pod_template, err), 0);
    return kube_pod_make(pod_template, &making, &pod, err) < 0 ? NULL : pod;
}

static void sets_what_keeps_the_promises(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *pod = make(loose_template, &err);
    assert_non_null(pod);
    assert_string_equal(rw_json_string(pod, "spec", "restartPolicy", NULL), "Never");
    assert_true(cJSON_IsFalse(rw_json_at(pod, "spec", "automountServiceAccountToken", NULL)));
    assert_true(cJSON_IsFalse(rw_json_at(pod, "spec", "enableServiceLinks", NULL)));
    assert_int_equal(rw_json_at(pod, "spec", "activeDeadlineSeconds", NULL)->valueint, 600);
    assert_string_equal(rw_json_string(pod, "metadata", "labels", KUBE_LABEL_STATE, NULL), "warm");
    const cJSON *owner = cJSON_GetArrayItem(rw_json_at(pod, "metadata", "ownerReferences", NULL), 0);
    assert_string_equal(rw_json_string(owner, "uid", NULL), "a-u");
}

static void keeps_what_the_user_wrote(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *pod = make(loose_template, &err);
    assert_non_null(pod);
    assert_string_equal(rw_json_string(pod, "metadata", "labels", "mine", NULL), "1");
    assert_string_equal(rw_json_string(pod, "spec", "nodeSelector", "disk", NULL), "fast");
    assert_string_equal(rw_json_string(pod, "metadata", "annotations", KUBE_ANNOTATION_TEMPLATE, NULL), "t.12");
}

static void gives_the_runner_its_image_and_secret(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *pod = make(loose_template, &err);
    assert_non_null(pod);
    const cJSON *runner = cJSON_GetArrayItem(rw_json_at(pod, "spec", "containers", NULL), 1);
    assert_string_equal(rw_json_string(runner, "image", NULL), "runwave/runner-python:dev");
    int n_secrets = 0;
    bool is_kept = false;
    bool has_plan = false;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, rw_json_at(runner, "env", NULL))
    {
        const char *name = rw_json_string(variable, "name", NULL);
        if (strcmp(name, KUBE_ENV_SECRET) == 0) {
            n_secrets++;
            assert_string_equal(rw_json_string(variable, "value", NULL), "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        }
        is_kept = is_kept || strcmp(name, "KEEP") == 0;
        has_plan = has_plan ||
                   (strcmp(name, "RUNWAVE_WARM") == 0 && strcmp(rw_json_string(variable, "value", NULL), "cGxhbg==") == 0);
    }
    assert_true(has_plan);
    assert_int_equal(n_secrets, 1);
    assert_true(is_kept);
}

static void refuses_a_template_without_a_runner(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"metadata\":{\"name\":\"runner\"}}",
        "{\"metadata\":{\"name\":\"runner\"},\"template\":{\"spec\":{\"containers\":[{\"name\":\"other\"}]}}}",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        assert_null(make(bad[i], &err));
        assert_int_equal(err.code, RW_ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_what_keeps_the_promises),
        cmocka_unit_test(keeps_what_the_user_wrote),
        cmocka_unit_test(gives_the_runner_its_image_and_secret),
        cmocka_unit_test(refuses_a_template_without_a_runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
