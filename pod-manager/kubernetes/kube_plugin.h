/* Exec credential plugins: a program that prints an ExecCredential
 * (https://kubernetes.io/docs/reference/config-api/client-authentication.v1/). Run with an argv, never through a shell. */
#ifndef KUBE_PLUGIN_H
#define KUBE_PLUGIN_H

#include <uv.h>

#include <rw/bytes.h>

#include "kubeconfig.h"

struct kube_plugin_answer { /* texts owned; NULL when not given */
    char *token;
    char *cert_pem;
    char *key_pem;
    int64_t expires_us; /* since the Unix epoch; -1: says nothing */
};
void kube_plugin_answer_done(struct kube_plugin_answer *answer);

/* PROTOCOL when it is not an ExecCredential with a token or a certificate and key. */
RW_NODISCARD int kube_plugin_parse(struct rw_bytes text, struct kube_plugin_answer *ret_answer, struct rw_error *err);

struct kube_plugin; /* one run */

/* answer: owned by the callee. err: TIMEOUT, IO, PROTOCOL, UNAVAILABLE (it exited with a failure). Exactly once, later. */
typedef void (*kube_plugin_answered)(void *arg, struct kube_plugin_answer *answer, const struct rw_error *err);

RW_NODISCARD int kube_plugin_run(uv_loop_t *loop, const struct kubeconfig_exec *program, kube_plugin_answered done, void *arg,
                                 struct kube_plugin **ret_plugin, struct rw_error *err);
/* Kills it; done is not called any more. */
void kube_plugin_cancel(struct kube_plugin *plugin);

#endif
