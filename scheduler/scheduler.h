/* The scheduler: owner of everything, from start to drain. For main.c and the tests. */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include <rw/daemon.h>

extern const struct rw_daemon scheduler_daemon;

#endif
