/* Reads a kubeconfig file by a libcyaml schema. Other programs' keys stand in such files, so unknown ones are passed over here. */
#include "kubeconfig.h"

#include <string.h>

#include <cyaml/cyaml.h>

struct named_cluster {
    char *name;
    struct kubeconfig_cluster cluster;
};

struct named_user {
    char *name;
    struct kubeconfig_user user;
};

struct named_context {
    char *name;
    struct kubeconfig_context context;
};

struct kubeconfig {
    char *current;
    struct named_cluster *clusters;
    unsigned n_clusters;
    struct named_user *users;
    unsigned n_users;
    struct named_context *contexts;
    unsigned n_contexts;
};

enum { ENTRIES_MAX = 256, TEXT_MAX = 1024 * 1024 };

#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, TEXT_MAX)

static const cyaml_schema_value_t text_value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX)};

static const cyaml_schema_field_t variable_fields[] = {
    TEXT("name", struct kubeconfig_variable, name),
    TEXT("value", struct kubeconfig_variable, value),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t variable_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct kubeconfig_variable, variable_fields)};

static const cyaml_schema_field_t exec_fields[] = {
    TEXT("apiVersion", struct kubeconfig_exec, api_version),
    TEXT("command", struct kubeconfig_exec, command),
    CYAML_FIELD_SEQUENCE_COUNT("args", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, struct kubeconfig_exec, args, n_args,
                               &text_value, 0, ENTRIES_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("env", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, struct kubeconfig_exec, env, n_env,
                               &variable_value, 0, ENTRIES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t user_fields[] = {
    TEXT("client-certificate", struct kubeconfig_user, cert_file),
    TEXT("client-certificate-data", struct kubeconfig_user, cert_data),
    TEXT("client-key", struct kubeconfig_user, key_file),
    TEXT("client-key-data", struct kubeconfig_user, key_data),
    TEXT("token", struct kubeconfig_user, token),
    TEXT("tokenFile", struct kubeconfig_user, token_file),
    CYAML_FIELD_MAPPING_PTR("exec", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct kubeconfig_user, exec, exec_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t cluster_fields[] = {
    TEXT("server", struct kubeconfig_cluster, server),
    TEXT("certificate-authority", struct kubeconfig_cluster, ca_file),
    TEXT("certificate-authority-data", struct kubeconfig_cluster, ca_data),
    CYAML_FIELD_BOOL("insecure-skip-tls-verify", CYAML_FLAG_OPTIONAL, struct kubeconfig_cluster, is_insecure),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t context_fields[] = {
    TEXT("cluster", struct kubeconfig_context, cluster),
    TEXT("user", struct kubeconfig_context, user),
    TEXT("namespace", struct kubeconfig_context, namespace_),
    CYAML_FIELD_END,
};

#define NAMED(kind)                                                                                                                \
    static const cyaml_schema_field_t named_##kind##_fields[] = {                                                                  \
        TEXT("name", struct named_##kind, name),                                                                                   \
        CYAML_FIELD_MAPPING(#kind, CYAML_FLAG_OPTIONAL, struct named_##kind, kind, kind##_fields),                                 \
        CYAML_FIELD_END,                                                                                                           \
    };                                                                                                                             \
    static const cyaml_schema_value_t named_##kind##_value = {                                                                     \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct named_##kind, named_##kind##_fields)}
NAMED(cluster);
NAMED(user);
NAMED(context);

#define LIST(key, kind)                                                                                                            \
    CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, struct kubeconfig, kind##s, n_##kind##s,        \
                               &named_##kind##_value, 0, ENTRIES_MAX)

static const cyaml_schema_field_t config_fields[] = {
    TEXT("current-context", struct kubeconfig, current),
    LIST("clusters", cluster),
    LIST("users", user),
    LIST("contexts", context),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct kubeconfig, config_fields)};

static const cyaml_config_t yaml = {
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_IGNORE_UNKNOWN_KEYS | CYAML_CFG_NO_ALIAS,
};

int kubeconfig_load(const char *path, struct kubeconfig **ret_config, struct rw_error *err)
{
    cyaml_data_t *loaded = NULL;
    cyaml_err_t outcome = cyaml_load_file(path, &yaml, &config_schema, &loaded, NULL);
    if (outcome != CYAML_OK) {
        return rw_fail(err, CONFIG, "kubeconfig %s: %s", path, cyaml_strerror(outcome));
    }
    if (!loaded) {
        return rw_fail(err, CONFIG, "kubeconfig %s is empty", path);
    }
    *ret_config = loaded;
    return 0;
}

void kubeconfig_free(struct kubeconfig *config)
{
    if (config) {
        (void)cyaml_free(&yaml, &config_schema, config, 0);
    }
}

static bool is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

#define FIND(config, kind, wanted)                                                                                                 \
    __extension__({                                                                                                                \
        const struct kubeconfig_##kind *_found = NULL;                                                                             \
        for (unsigned _i = 0; _i < (config)->n_##kind##s && !_found; _i++) {                                                       \
            _found = is_same((config)->kind##s[_i].name, (wanted)) ? &(config)->kind##s[_i].kind : NULL;                           \
        }                                                                                                                          \
        _found;                                                                                                                    \
    })

int kubeconfig_current(const struct kubeconfig *config, const struct kubeconfig_context **ret_context,
                       const struct kubeconfig_cluster **ret_cluster, const struct kubeconfig_user **ret_user, struct rw_error *err)
{
    const struct kubeconfig_context *context = FIND(config, context, config->current);
    if (!context) {
        return rw_fail(err, CONFIG, "kubeconfig: no context named %s", config->current ? config->current : "by current-context");
    }
    const struct kubeconfig_cluster *cluster = FIND(config, cluster, context->cluster);
    const struct kubeconfig_user *user = FIND(config, user, context->user);
    if (!cluster || !cluster->server || !user) {
        return rw_fail(err, CONFIG, "kubeconfig: context %s lacks its %s", config->current, cluster ? "user" : "cluster");
    }
    *ret_context = context;
    *ret_cluster = cluster;
    *ret_user = user;
    return 0;
}
