/* The sandbox's file tree: built in a fresh mount namespace from descriptors, then pivoted into. */
#ifndef RUNNER_ROOTFS_H
#define RUNNER_ROOTFS_H

#include <stdint.h>

#include <rw/error.h>

struct rootfs {
    int work_fd;    /* the work folder */
    int proc_fd;    /* an unattached /proc of the new process namespace */
    int scratch_fs; /* a handle on the one tmpfs behind the work folder, /tmp and /dev/shm, to change its size */
};

/* Build and pivot; the calling process must be the first of fresh user, mount and process namespaces. All descriptors of
 * *ret_rootfs are close-on-exec and the caller's. UNSUPPORTED with a remedy where the kernel refuses. */
RW_NODISCARD int rootfs_build(struct rootfs *ret_rootfs, struct rw_error *err);
/* Bound what may be written to the private folders (never below what is there). */
RW_NODISCARD int rootfs_limit_disk(const struct rootfs *rootfs, uint64_t disk_bytes, struct rw_error *err);

#endif
