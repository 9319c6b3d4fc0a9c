/* Configuration: a YAML file read by libcyaml with a schema table. An unknown key, a wrong type or a value out of range is a
 * start-up error that names file and line. Secrets never stand in the file itself nor on a command line: the file names a file
 * that holds the secret, or an environment variable gives it. */
#ifndef RW_CONFIG_H
#define RW_CONFIG_H

#include <cyaml/cyaml.h>

#include <rw/error.h>

/* Load path into *ret_config by schema. CONFIG with "path:line: what". The caller frees with rw_config_free and the same schema. */
RW_NODISCARD int rw_config_load(const char *path, const cyaml_schema_value_t *schema, void **ret_config, struct rw_error *err);
void rw_config_free(const cyaml_schema_value_t *schema, void *config);

enum { RW_SECRET_BYTES_MAX = 4096 };

/* The value of environment variable env_name, else the contents of file (trailing newline removed), else NULL with CONFIG.
 * The file must not be readable by others. Result owned by the caller; free with rw_secret_free, which wipes it. */
RW_NODISCARD int rw_secret_load(const char *env_name, const char *file, char **ret_secret, struct rw_error *err);
void rw_secret_free(char *secret);

/* Sections shared by daemons, with their libcyaml field tables. NULL and 0 mean "not given": rw_config_*_defaults fills them in. */
struct rw_config_log {
    char *level; /* debug, info, warning, error; default info */
};
struct rw_config_http {
    char *listen; /* "127.0.0.1:8080", "[::1]:8080" or "unix:/path" */
    uint32_t threads;
    uint32_t connections_max;
    uint32_t connections_per_ip_max; /* 0: no such limit */
    uint32_t request_timeout_ms;     /* from the first byte to the last of one request, absolute */
};
struct rw_config_database {
    char *host; /* name, address, or folder of the unix socket */
    uint32_t port;
    char *name;
    char *user;
    char *password_file; /* or RUNWAVE_DATABASE_PASSWORD */
    uint32_t connections;
    uint32_t statement_timeout_ms;
};
struct rw_config_broker {
    char *host;
    uint32_t port;
    char *vhost;
    char *user;
    char *password_file; /* or RUNWAVE_BROKER_PASSWORD */
    uint32_t heartbeat_s;
    bool tls;
    char *tls_ca_file;
};

extern const cyaml_schema_field_t rw_config_log_fields[];
extern const cyaml_schema_field_t rw_config_http_fields[];
extern const cyaml_schema_field_t rw_config_database_fields[];
extern const cyaml_schema_field_t rw_config_broker_fields[];
void rw_config_log_defaults(struct rw_config_log *config);
void rw_config_http_defaults(struct rw_config_http *config, const char *listen);
void rw_config_database_defaults(struct rw_config_database *config);
void rw_config_broker_defaults(struct rw_config_broker *config);

#endif
