/* The backends' conformance suite: the same cases against each backend (backend_conformance.c), and what they need to know about it
 * (subject_<backend>.c, registered by one line in subjects.c). */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "backend.h"
#include "config.h"

struct subject {
    const char *backend;
    /* Why it cannot be tested here; NULL when it can. */
    const char *(*missing)(void);
    /* The backend's section of the configuration, for an installation that no other test run shares; folder: absolute, empty,
     * short. */
    void (*configure)(struct manager_config *config, const char *folder);
    /* Changes the configuration so that pods are made that never become ready. */
    void (*spoil)(struct manager_config *config);
    /* Ends a pod from outside, as an administrator or the kernel might. */
    void (*murder)(const struct backend_listed *pod);
    /* What can be seen of the installation's pods without the backend: processes, containers, sockets, records. */
    size_t (*traces)(const struct manager_config *config);
    bool is_adopting; /* its pods outlive the manager, and the next one adopts them */
};

extern const struct subject subject_docker;
extern const struct subject subject_kubernetes;
extern const struct subject subject_local;

/* Runs a program of this machine without input and output; its exit status, -1 when it could not be run or was killed. */
int subject_run(const char *const *argv);

const struct subject *subject_find(const char *backend);

#endif
