/* The pod-manager's configuration: the schema, the defaults, the ranges. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <rw/auto.h>

#include "backend.h"

static const cyaml_schema_field_t scaling_fields[] = {
    CYAML_FIELD_UINT("rate_window_ms", CYAML_FLAG_OPTIONAL, struct scaling_config, rate_window_ms),
    CYAML_FIELD_UINT("shrink_delay_ms", CYAML_FLAG_OPTIONAL, struct scaling_config, shrink_delay_ms),
    CYAML_FIELD_UINT("shrink_step_ms", CYAML_FLAG_OPTIONAL, struct scaling_config, shrink_step_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t level_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 16)};

static const cyaml_schema_field_t isolation_fields[] = {
    CYAML_FIELD_STRING_PTR("default", CYAML_FLAG_OPTIONAL, struct isolation_config, usual, 1, 16),
    CYAML_FIELD_SEQUENCE_COUNT("offered", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct isolation_config, offered, n_offered,
                               &level_schema, 1, _RW_ISOLATION_MAX),
    CYAML_FIELD_BOOL("lazy", CYAML_FLAG_OPTIONAL, struct isolation_config, lazy),
    CYAML_FIELD_UINT("slots", CYAML_FLAG_OPTIONAL, struct isolation_config, slots),
    CYAML_FIELD_UINT("uses", CYAML_FLAG_OPTIONAL, struct isolation_config, uses),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t require_fields[] = {
    CYAML_FIELD_STRING_PTR("isolation", CYAML_FLAG_OPTIONAL, struct require_config, isolation, 1, 32),
    CYAML_FIELD_BOOL("own_uid", CYAML_FLAG_OPTIONAL, struct require_config, own_uid),
    CYAML_FIELD_BOOL("seccomp", CYAML_FLAG_OPTIONAL, struct require_config, seccomp),
    CYAML_FIELD_UINT("landlock_abi", CYAML_FLAG_OPTIONAL, struct require_config, landlock_abi),
    CYAML_FIELD_BOOL("cgroup", CYAML_FLAG_OPTIONAL, struct require_config, cgroup),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t local_fields[] = {
    CYAML_FIELD_STRING_PTR("run_dir", CYAML_FLAG_OPTIONAL, struct local_config, run_dir, 1, 4096),
    CYAML_FIELD_STRING_PTR("runner", CYAML_FLAG_OPTIONAL, struct local_config, runner, 1, 4096),
    CYAML_FIELD_STRING_PTR("sandbox", CYAML_FLAG_OPTIONAL, struct local_config, sandbox, 1, 32),
    CYAML_FIELD_STRING_PTR("cgroup", CYAML_FLAG_OPTIONAL, struct local_config, cgroup, 0, 128),
    CYAML_FIELD_UINT("uid_base", CYAML_FLAG_OPTIONAL, struct local_config, uid_base),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t kubernetes_fields[] = {
    CYAML_FIELD_STRING_PTR("kubeconfig", CYAML_FLAG_OPTIONAL, struct kubernetes_config, kubeconfig, 1, 4096),
    CYAML_FIELD_STRING_PTR("namespace", CYAML_FLAG_OPTIONAL, struct kubernetes_config, namespace_, 1, 63),
    CYAML_FIELD_STRING_PTR("instance", CYAML_FLAG_OPTIONAL, struct kubernetes_config, instance, 1, 63),
    CYAML_FIELD_STRING_PTR("anchor", CYAML_FLAG_OPTIONAL, struct kubernetes_config, anchor, 1, 253),
    CYAML_FIELD_STRING_PTR("lease", CYAML_FLAG_OPTIONAL, struct kubernetes_config, lease, 1, 253),
    CYAML_FIELD_UINT("active_deadline_s", CYAML_FLAG_OPTIONAL, struct kubernetes_config, active_deadline_s),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct kubernetes_config, port),
    CYAML_FIELD_UINT("relist_ms", CYAML_FLAG_OPTIONAL, struct kubernetes_config, relist_ms),
    CYAML_FIELD_UINT("creating_max", CYAML_FLAG_OPTIONAL, struct kubernetes_config, creating_max),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t docker_fields[] = {
    CYAML_FIELD_STRING_PTR("socket", CYAML_FLAG_OPTIONAL, struct docker_config, socket, 1, 107),
    CYAML_FIELD_STRING_PTR("run_dir", CYAML_FLAG_OPTIONAL, struct docker_config, run_dir, 1, 4096),
    CYAML_FIELD_STRING_PTR("volume", CYAML_FLAG_OPTIONAL, struct docker_config, volume, 1, 255),
    CYAML_FIELD_STRING_PTR("instance", CYAML_FLAG_OPTIONAL, struct docker_config, instance, 1, 32),
    CYAML_FIELD_STRING_PTR("image", CYAML_FLAG_OPTIONAL, struct docker_config, image, 1, 255),
    CYAML_FIELD_STRING_PTR("runtime", CYAML_FLAG_OPTIONAL, struct docker_config, runtime, 1, 63),
    CYAML_FIELD_STRING_PTR("sandbox", CYAML_FLAG_OPTIONAL, struct docker_config, sandbox, 1, 32),
    CYAML_FIELD_UINT("uid_base", CYAML_FLAG_OPTIONAL, struct docker_config, uid_base),
    CYAML_FIELD_UINT("cpu_milli", CYAML_FLAG_OPTIONAL, struct docker_config, cpu_milli),
    CYAML_FIELD_UINT("creating_max", CYAML_FLAG_OPTIONAL, struct docker_config, creating_max),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t manager_fields[] = {
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct manager_config, log, rw_config_log_fields),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct manager_config, http, rw_config_http_fields),
    CYAML_FIELD_STRING_PTR("languages_dir", CYAML_FLAG_DEFAULT, struct manager_config, languages_dir, 1, 4096),
    CYAML_FIELD_STRING_PTR("token_file", CYAML_FLAG_OPTIONAL, struct manager_config, token_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("backend", CYAML_FLAG_OPTIONAL, struct manager_config, backend, 1, 32),
    CYAML_FIELD_BOOL("cold", CYAML_FLAG_OPTIONAL, struct manager_config, cold),
    CYAML_FIELD_UINT("pods_max", CYAML_FLAG_OPTIONAL, struct manager_config, pods_max),
    CYAML_FIELD_UINT("waiting_max", CYAML_FLAG_OPTIONAL, struct manager_config, waiting_max),
    CYAML_FIELD_UINT("lease_start_ms", CYAML_FLAG_OPTIONAL, struct manager_config, lease_start_ms),
    CYAML_FIELD_UINT("ready_timeout_ms", CYAML_FLAG_OPTIONAL, struct manager_config, ready_timeout_ms),
    CYAML_FIELD_UINT("drain_ms", CYAML_FLAG_OPTIONAL, struct manager_config, drain_ms),
    CYAML_FIELD_MAPPING("scaling", CYAML_FLAG_OPTIONAL, struct manager_config, scaling, scaling_fields),
    CYAML_FIELD_MAPPING("isolation", CYAML_FLAG_OPTIONAL, struct manager_config, isolation, isolation_fields),
    CYAML_FIELD_MAPPING("require", CYAML_FLAG_OPTIONAL, struct manager_config, require, require_fields),
    CYAML_FIELD_MAPPING("local", CYAML_FLAG_OPTIONAL, struct manager_config, local, local_fields),
    CYAML_FIELD_MAPPING("kubernetes", CYAML_FLAG_OPTIONAL, struct manager_config, kubernetes, kubernetes_fields),
    CYAML_FIELD_MAPPING("docker", CYAML_FLAG_OPTIONAL, struct manager_config, docker, docker_fields),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t manager_config_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct manager_config, manager_fields)};

enum { LANDLOCK_ABI_MAX = 99 };

struct number { /* 0 means "not given" */
    const char *name;
    uint32_t *value;
    uint32_t usual;
    uint32_t min;
    uint32_t max;
};

