/* The container that a pod is: everything that keeps its promises in one place. */
#ifndef ENGINE_CONTAINER_H
#define ENGINE_CONTAINER_H

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

#define ENGINE_LABEL_POOL     "dev.runwave.pool" /* whose it is: the configuration's instance */
#define ENGINE_LABEL_POD      "dev.runwave.pod"
#define ENGINE_LABEL_LANGUAGE "dev.runwave.language"

/* Where the pod's own folder is inside, and what is in it. */
#define ENGINE_POD_FOLDER  "/run/runwave"
#define ENGINE_POD_SOCKET  "pod.sock"
#define ENGINE_SECRET_FILE "secret"
#define ENGINE_POD_ADDRESS ("unix:" ENGINE_POD_FOLDER "/" ENGINE_POD_SOCKET)
#define ENGINE_POD_SECRET  (ENGINE_POD_FOLDER "/" ENGINE_SECRET_FILE)

struct engine_making { /* texts borrowed */
    const char *pod;
    const char *instance;
    const char *language;
    const char *image;
    const char *folder;   /* the pod's own, as the engine's machine names it */
    const char *runtime;  /* NULL: the engine's default */
    const char *required; /* layers of the sandbox without which the runner does not start; "": none */
    const char *plan;     /* what the runner starts ahead; NULL: nothing */
    bool has_namespaces;  /* the runner makes sandboxes of namespaces inside */
    uint32_t slots;       /* tasks at a time */
    uint32_t uses;        /* tasks in its life; 0: no end */
    uint32_t uid;         /* user and group id of the runner */
    uint64_t memory_bytes;
    uint64_t disk_bytes; /* of each private folder; memory as well */
    uint64_t processes;
    uint32_t cpu_milli;
};

/* The body of /containers/create. Owned by the caller. */
cJSON *engine_container_make(const struct engine_making *making);

#endif
