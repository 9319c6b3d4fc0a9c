/* The docker backend: a pod is a container of the Docker Engine, without any network, reached by a unix socket in a folder of
 * its own.
 *
 *   backend_docker.c   the table; whether pods can be made: the engine's answer, its events, what an earlier instance has left
 *   docker_pod.c       one pod's life: created, started, ready, ended, removed
 *   docker_folder.c    the folder that the pods' folders are in
 *   docker/            the engine's client, and the container that a pod is; knows nothing of all this
 *
 * run_dir holds one folder a pod, which is all of run_dir that its container sees: the secret, until the runner has read and
 * removed it, and the runner's socket. The engine names that folder by the path on its own machine: where run_dir is a volume,
 * the engine says where that is. Nothing else is written down: pods do not outlive their manager, and what a killed one has
 * left is known by its label. */
#ifndef DOCKER_H
#define DOCKER_H

#include <uthash.h>

#include <rw/backoff.h>
#include <rw/language.h>

#include "backend.h"
#include "config.h"
#include "engine.h"

enum docker_step {
    DOCKER_CREATING, /* asked for; the outcome is not known */
    DOCKER_STARTING,
    DOCKER_COMING, /* started; not ready yet */
    DOCKER_READY,
    DOCKER_ENDING, /* to be removed, until it is */
};

struct docker;

struct docker_pod {
    UT_hash_handle hh; /* by name */
    struct docker *docker;
    char name[BACKEND_NAME_BYTES];
    char language[BACKEND_NAME_BYTES];
    enum docker_step step;
    uint8_t secret[RW_POD_SECRET_BYTES];
    int slot;                  /* of user ids; -1: none */
    bool is_ours;              /* the manager knows it; else an earlier instance's */
    bool is_calling;           /* one call at a time */
    bool is_dead;              /* said by an event or a list: to be looked at */
    bool is_listed;            /* by the list under way */
    int64_t started_ms;        /* when the engine said so; 0: not yet */
    int64_t next_ms;           /* when the call is to be made again; 0: not at all */
    struct rw_backoff backoff; /* of the calls */
    enum backend_reason reason;
    char detail[ENGINE_DETAIL_BYTES];
};

struct docker {
    uv_loop_t *loop;
    const struct docker_config *config;
    const struct rw_catalogue *catalogue; /* for the languages' limits and plans; NULL: none given */
    const char *required;                 /* layers of the sandbox, for the runner; "": none */
    bool is_cold;                         /* nothing is started ahead of its job */
    struct backend_events events;
    struct engine *engine;
    struct docker_pod *pods;
    char *run_dir;
    int run_dir_fd;
    int lock_fd;
    char *folder_base; /* run_dir as the engine names it; NULL: not known yet */
    bool *slots;
    int n_slots;
    int next_slot;
    /* the connection */
    bool is_asking;    /* version, volume or list are under way */
    bool is_watching;  /* the stream of events is open */
    bool is_swept;     /* what an earlier instance has left is gone */
    int64_t watched_s; /* real time from which on events have been seen */
    int64_t asked_ms;  /* when the list under way was asked for */
    int64_t next_ms;   /* when to connect */
    struct rw_backoff backoff;
    bool is_told;
    bool is_usable_told;
    char told[RW_ERROR_MESSAGE_BYTES];
    /* the end */
    bool is_closing;
    int64_t close_by_ms;
    uv_timer_t timer; /* what the tick does, while closing; and what an event of the stream asks for */
};

/* docker_pod.c */
int docker_pod_create(struct docker *docker, const char *name, const char *language, struct rw_error *err);
void docker_pod_take(struct docker *docker, const char *name); /* one that an earlier instance has left: to be removed */
void docker_pod_end(struct docker_pod *pod);
void docker_pod_dead(struct docker_pod *pod);                 /* seen ended: the next tick looks why */
void docker_pod_vanished(struct docker_pod *pod);             /* not there any more; may free it */
void docker_pod_tick(struct docker_pod *pod, int64_t now_ms); /* may free it */

/* docker_folder.c */
int docker_folder_open(struct docker *docker, struct rw_error *err);
void docker_folder_close(struct docker *docker);
int docker_folder_make(struct docker *docker, const struct docker_pod *pod, struct rw_error *err);
void docker_folder_remove(struct docker *docker, const char *pod_name);
void docker_folder_sweep(struct docker *docker); /* folders of no pod that is known */
bool docker_folder_answers(const struct docker *docker, const char *pod_name);
void docker_folder_address(const struct docker *docker, const char *pod_name, char *out, size_t size);

#endif
