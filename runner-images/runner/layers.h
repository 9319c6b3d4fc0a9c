/* The sandbox's layers by name: which are in force, and which somebody insists on.
 *
 *   namespaces          the runner's own namespaces around the code, not the pod's alone
 *   own_uid             the code has a host uid that nothing else has
 *   seccomp             the system call filter
 *   landlock=LEVEL      the kernel's Landlock, of that level or a higher one
 *   cgroup              a cgroup of the sandbox's own: memory, processes and CPU time exact. In force it reads cgroup=VERSION */
#ifndef RUNNER_LAYERS_H
#define RUNNER_LAYERS_H

#include <stdbool.h>

#include <rw/error.h>

enum layer { LAYER_NAMESPACES, LAYER_OWN_UID, LAYER_SECCOMP, LAYER_LANDLOCK, LAYER_CGROUP, _LAYER_MAX };

enum { LAYERS_TEXT_BYTES = 96, LAYER_VALUE_MAX = 99 };

/* 0: not there. For landlock the level, for cgroup the version (required: 1), else 1. */
struct layers {
    unsigned values[_LAYER_MAX];
};

/* "namespaces,own_uid,landlock=3"; "" is none. CONFIG. */
RW_NODISCARD int layers_parse(const char *text, struct layers *ret_layers, struct rw_error *err);
/* The same words; returns out. */
char *layers_format(const struct layers *layers, char out[static LAYERS_TEXT_BYTES]);
/* UNSUPPORTED, naming the first that is lacking and how to mend it. */
RW_NODISCARD int layers_check(const struct layers *in_force, const struct layers *required, struct rw_error *err);

#endif
