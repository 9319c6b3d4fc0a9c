/* Files named on the command line. Reading is bounded by the buffer it goes to, so that /dev/zero costs no more than the bound. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { READ_BYTES = 65536 };

const char *source_name(const char *first_path, const char *path)
{
    const char *slash = strrchr(first_path, '/');
    size_t folder = slash ? (size_t)(slash - first_path) + 1 : 0;
    const char *name = path;
    if (strncmp(path, first_path, folder) == 0) {
        name = path + folder;
        while (strncmp(name, "./", 2) == 0) {
            name += 2;
        }
        if (rw_job_file_name_check(name, strlen(name), NULL) == 0) {
            return name;
        }
    }
    slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int source_read(const char *path, struct rw_buffer *out, struct rw_error *err)
{
    RW_AUTO_FD int opened = -1;
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0) {
        opened = open(path, O_RDONLY | O_CLOEXEC);
        if (opened < 0) {
            return errno == ENOENT ? rw_fail(err, NOT_FOUND, "there is no file %s", path)
                                   : rw_fail_sys(err, IO, errno, "open %s", path);
        }
        fd = opened;
    }
    RW_AUTO_FREE uint8_t *chunk = rw_xmalloc(READ_BYTES);
    for (;;) {
        ssize_t n = read(fd, chunk, READ_BYTES);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return rw_fail_sys(err, IO, errno, "read %s", path);
        }
        if (rw_buffer_append(out, chunk, (size_t)n, err) < 0) {
            return rw_error_wrap(err, "%s", path);
        }
    }
}
