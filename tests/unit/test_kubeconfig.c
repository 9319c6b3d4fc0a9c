/* Kubeconfig files and the answers of credential plugins. */
#include "support.h"

#include "kube_credentials.h"
#include "kube_plugin.h"
#include "kubeconfig.h"

#define USERS(user) "users: [{name: u, user: " user "}]\n"

static const char head[] = "apiVersion: v1\nkind: Config\npreferences: {colors: true}\ncurrent-context: c\n"
                           "contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}]\n"
                           "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:6443/', certificate-authority: ca.crt}}]\n";

static void loads_certificates_and_tokens(void **state)
{
    (void)state;
    struct rw_error err = {0};
    write_text("ca.crt", "CA\n");
    write_text("token", "abc\n");
    RW_AUTO_FREE char *text = rw_xasprintf("%s%s", head,
                                           USERS("{client-certificate-data: Q0VSVA==, client-key-data: S0VZ, tokenFile: token}"));
    write_text("config", text);
    RW_AUTO(kube_credentials_free) struct kube_credentials *credentials = NULL;
    assert_int_equal(kube_credentials_load("config", &credentials, &err), 0);
    const struct kube_identity *identity = kube_credentials_identity(credentials);
    assert_string_equal(identity->server, "https://127.0.0.1:6443");
    assert_string_equal(identity->ca_pem, "CA");
    assert_string_equal(identity->cert_pem, "CERT");
    assert_string_equal(identity->key_pem, "KEY");
    assert_string_equal(identity->token, "abc");
    assert_string_equal(identity->namespace_, "n");
}

static void note_refreshed(void *arg, const struct rw_error *err)
{
    assert_null(err);
    *(bool *)arg = true;
}

static void takes_a_rotated_token(void **state)
{
    (void)state;
    struct rw_error err = {0};
    write_text("ca.crt", "CA\n");
    write_text("token", "first");
    RW_AUTO_FREE char *text = rw_xasprintf("%s%s", head, USERS("{tokenFile: token}"));
    write_text("config", text);
    RW_AUTO(kube_credentials_free) struct kube_credentials *credentials = NULL;
    assert_int_equal(kube_credentials_load("config", &credentials, &err), 0);
    assert_false(kube_credentials_is_stale(credentials, 0));
    write_text("token", "second");
    kube_credentials_refuse(credentials);
    assert_true(kube_credentials_is_stale(credentials, 0));
    bool is_told = false; /* a token file is read at once, without the loop */
    kube_credentials_refresh(credentials, NULL, note_refreshed, &is_told);
    assert_true(is_told);
    assert_string_equal(kube_credentials_identity(credentials)->token, "second");
    assert_false(kube_credentials_is_stale(credentials, 0));
}

static void refuses_what_lacks_something(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "current-context: c\n",
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n",
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {server: 'https://x', insecure-skip-tls-verify: true}}]\n" USERS("{token: t}"),
        "[]\n",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        struct kube_credentials *credentials = NULL;
        write_text("bad", bad[i]);
        assert_int_equal(kube_credentials_load("bad", &credentials, &err), -1);
        assert_int_equal(err.code, RW_ERR_CONFIG);
    }
}

static void reads_plugins_answers(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct kube_plugin_answer answer;
    static const char good[] = "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":"
                               "{\"token\":\"t\",\"expirationTimestamp\":\"2026-01-01T00:00:01Z\"}}";
    assert_int_equal(kube_plugin_parse(rw_bytes_of(good, strlen(good)), &answer, &err), 0);
    assert_string_equal(answer.token, "t");
    assert_true(answer.expires_us == INT64_C(1767225601000000));
    kube_plugin_answer_done(&answer);
    static const char *const bad[] = {"", "{}", "{\"kind\":\"ExecCredential\",\"status\":{}}",
                                      "{\"kind\":\"Other\",\"status\":{\"token\":\"t\"}}"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        assert_int_equal(kube_plugin_parse(rw_bytes_of(bad[i], strlen(bad[i])), &answer, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_certificates_and_tokens),
        cmocka_unit_test(takes_a_rotated_token),
        cmocka_unit_test(refuses_what_lacks_something),
        cmocka_unit_test(reads_plugins_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