static int prepare_numbers(struct manager_config *config, struct rw_error *err)
{
    const struct number numbers[] = {
        {"pods_max", &config->pods_max, 64, 1, 10000},
        {"waiting_max", &config->waiting_max, 4096, 1, 100000},
        {"lease_start_ms", &config->lease_start_ms, 15000, 100, 3600000},
        {"ready_timeout_ms", &config->ready_timeout_ms, 15000, 100, 600000},
        {"drain_ms", &config->drain_ms, 30000, 1, 3600000},
        {"isolation.slots", &config->isolation.slots, 4, 1, 64},
        {"isolation.uses", &config->isolation.uses, 1000, 1, 1000000},
        {"scaling.rate_window_ms", &config->scaling.rate_window_ms, 10000, 100, 3600000},
        {"scaling.shrink_delay_ms", &config->scaling.shrink_delay_ms, 30000, 1, 3600000},
        {"scaling.shrink_step_ms", &config->scaling.shrink_step_ms, 5000, 1, 3600000},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(numbers); i++) {
        if (*numbers[i].value == 0) {
            *numbers[i].value = numbers[i].usual;
        }
        if (*numbers[i].value < numbers[i].min || *numbers[i].value > numbers[i].max) {
            return rw_fail(err, CONFIG, "%s: must be %u to %u", numbers[i].name, numbers[i].min, numbers[i].max);
        }
    }
    return 0;
}

