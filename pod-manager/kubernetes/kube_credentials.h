/* Who we are to the API server, and how we know it: in-cluster service account, or a kubeconfig file.
 *
 * In the cluster: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ (the token rotates, so it is read again every
 * minute and when the server answers 401). Outside: client certificates, a token, a token file, or an exec plugin
 * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). */
#ifndef KUBE_CREDENTIALS_H
#define KUBE_CREDENTIALS_H

#include <uv.h>

#include <rw/auto.h>
#include <rw/error.h>

enum { KUBE_PEM_BYTES_MAX = 256 * 1024, KUBE_TOKEN_BYTES_MAX = 16 * 1024 };

struct kube_credentials;

/* What a request needs; borrowed until the next refresh. NULL: not used. */
struct kube_identity {
    const char *server;   /* "https://10.96.0.1:443" */
    const char *ca_pem;   /* NULL: the system's authorities */
    const char *cert_pem; /* client certificate and its key */
    const char *key_pem;
    const char *token;      /* bearer */
    const char *namespace_; /* of the service account or the context; "default" when neither says */
};

/* kubeconfig: path, or NULL for in-cluster. CONFIG names the file and what is missing. Does not run a plugin yet. */
RW_NODISCARD int kube_credentials_load(const char *kubeconfig, struct kube_credentials **ret_credentials, struct rw_error *err);
void kube_credentials_free(struct kube_credentials *credentials);
RW_DEFINE_AUTO(struct kube_credentials *, kube_credentials_free);

const struct kube_identity *kube_credentials_identity(const struct kube_credentials *credentials);

/* Whether the identity should be refreshed before the next request: a token file read more than a minute ago, a plugin's answer about
 * to expire, nothing yet. */
bool kube_credentials_is_stale(const struct kube_credentials *credentials, int64_t now_ms);
/* After a 401: whatever there is counts as stale. */
void kube_credentials_refuse(struct kube_credentials *credentials);

/* Read the token again, or run the plugin, with a deadline. `done` comes exactly once, possibly before this returns; a failure keeps what
 * there was. One refresh at a time: a second call while one is under way joins it. */
typedef void (*kube_refreshed)(void *arg, const struct rw_error *err);
void kube_credentials_refresh(struct kube_credentials *credentials, uv_loop_t *loop, kube_refreshed done, void *arg);
/* Whoever waits with that arg is told nothing any more. */
void kube_credentials_forget(struct kube_credentials *credentials, const void *arg);

#endif
