/* Configuration files by libcyaml and a schema, and secrets. libcyaml says what is wrong through its log; the callback here keeps
 * the first message and the first place. What libcyaml lets pass ("12abc" as 12, "maybe" as true, two documents) is refused
 * before it sees the file, by yaml_check.c. */
#include <rw/config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <rw/auto.h>
#include <rw/bytes.h>

#include "yaml_check.h"

enum { FILE_BYTES_MAX = 1024 * 1024, PATH_BYTES = 4096, NAME_BYTES = 255 };

/* What libcyaml said of the first fault. */
struct fault {
    char message[RW_ERROR_MESSAGE_BYTES];
    unsigned line;
};

static void __attribute__((format(printf, 3, 0))) keep_fault(cyaml_log_t level, void *context, const char *fmt, va_list args)
{
    static const char prefix[] = "Load: ";
    struct fault *fault = context;
    char text[RW_ERROR_MESSAGE_BYTES];
    (void)level;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    const char *message = strncmp(text, prefix, sizeof(prefix) - 1) == 0 ? text + sizeof(prefix) - 1 : text;
    const char *place = strstr(text, "(line: ");
    if (place && message == text) {
        fault->line = fault->line ? fault->line : (unsigned)strtoul(place + strlen("(line: "), NULL, 10);
    } else if (!fault->message[0] && strcmp(message, "Backtrace:") != 0) {
        (void)snprintf(fault->message, sizeof(fault->message), "%s", message);
    }
}

static cyaml_config_t yaml_config(struct fault *fault)
{
    return (cyaml_config_t){
        .log_fn = fault ? keep_fault : NULL,
        .log_ctx = fault,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

/* The whole of an open file, at most out's bound. */
static int read_all(int fd, const char *path, struct rw_buffer *out, struct rw_error *err)
{
    for (;;) {
        uint8_t chunk[4096];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rw_fail_sys(err, CONFIG, errno, "read %s", path);
        }
        if (got == 0) {
            return 0;
        }
        if (rw_buffer_append(out, chunk, (size_t)got, err) < 0) {
            return rw_fail(err, CONFIG, "%s: more than %zu bytes", path, out->len_max);
        }
    }
}

int rw_config_load(const char *path, const cyaml_schema_value_t *schema, void **ret_config, struct rw_error *err)
{
    RW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rw_fail_sys(err, CONFIG, errno, "open %s", path);
    }
    RW_AUTO_BUFFER struct rw_buffer text;
    rw_buffer_init(&text, FILE_BYTES_MAX);
    if (read_all(fd, path, &text, err) < 0 || rw_yaml_check(path, rw_buffer_view(&text), schema, err) < 0) {
        return -1;
    }
    struct fault fault = {.line = 0};
    cyaml_config_t config = yaml_config(&fault);
    cyaml_data_t *loaded = NULL;
    cyaml_err_t outcome = cyaml_load_data(text.data, text.len, &config, schema, &loaded, NULL);
    if (outcome != CYAML_OK) {
        return rw_fail(err, CONFIG, "%s:%u: %s", path, fault.line ? fault.line : 1,
                       fault.message[0] ? fault.message : cyaml_strerror(outcome));
    }
    *ret_config = loaded;
    return 0;
}

void rw_config_free(const cyaml_schema_value_t *schema, void *config)
{
    if (config) {
        cyaml_config_t yaml = yaml_config(NULL);
        (void)cyaml_free(&yaml, schema, config, 0);
    }
}

/* Others may never read a secret's file. The group may when root owns the file and this program is somebody else: that is how
 * Kubernetes hands a secret to an unprivileged pod, and PostgreSQL has the same rule for its keys. */
static int check_secret_file(int fd, const char *path, struct rw_error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return rw_fail_sys(err, CONFIG, errno, "stat %s", path);
    }
    if (!S_ISREG(status.st_mode)) {
        return rw_fail(err, CONFIG, "%s is not a regular file", path);
    }
    bool may_group_read = status.st_uid == 0 && geteuid() != 0;
    if (status.st_mode & (may_group_read ? S_IRWXO | S_IWGRP : S_IRWXO | S_IRWXG)) {
        return rw_fail(err, CONFIG, "%s holds a secret and others may read it: chmod 600", path);
    }
    return 0;
}

static int load_secret_file(const char *path, char **ret_secret, struct rw_error *err)
{
    RW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return rw_fail_sys(err, CONFIG, errno, "open %s", path);
    }
    if (check_secret_file(fd, path, err) < 0) {
        return -1;
    }
    char text[RW_SECRET_BYTES_MAX + 2] = {0};
    ssize_t len = read(fd, text, sizeof(text) - 1);
    if (len < 0) {
        return rw_fail_sys(err, CONFIG, errno, "read %s", path);
    }
    if (len > 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
    }
    int outcome = 0;
    if (len == 0 || len > RW_SECRET_BYTES_MAX || strlen(text) != (size_t)len) {
        outcome = rw_fail(err, CONFIG, "%s: a secret has 1 to %d bytes without NUL", path, RW_SECRET_BYTES_MAX);
    } else {
        *ret_secret = rw_xstrdup(text);
    }
    explicit_bzero(text, sizeof(text));
    return outcome;
}

