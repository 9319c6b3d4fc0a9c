/* The system call filter of the code: a deny list, made once with libseccomp, kept as a plain BPF program so that loading it into
 * a child is one system call. */
#ifndef RUNNER_FILTER_H
#define RUNNER_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#include <rw/error.h>

struct filter_options {
    bool has_own_network;   /* a network namespace of its own: internet sockets reach only themselves, so they are permitted */
    bool is_memory_watched; /* no memory cgroup: refuse memory that no process's resident set shows */
};

/* *ret_program owned by the caller: filter_done. */
RW_NODISCARD int filter_build(const struct filter_options *options, struct sock_fprog *ret_program, struct rw_error *err);
void filter_done(struct sock_fprog *program);
/* Put it on the calling thread for good; no_new_privs must be set. */
RW_NODISCARD int filter_load(const struct sock_fprog *program, struct rw_error *err);

#endif
