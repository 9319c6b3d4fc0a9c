/* Capabilities, by the plain system calls: a static program needs no library for four of them. */
#ifndef RUNNER_PRIVILEGES_H
#define RUNNER_PRIVILEGES_H

#include <stdint.h>

#include <rw/error.h>

#define PRIVILEGE(capability) (UINT64_C(1) << (capability))

/* Keep only these capabilities of those held (0: none); empty the bounding and ambient sets, so that no exec brings any back. */
RW_NODISCARD int privileges_keep(uint64_t capabilities, struct rw_error *err);
/* privileges_keep(0) and no_new_privs. */
RW_NODISCARD int privileges_drop_all(struct rw_error *err);

#endif
