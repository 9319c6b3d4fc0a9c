/* The sandbox's init: the first process of its namespaces. */
#ifndef RUNNER_INIT_H
#define RUNNER_INIT_H

#include "sandbox.h"

/* In the cloned child; never returns. socket_fd: the channel to the runner, whose end closes everything. */
_Noreturn void init_main(const struct sandbox_config *config, int socket_fd);

#endif
