/* The configuration of the pod-manager; pod-manager.yaml explains each key. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdint.h>

#include <rw/config.h>
#include <rw/isolation.h>

enum { REQUIRED_BYTES = 96 };

struct local_config {
    char *run_dir;
    char *runner;
    char *sandbox;     /* "namespaces" or "container" */
    char *cgroup;      /* "": none */
    uint32_t uid_base; /* 0: not root */
};

struct require_config { /* layers without which no pod is made */
    char *isolation;    /* "namespaces"; NULL, "container": whatever there is */
    bool own_uid;
    bool seccomp;
    uint32_t landlock_abi;
    bool cgroup;
};

struct kubernetes_config {
    char *kubeconfig; /* NULL: in the cluster */
    char *namespace_; /* NULL: the service account's or the context's */
    char *instance;
    char *anchor;
    char *lease;
    uint32_t active_deadline_s;
    uint32_t port;
    uint32_t relist_ms;
    uint32_t creating_max;
};

struct docker_config {
    char *socket;
    char *run_dir;
    char *volume; /* that run_dir is; NULL: a folder of the engine's own machine */
    char *instance;
    char *image;
    char *runtime; /* NULL: the engine's default */
    char *sandbox; /* "container" or "namespaces" */
    uint32_t uid_base;
    uint32_t cpu_milli;
    uint32_t creating_max;
};

struct isolation_config {
    char *usual;    /* of leases that name none */
    char **offered; /* NULL: the usual one */
    unsigned n_offered;
    bool lazy; /* only pools of the usual level keep their warm floor */
    uint32_t slots;
    uint32_t uses;
    bool is_offered[_RW_ISOLATION_MAX]; /* not a key */
    enum rw_isolation level;            /* usual, as a level; not a key */
};

struct scaling_config {
    uint32_t rate_window_ms;
    uint32_t shrink_delay_ms;
    uint32_t shrink_step_ms;
};

struct manager_config {
    struct rw_config_log log;
    struct rw_config_http http;
    char *languages_dir;
    char *token_file;
    char *backend;
    bool cold; /* no runtime is started ahead of its job */
    uint32_t pods_max;
    uint32_t waiting_max;
    uint32_t lease_start_ms;
    uint32_t ready_timeout_ms;
    uint32_t drain_ms;
    struct scaling_config scaling;
    struct isolation_config isolation;
    struct require_config require;
    struct local_config local;
    struct kubernetes_config kubernetes;
    struct docker_config docker;
    char required[REQUIRED_BYTES]; /* require, as runwave-runner takes it; "": nothing. Not a key */
    uint32_t creating_max;         /* of the backend's section; 0: its class's. Not a key */
};

extern const cyaml_schema_value_t manager_config_schema;

/* Defaults and checks, the backend's own included. CONFIG. */
int manager_config_prepare(void *config, struct rw_error *err);

#endif
