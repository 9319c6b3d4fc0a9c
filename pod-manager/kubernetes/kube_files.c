/* Reading small credential files. */
#include "kube_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <rw/auto.h>

int kube_file_read(const char *path, size_t len_max, char **ret_text, struct rw_error *err)
{
    RW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rw_fail_sys(err, CONFIG, errno, "open %s", path);
    }
    RW_AUTO_FREE char *text = rw_xmalloc(len_max + 2);
    size_t len = 0;
    while (len <= len_max) {
        ssize_t got = read(fd, text + len, len_max + 1 - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rw_fail_sys(err, CONFIG, errno, "read %s", path);
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    if (len > len_max || memchr(text, '\0', len)) {
        return rw_fail(err, CONFIG, "%s is no text of at most %zu bytes", path, len_max);
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    text[len] = '\0';
    *ret_text = rw_take(text);
    return 0;
}
