/* The scheduler's configuration: struct, schema and checks. scheduler.yaml explains every key. */
#ifndef SCHEDULER_CONFIG_H
#define SCHEDULER_CONFIG_H

#include <rw/config.h>

struct scheduler_config_pod_manager {
    char *url;
    char *unix_socket; /* NULL: TCP, by the url */
    char *token_file;  /* or RUNWAVE_POD_MANAGER_TOKEN */
};

struct scheduler_config {
    struct rw_config_log log;
    struct rw_config_http http;
    struct rw_config_database database;
    struct rw_config_broker broker;
    char *languages_dir;
    uint32_t drain_ms;
    uint32_t running_max;
    uint32_t leasing_max;
    uint32_t prefetch;
    uint32_t lease_ms;
    uint32_t renew_ms;
    uint32_t sweep_ms;
    uint32_t lost_after_ms;
    uint32_t pod_wait_ms;
    uint32_t hello_ms;
    uint32_t attempt_max_ms;
    uint32_t attempt_grace_ms;
    uint32_t attempt_output_bytes_max;
    struct scheduler_config_pod_manager pod_manager;
};

extern const cyaml_schema_value_t scheduler_config_schema;

/* For struct rw_daemon: fill in defaults, then check ranges and how the values fit each other. CONFIG. */
RW_NODISCARD int scheduler_config_prepare(void *config, struct rw_error *err);

#endif