static int offer(struct isolation_config *isolation, const char *key, const char *name, const struct backend_class *class,
                 struct rw_error *err)
{
    enum rw_isolation level = rw_isolation_parse(name);
    if (level == _RW_ISOLATION_INVALID) {
        return rw_fail(err, CONFIG, "isolation.%s: must be pod or sandbox", key);
    }
    if (level == RW_ISOLATION_SANDBOX && !class->has_sandbox_pods) {
        return rw_fail(err, CONFIG, "isolation.%s: the backend %s makes no pods of the level sandbox", key, class->name);
    }
    isolation->is_offered[level] = true;
    return 0;
}

static int prepare_isolation(struct isolation_config *isolation, const struct backend_class *class, struct rw_error *err)
{
    if (!isolation->usual) {
        isolation->usual = rw_xstrdup(rw_isolation_name(RW_ISOLATION_POD));
    }
    for (unsigned i = 0; i < isolation->n_offered; i++) {
        if (offer(isolation, "offered", isolation->offered[i], class, err)) {
            return -1;
        }
    }
    isolation->level = rw_isolation_parse(isolation->usual);
    if (isolation->level != _RW_ISOLATION_INVALID && isolation->n_offered > 0 && !isolation->is_offered[isolation->level]) {
        return rw_fail(err, CONFIG, "isolation.default: %s is not among those offered", isolation->usual);
    }
    return offer(isolation, "default", isolation->usual, class, err);
}

/* In the words of runwave-runner --require. */
static int prepare_required(struct manager_config *config, struct rw_error *err)
{
    const struct require_config *require = &config->require;
    bool is_namespaces = require->isolation && strcmp(require->isolation, "namespaces") == 0;
    char landlock[24] = "";
    if (require->isolation && !is_namespaces && strcmp(require->isolation, "container") != 0) {
        return rw_fail(err, CONFIG, "require.isolation: must be namespaces or container");
    }
    if (require->landlock_abi > LANDLOCK_ABI_MAX) {
        return rw_fail(err, CONFIG, "require.landlock_abi: must be at most %d", LANDLOCK_ABI_MAX);
    }
    if (require->landlock_abi > 0) {
        (void)snprintf(landlock, sizeof(landlock), ",landlock=%u", require->landlock_abi);
    }
    (void)snprintf(config->required, sizeof(config->required), "%s%s%s%s%s", is_namespaces ? ",namespaces" : "",
                   require->own_uid ? ",own_uid" : "", require->seccomp ? ",seccomp" : "", landlock,
                   require->cgroup ? ",cgroup" : "");
    /* Each brought a comma along, the first one, too. */
    memmove(config->required, config->required + (config->required[0] == ','),
            strlen(config->required) + (config->required[0] != ','));
    return 0;
}

int manager_config_prepare(void *raw, struct rw_error *err)
{
    struct manager_config *config = raw;
    rw_config_log_defaults(&config->log);
    rw_config_http_defaults(&config->http, "127.0.0.1:8081");
    if (!config->backend) {
        config->backend = rw_xstrdup("local");
    }
    const struct backend_class *class = backend_find(config->backend);
    if (!class) {
        return rw_fail(err, CONFIG, "backend: there is none of the name \"%s\"", config->backend);
    }
    return prepare_numbers(config, err) || prepare_isolation(&config->isolation, class, err) || prepare_required(config, err) ||
                   class->prepare(config, err)
               ? -1
               : 0;
}
