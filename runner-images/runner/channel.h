/* The socket between the runner and a sandbox's init: one datagram is one record, with descriptors beside it. Both ends are the
 * same program, so records cross as they lie in memory. */
#ifndef RUNNER_CHANNEL_H
#define RUNNER_CHANNEL_H

#include "sandbox.h"

RW_NODISCARD int channel_send(int fd, const void *record, size_t len, const int *fds, size_t n_fds, struct rw_error *err);
/* Receive a record of exactly len bytes. Descriptors (at most SANDBOX_FDS_MAX, close-on-exec) are the caller's.
 * Returns 1; 0 when nothing is there now; -1 when the peer is gone or broke the form. */
RW_NODISCARD int channel_receive(int fd, void *record, size_t len, int fds[static SANDBOX_FDS_MAX], size_t *ret_n_fds);

#endif
