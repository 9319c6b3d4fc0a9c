/* Loads who we are, and keeps it fresh: tokens from files are read again, plugins run again before their answer expires. */
#include "kube_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rw/clock.h>
#include <rw/encoding.h>

#include "kube_files.h"
#include "kube_plugin.h"
#include "kubeconfig.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

enum { TOKEN_AGE_MAX_MS = 60000, EXPIRY_MARGIN_MS = 30000, WAITING_MAX = 8 };

struct waiting {
    kube_refreshed done;
    void *arg;
};

struct kube_credentials {
    struct kube_identity identity; /* points at the texts below */
    char *server, *ca_pem, *cert_pem, *key_pem, *token, *namespace_;
    char *token_file;
    struct kubeconfig *config; /* keeps what exec points at */
    const struct kubeconfig_exec *exec;
    bool is_refused;
    int64_t read_ms;    /* when the token was last read, -1: not yet */
    int64_t expires_us; /* of the plugin's answer, -1: does not */
    struct kube_plugin *plugin;
    struct waiting waiting[WAITING_MAX];
    size_t n_waiting;
};

static void replace(char **text, char *with)
{
    if (*text) {
        explicit_bzero(*text, strlen(*text));
        free(*text);
    }
    *text = with;
}

static void publish(struct kube_credentials *credentials)
{
    credentials->identity = (struct kube_identity){
        .server = credentials->server,
        .ca_pem = credentials->ca_pem,
        .cert_pem = credentials->cert_pem,
        .key_pem = credentials->key_pem,
        .token = credentials->token,
        .namespace_ = credentials->namespace_,
    };
}

static int read_token(struct kube_credentials *credentials, struct rw_error *err)
{
    char *token = NULL;
    if (kube_file_read(credentials->token_file, KUBE_TOKEN_BYTES_MAX, &token, err) < 0) {
        return -1;
    }
    replace(&credentials->token, token);
    credentials->read_ms = rw_monotonic_ms();
    publish(credentials);
    return 0;
}

static int load_in_cluster(struct kube_credentials *credentials, struct rw_error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !port) {
        return rw_fail(err, CONFIG, "not in a cluster (no KUBERNETES_SERVICE_HOST) and no kubeconfig given");
    }

    credentials->server = rw_xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    credentials->token_file = rw_xstrdup(SERVICE_ACCOUNT "token");
    if (kube_file_read(SERVICE_ACCOUNT "ca.crt", KUBE_PEM_BYTES_MAX, &credentials->ca_pem, err) < 0 ||
        kube_file_read(SERVICE_ACCOUNT "namespace", 253, &credentials->namespace_, err) < 0) {
        return -1;
    }
    return read_token(credentials, err);
}

/* A file's path as the kubeconfig means it: relative to the kubeconfig's own folder. */
static char *beside(const char *kubeconfig, const char *path)
{
    const char *slash = strrchr(kubeconfig, '/');
    return path[0] == '/' || !slash ? rw_xstrdup(path) : rw_xasprintf("%.*s/%s", (int)(slash - kubeconfig), kubeconfig, path);
}

/* PEM from inline base64, else from a file, else NULL. */
static int load_pem(const char *kubeconfig, const char *data, const char *file, char **ret_pem, struct rw_error *err)
{
    if (data) {
        uint8_t *decoded = NULL;
        size_t len = 0;
        if (rw_base64_decode(data, strlen(data), &decoded, &len, err) < 0) {
            return rw_error_wrap(err, "kubeconfig data");
        }
        *ret_pem = rw_xstrndup((const char *)decoded, len);
        free(decoded);
        return 0;
    }
    if (!file) {
        return 0;
    }
    RW_AUTO_FREE char *path = beside(kubeconfig, file);
    return kube_file_read(path, KUBE_PEM_BYTES_MAX, ret_pem, err);
}

static int load_kubeconfig(struct kube_credentials *credentials, const char *path, struct rw_error *err)
{
    const struct kubeconfig_context *context = NULL;
    const struct kubeconfig_cluster *cluster = NULL;
    const struct kubeconfig_user *user = NULL;
    if (kubeconfig_load(path, &credentials->config, err) < 0 ||
        kubeconfig_current(credentials->config, &context, &cluster, &user, err) < 0) {
        return -1;
    }
    if (cluster->is_insecure) {
        return rw_fail(err, CONFIG, "kubeconfig %s: insecure-skip-tls-verify is not supported", path);
    }
    credentials->server = rw_xstrdup(cluster->server);
    for (size_t len = strlen(credentials->server); len > 0 && credentials->server[len - 1] == '/'; len--) {
        credentials->server[len - 1] = '\0';
    }
    credentials->namespace_ = rw_xstrdup(context->namespace_ ? context->namespace_ : "default");
    credentials->exec = user->exec;
    if (load_pem(path, cluster->ca_data, cluster->ca_file, &credentials->ca_pem, err) < 0 ||
        load_pem(path, user->cert_data, user->cert_file, &credentials->cert_pem, err) < 0 ||
        load_pem(path, user->key_data, user->key_file, &credentials->key_pem, err) < 0) {
        return -1;
    }
    if (user->token_file) {
        credentials->token_file = beside(path, user->token_file);
        return read_token(credentials, err);
    }
    credentials->token = user->token ? rw_xstrdup(user->token) : NULL;
    return 0;
}