int rw_secret_load(const char *env_name, const char *file, char **ret_secret, struct rw_error *err)
{
    const char *value = env_name ? getenv(env_name) : NULL;
    if (value && value[0]) {
        if (strlen(value) > RW_SECRET_BYTES_MAX) {
            return rw_fail(err, CONFIG, "%s: a secret has at most %d bytes", env_name, RW_SECRET_BYTES_MAX);
        }
        *ret_secret = rw_xstrdup(value);
        return 0;
    }
    if (!file) {
        return rw_fail(err, CONFIG, "no secret: neither %s is set nor is a file named",
                       env_name ? env_name : "an environment variable");
    }
    return load_secret_file(file, ret_secret, err);
}

void rw_secret_free(char *secret)
{
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

#define TEXT(key, type, member, bytes_max)                                                                                         \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, bytes_max)
#define NUMBER(key, type, member) CYAML_FIELD_UINT(key, CYAML_FLAG_OPTIONAL, type, member)

const cyaml_schema_field_t rw_config_log_fields[] = {
    TEXT("level", struct rw_config_log, level, NAME_BYTES),
    CYAML_FIELD_END,
};

const cyaml_schema_field_t rw_config_http_fields[] = {
    TEXT("listen", struct rw_config_http, listen, PATH_BYTES),
    NUMBER("threads", struct rw_config_http, threads),
    NUMBER("connections_max", struct rw_config_http, connections_max),
    NUMBER("connections_per_ip_max", struct rw_config_http, connections_per_ip_max),
    NUMBER("request_timeout_ms", struct rw_config_http, request_timeout_ms),
    CYAML_FIELD_END,
};

const cyaml_schema_field_t rw_config_database_fields[] = {
    TEXT("host", struct rw_config_database, host, PATH_BYTES),
    NUMBER("port", struct rw_config_database, port),
    TEXT("name", struct rw_config_database, name, NAME_BYTES),
    TEXT("user", struct rw_config_database, user, NAME_BYTES),
    TEXT("password_file", struct rw_config_database, password_file, PATH_BYTES),
    NUMBER("connections", struct rw_config_database, connections),
    NUMBER("statement_timeout_ms", struct rw_config_database, statement_timeout_ms),
    CYAML_FIELD_END,
};

const cyaml_schema_field_t rw_config_broker_fields[] = {
    TEXT("host", struct rw_config_broker, host, NAME_BYTES),
    NUMBER("port", struct rw_config_broker, port),
    TEXT("vhost", struct rw_config_broker, vhost, NAME_BYTES),
    TEXT("user", struct rw_config_broker, user, NAME_BYTES),
    TEXT("password_file", struct rw_config_broker, password_file, PATH_BYTES),
    NUMBER("heartbeat_s", struct rw_config_broker, heartbeat_s),
    CYAML_FIELD_BOOL("tls", CYAML_FLAG_OPTIONAL, struct rw_config_broker, tls),
    TEXT("tls_ca_file", struct rw_config_broker, tls_ca_file, PATH_BYTES),
    CYAML_FIELD_END,
};

/* Texts are freed by cyaml_mem, which is free(3). */
static void default_text(char **text, const char *value)
{
    if (!*text) {
        *text = rw_xstrdup(value);
    }
}

static void default_number(uint32_t *number, uint32_t value)
{
    if (*number == 0) {
        *number = value;
    }
}

void rw_config_log_defaults(struct rw_config_log *config)
{
    default_text(&config->level, "info");
}

void rw_config_http_defaults(struct rw_config_http *config, const char *listen)
{
    default_text(&config->listen, listen);
    default_number(&config->threads, 2);
    default_number(&config->connections_max, 1024);
    default_number(&config->request_timeout_ms, 30000);
}

void rw_config_database_defaults(struct rw_config_database *config)
{
    default_text(&config->host, "127.0.0.1");
    default_number(&config->port, 5432);
    default_text(&config->name, "runwave");
    default_text(&config->user, "runwave");
    default_number(&config->connections, 4);
    default_number(&config->statement_timeout_ms, 10000);
}

void rw_config_broker_defaults(struct rw_config_broker *config)
{
    default_text(&config->host, "127.0.0.1");
    default_number(&config->port, config->tls ? 5671 : 5672);
    default_text(&config->vhost, "/");
    default_text(&config->user, "runwave");
    default_number(&config->heartbeat_s, 10);
}
