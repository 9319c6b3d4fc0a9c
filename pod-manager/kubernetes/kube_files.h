/* Small files with credentials: bounded, whole, NUL-terminated. */
#ifndef KUBE_FILES_H
#define KUBE_FILES_H

#include <stddef.h>

#include <rw/error.h>

/* CONFIG when it cannot be read or holds more than len_max bytes or a NUL. *ret_text owned by the caller, trailing newlines removed. */
RW_NODISCARD int kube_file_read(const char *path, size_t len_max, char **ret_text, struct rw_error *err);

#endif
