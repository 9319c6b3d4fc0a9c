/* The job's files. Names were checked when the job was decoded, and each step here would refuse a bad one again: openat2 resolves
 * beneath the work folder only and follows no link of either kind. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_beneath(int dir_fd, const char *name, uint64_t flags, mode_t mode)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

/* The folder that the file belongs in, made where missing; *ret_base is the last part of the name. */
static int open_parent(int work_fd, const char *name, const char **ret_base, struct rw_error *err)
{
    RW_AUTO_FD int dir_fd = open_beneath(work_fd, ".", O_PATH | O_DIRECTORY, 0);
    const char *part = name;
    for (const char *slash; dir_fd >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
        RW_AUTO_FREE char *folder = rw_xstrndup(part, (size_t)(slash - part));
        if (mkdirat(dir_fd, folder, 0755) < 0 && errno != EEXIST) {
            return rw_fail_sys(err, IO, errno, "creating the folder of %s", name);
        }
        int next_fd = open_beneath(dir_fd, folder, O_PATH | O_DIRECTORY, 0);
        (void)close(dir_fd);
        dir_fd = next_fd;
    }
    if (dir_fd < 0) {
        return rw_fail_sys(err, FIELDS, errno, "the folder of %s", name);
    }
    *ret_base = part;
    return rw_take_fd(&dir_fd);
}

static int write_file(int work_fd, const struct rw_job_file *file, struct rw_error *err)
{
    if (rw_job_file_name_check(file->name, strlen(file->name), err) < 0) {
        return -1;
    }
    const char *base;
    RW_AUTO_FD int dir_fd = open_parent(work_fd, file->name, &base, err);
    if (dir_fd < 0) {
        return -1;
    }
    RW_AUTO_FD int fd = open_beneath(dir_fd, base, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) {
        return rw_fail_sys(err, FIELDS, errno, "creating %s", file->name);
    }
    for (size_t done = 0; done < file->content_len;) {
        ssize_t n = write(fd, file->content + done, file->content_len - done);
        if (n <= 0) {
            return rw_fail_sys(err, IO, errno, "writing %s", file->name);
        }
        done += (size_t)n;
    }
    return 0;
}

int files_write(int work_fd, const struct rw_job *job, struct rw_error *err)
{
    for (size_t i = 0; i < job->n_files; i++) {
        if (write_file(work_fd, &job->files[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}
