/* The api-server's configuration; api-server.yaml documents every key. */
#ifndef API_CONFIG_H
#define API_CONFIG_H

#include <rw/config.h>
#include <rw/isolation.h>

struct api_config {
    struct rw_config_log log;
    struct rw_config_http http;
    struct rw_config_database database;
    struct rw_config_broker broker;
    char *languages_dir;
    char *token_file;
    uint32_t drain_ms;
    uint32_t backlog_max;
    uint32_t body_bytes_max;
    uint32_t wait_max_s;
    uint32_t lost_after_ms;
    char **isolation; /* levels that a task may ask for; NULL: pod alone */
    unsigned n_isolation;
    bool is_offered[_RW_ISOLATION_MAX]; /* isolation, as a table; not a key */
};

extern const cyaml_schema_value_t api_config_schema;

/* Fill in defaults and check ranges. CONFIG. */
RW_NODISCARD int api_config_prepare(void *config, struct rw_error *err);

#endif