int kube_credentials_load(const char *kubeconfig, struct kube_credentials **ret_credentials, struct rw_error *err)
{
    RW_AUTO(kube_credentials_free) struct kube_credentials *credentials = rw_xcalloc(1, sizeof(*credentials));
    credentials->read_ms = -1;
    credentials->expires_us = -1;
    if ((kubeconfig ? load_kubeconfig(credentials, kubeconfig, err) : load_in_cluster(credentials, err)) < 0) {
        return -1;
    }
    publish(credentials);
    *ret_credentials = rw_take(credentials);
    return 0;
}

void kube_credentials_free(struct kube_credentials *credentials)
{
    if (!credentials) {
        return;
    }
    kube_plugin_cancel(credentials->plugin);
    char **texts[] = {&credentials->server, &credentials->ca_pem,     &credentials->cert_pem,  &credentials->key_pem,
                      &credentials->token,  &credentials->namespace_, &credentials->token_file};
    for (size_t i = 0; i < RW_ARRAY_SIZE(texts); i++) {
        replace(texts[i], NULL);
    }
    kubeconfig_free(credentials->config);
    free(credentials);
}

const struct kube_identity *kube_credentials_identity(const struct kube_credentials *credentials)
{
    return &credentials->identity;
}

bool kube_credentials_is_stale(const struct kube_credentials *credentials, int64_t now_ms)
{
    if (credentials->token_file) {
        return credentials->is_refused || credentials->read_ms < 0 || now_ms - credentials->read_ms >= TOKEN_AGE_MAX_MS;
    }
    if (credentials->exec) {
        bool is_expiring = credentials->expires_us >= 0 &&
                           rw_realtime_us() / 1000 >= credentials->expires_us / 1000 - EXPIRY_MARGIN_MS;
        return credentials->is_refused || credentials->read_ms < 0 || is_expiring;
    }
    return false;
}

void kube_credentials_refuse(struct kube_credentials *credentials)
{
    credentials->is_refused = true;
}

static void tell_all(struct kube_credentials *credentials, const struct rw_error *err)
{
    struct waiting waiting[WAITING_MAX];
    size_t n_waiting = credentials->n_waiting;
    memcpy(waiting, credentials->waiting, sizeof(waiting));
    credentials->n_waiting = 0;
    for (size_t i = 0; i < n_waiting; i++) {
        waiting[i].done(waiting[i].arg, err);
    }
}

static void take_answer(void *arg, struct kube_plugin_answer *answer, const struct rw_error *err)
{
    struct kube_credentials *credentials = arg;
    credentials->plugin = NULL;
    if (!err) {
        replace(&credentials->token, rw_take(answer->token));
        if (answer->cert_pem && answer->key_pem) {
            replace(&credentials->cert_pem, rw_take(answer->cert_pem));
            replace(&credentials->key_pem, rw_take(answer->key_pem));
        }
        credentials->expires_us = answer->expires_us;
        credentials->read_ms = rw_monotonic_ms();
        credentials->is_refused = false;
        publish(credentials);
        kube_plugin_answer_done(answer);
    }
    tell_all(credentials, err);
}

void kube_credentials_refresh(struct kube_credentials *credentials, uv_loop_t *loop, kube_refreshed done, void *arg)
{
    struct rw_error err;
    if (!credentials->exec) {
        int outcome = credentials->token_file ? read_token(credentials, &err) : 0;
        credentials->is_refused = false;
        done(arg, outcome < 0 ? &err : NULL);
        return;
    }
    if (credentials->n_waiting == WAITING_MAX) {
        (void)rw_fail(&err, OVERLOADED, "too many wait for the credential plugin");
        done(arg, &err);
        return;
    }
    credentials->waiting[credentials->n_waiting++] = (struct waiting){.done = done, .arg = arg};
    if (!credentials->plugin &&
        kube_plugin_run(loop, credentials->exec, take_answer, credentials, &credentials->plugin, &err) < 0) {
        tell_all(credentials, &err);
    }
}

void kube_credentials_forget(struct kube_credentials *credentials, const void *arg)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < credentials->n_waiting; i++) {
        if (credentials->waiting[i].arg != arg) {
            credentials->waiting[n_kept++] = credentials->waiting[i];
        }
    }
    credentials->n_waiting = n_kept;
}
