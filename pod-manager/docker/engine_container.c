/* The body of a create. What stands here is the sandbox's outer wall: no network but the container's own loopback, no
 * capability, no way to gain one, a root file system that cannot be written, and a bound for memory, processor, processes and
 * files. The image says what is inside; it can loosen none of it.
 *
 * The only way in and out is a unix socket in a folder that this container and RunWave share. */
#include "engine_container.h"

#include <inttypes.h>
#include <stdio.h>

#include <rw/auto.h>
#include <rw/json.h>

enum {
    FILES_MAX = 65536, /* in each private folder */
    OOM_SCORE = 900,   /* when the machine runs out of memory, pods go before daemons */
    NANO_CPUS_A_MILLI = 1000000,
    OPEN_FILES_MAX = 4096,
};

static void add_strings(cJSON *object, const char *key, const char *const *texts, size_t n)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
    }
}

static void add_command(cJSON *container, const struct engine_making *making)
{
    char slots[16];
    char uses[16];
    (void)snprintf(slots, sizeof(slots), "%u", making->slots);
    (void)snprintf(uses, sizeof(uses), "%u", making->uses);
    const char *const argv[] = {"--pod",         making->pod,
                                "--listen",      ENGINE_POD_ADDRESS,
                                "--secret-file", ENGINE_POD_SECRET,
                                "--sandbox",     making->has_namespaces ? "namespaces" : "container",
                                "--slots",       slots,
                                "--uses",        uses};
    bool is_one_shot = making->slots == 1 && making->uses == 1;
    add_strings(container, "Cmd", argv, is_one_shot ? RW_ARRAY_SIZE(argv) - 4 : RW_ARRAY_SIZE(argv));
}

/* Nothing that is secret. By environment and not by argument, which a runner of an older image would refuse. */
static void add_environment(cJSON *container, const struct engine_making *making)
{
    const struct {
        const char *name;
        const char *value;
    } rows[] = {{"RUNWAVE_REQUIRE", making->required}, {"RUNWAVE_WARM", making->plan}};
    cJSON *environment = cJSON_AddArrayToObject(container, "Env");
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        if (rows[i].value && rows[i].value[0]) {
            RW_AUTO_FREE char *text = rw_xasprintf("%s=%s", rows[i].name, rows[i].value);
            cJSON_AddItemToArray(environment, cJSON_CreateString(text));
        }
    }
}

/* Where the code may write. tmpfs is not executable by itself, and compiled programs run from there. */
static void add_folders(cJSON *host, const struct engine_making *making)
{
    static const char *const folders[] = {"/box", "/tmp"};
    char options[160];
    (void)snprintf(options, sizeof(options), "rw,exec,nosuid,nodev,mode=0700,uid=%u,gid=%u,size=%" PRIu64 ",nr_inodes=%d",
                   making->uid, making->uid, making->disk_bytes, FILES_MAX);
    cJSON *tmpfs = cJSON_AddObjectToObject(host, "Tmpfs");
    for (size_t i = 0; i < RW_ARRAY_SIZE(folders); i++) {
        cJSON_AddStringToObject(tmpfs, folders[i], options);
    }
    rw_json_add_int(host, "ShmSize", (int64_t)making->disk_bytes);
    cJSON *mount = cJSON_CreateObject();
    cJSON_AddStringToObject(mount, "Type", "bind");
    cJSON_AddStringToObject(mount, "Source", making->folder);
    cJSON_AddStringToObject(mount, "Target", ENGINE_POD_FOLDER);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(host, "Mounts"), mount);
}

static void add_limit(cJSON *limits, const char *name, int64_t value)
{
    cJSON *limit = cJSON_CreateObject();
    cJSON_AddStringToObject(limit, "Name", name);
    rw_json_add_int(limit, "Soft", value);
    rw_json_add_int(limit, "Hard", value);
    cJSON_AddItemToArray(limits, limit);
}

static void add_bounds(cJSON *host, const struct engine_making *making)
{
    rw_json_add_int(host, "Memory", (int64_t)making->memory_bytes);
    rw_json_add_int(host, "MemorySwap", (int64_t)making->memory_bytes); /* both together: no swap */
    rw_json_add_int(host, "NanoCpus", (int64_t)making->cpu_milli * NANO_CPUS_A_MILLI);
    rw_json_add_int(host, "PidsLimit", (int64_t)making->processes);
    rw_json_add_int(host, "OomScoreAdj", OOM_SCORE);
    cJSON *limits = cJSON_AddArrayToObject(host, "Ulimits");
    add_limit(limits, "core", 0);
    add_limit(limits, "nofile", OPEN_FILES_MAX);
}

/* The engine's filter and its masks over /proc forbid a fresh /proc and every namespace. Where the runner makes namespaces of its
 * own, its own filter and its own tree stand between the code and what is opened here. */
static void add_fences(cJSON *host, const struct engine_making *making)
{
    static const char *const all[] = {"ALL"};
    static const char *const security[] = {"no-new-privileges", "seccomp=unconfined", "apparmor=unconfined"};
    add_strings(host, "CapDrop", all, RW_ARRAY_SIZE(all));
    add_strings(host, "SecurityOpt", security, making->has_namespaces ? RW_ARRAY_SIZE(security) : 1);
    if (making->has_namespaces) {
        (void)cJSON_AddArrayToObject(host, "MaskedPaths");
        (void)cJSON_AddArrayToObject(host, "ReadonlyPaths");
    }
    cJSON_AddStringToObject(host, "NetworkMode", "none");
    cJSON_AddStringToObject(host, "IpcMode", "private");
    cJSON_AddTrueToObject(host, "ReadonlyRootfs");
    cJSON_AddFalseToObject(host, "Privileged");
}

cJSON *engine_container_make(const struct engine_making *making)
{
    char user[32];
    cJSON *container = cJSON_CreateObject();
    (void)snprintf(user, sizeof(user), "%u:%u", making->uid, making->uid);
    cJSON_AddStringToObject(container, "Image", making->image);
    cJSON_AddStringToObject(container, "User", user);
    cJSON_AddStringToObject(container, "WorkingDir", "/");
    cJSON_AddStringToObject(container, "Hostname", "sandbox");
    add_command(container, making);
    add_environment(container, making);
    cJSON *labels = cJSON_AddObjectToObject(container, "Labels");
    cJSON_AddStringToObject(labels, ENGINE_LABEL_POOL, making->instance);
    cJSON_AddStringToObject(labels, ENGINE_LABEL_POD, making->pod);
    cJSON_AddStringToObject(labels, ENGINE_LABEL_LANGUAGE, making->language);
    cJSON *host = cJSON_AddObjectToObject(container, "HostConfig");
    if (making->runtime) {
        cJSON_AddStringToObject(host, "Runtime", making->runtime);
    }
    cJSON_AddStringToObject(cJSON_AddObjectToObject(host, "LogConfig"), "Type", "none");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(host, "RestartPolicy"), "Name", "no");
    add_fences(host, making);
    add_bounds(host, making);
    add_folders(host, making);
    return container;
}
