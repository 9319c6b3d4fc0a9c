/* The parts of a kubeconfig file that matter here: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
#ifndef KUBECONFIG_H
#define KUBECONFIG_H

#include <stdbool.h>

#include <rw/auto.h>
#include <rw/error.h>

struct kubeconfig_cluster {
    char *server;
    char *ca_file; /* relative to the kubeconfig's folder */
    char *ca_data; /* base64 */
    bool is_insecure;
};

struct kubeconfig_variable {
    char *name;
    char *value;
};

struct kubeconfig_exec {
    char *api_version;
    char *command;
    char **args;
    unsigned n_args;
    struct kubeconfig_variable *env;
    unsigned n_env;
};

struct kubeconfig_user {
    char *cert_file;
    char *cert_data;
    char *key_file;
    char *key_data;
    char *token;
    char *token_file;
    struct kubeconfig_exec *exec;
};

struct kubeconfig_context {
    char *cluster;
    char *user;
    char *namespace_;
};

struct kubeconfig;

RW_NODISCARD int kubeconfig_load(const char *path, struct kubeconfig **ret_config, struct rw_error *err);
void kubeconfig_free(struct kubeconfig *config);
RW_DEFINE_AUTO(struct kubeconfig *, kubeconfig_free);

/* What the current context names; borrowed. CONFIG when one of them is not there. */
RW_NODISCARD int kubeconfig_current(const struct kubeconfig *config, const struct kubeconfig_context **ret_context,
                                    const struct kubeconfig_cluster **ret_cluster, const struct kubeconfig_user **ret_user,
                                    struct rw_error *err);

#endif
