/* The folder with the pods' folders. A pod's folder can be written by whoever reaches it, for its container has a user id of
 * its own; nobody but this daemon and the schedulers reaches it, for run_dir itself is closed to others. Nothing in it is
 * followed, opened or trusted: the socket is connected to, and names are removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <rw/auto.h>

#include "docker.h"
#include "engine_container.h"

#define SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

enum { OTHERS = 0007, ENTRIES_MAX = 1000 };

static int open_folder(struct docker *docker, struct rw_error *err)
{
    const char *given = docker->config->run_dir;
    struct stat status;
    if (mkdir(given, 0700) && errno != EEXIST) {
        return rw_fail_sys(err, CONFIG, errno, "docker.run_dir: make %s", given);
    }
    docker->run_dir = realpath(given, NULL);
    docker->run_dir_fd = docker->run_dir ? open(docker->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (docker->run_dir_fd < 0 || fstat(docker->run_dir_fd, &status)) {
        return rw_fail_sys(err, CONFIG, errno, "docker.run_dir: open %s", given);
    }
    size_t len_max = SOCKET_PATH_BYTES - BACKEND_NAME_BYTES - sizeof("//" ENGINE_POD_SOCKET);
    if (strlen(docker->run_dir) > len_max) {
        return rw_fail(err, CONFIG, "docker.run_dir: %s has %zu bytes, but a unix socket's path leaves room for %zu",
                       docker->run_dir, strlen(docker->run_dir), len_max);
    }
    if (status.st_uid != geteuid() || (status.st_mode & OTHERS) != 0) {
        return rw_fail(err, CONFIG, "docker.run_dir: %s must belong to this user and be closed to others (mode 0700 or 0750)",
                       docker->run_dir);
    }
    return 0;
}

int docker_folder_open(struct docker *docker, struct rw_error *err)
{
    if (open_folder(docker, err)) {
        return -1;
    }
    docker->lock_fd = openat(docker->run_dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (docker->lock_fd < 0) {
        return rw_fail_sys(err, CONFIG, errno, "docker.run_dir: make %s/lock", docker->run_dir);
    }
    if (flock(docker->lock_fd, LOCK_EX | LOCK_NB)) {
        return rw_fail(err, CONFIG, "docker.run_dir: %s is in use by another pod-manager", docker->run_dir);
    }
    return 0;
}

void docker_folder_close(struct docker *docker)
{
    if (docker->lock_fd >= 0) {
        (void)close(docker->lock_fd);
    }
    if (docker->run_dir_fd >= 0) {
        (void)close(docker->run_dir_fd);
    }
    free(docker->run_dir);
}

static int write_secret(int folder_fd, const struct docker_pod *pod, struct rw_error *err)
{
    RW_AUTO_FD int fd = openat(folder_fd, ENGINE_SECRET_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0 || write(fd, pod->secret, sizeof(pod->secret)) != (ssize_t)sizeof(pod->secret) || fchmod(fd, 0444)) {
        return rw_fail_sys(err, IO, errno, "write the secret of %s", pod->name);
    }
    return 0;
}

int docker_folder_make(struct docker *docker, const struct docker_pod *pod, struct rw_error *err)
{
    if (mkdirat(docker->run_dir_fd, pod->name, 0700)) {
        return rw_fail_sys(err, IO, errno, "make the folder of %s", pod->name);
    }
    RW_AUTO_FD int fd = openat(docker->run_dir_fd, pod->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0777)) {
        return rw_fail_sys(err, IO, errno, "open the folder of %s", pod->name);
    }
    return write_secret(fd, pod, err);
}

/* The runner leaves at most its socket. Should there be more (code that has broken out of every fence), what can be removed without
 * going deeper is, and the rest stays, out of anybody's way. */
void docker_folder_remove(struct docker *docker, const char *pod_name)
{
    int fd = openat(docker->run_dir_fd, pod_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry = NULL;
    for (int i = 0; folder && i < ENTRIES_MAX && (entry = readdir(folder)); i++) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlinkat(fd, entry->d_name, 0)) {
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    if (folder) {
        (void)closedir(folder);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    (void)unlinkat(docker->run_dir_fd, pod_name, AT_REMOVEDIR);
}

void docker_folder_sweep(struct docker *docker)
{
    int fd = openat(docker->run_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        const struct docker_pod *pod = NULL;
        HASH_FIND_STR(docker->pods, entry->d_name, pod);
        if (!pod && entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0) {
            docker_folder_remove(docker, entry->d_name);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
}

void docker_folder_address(const struct docker *docker, const char *pod_name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s/" ENGINE_POD_SOCKET, docker->run_dir, pod_name);
}

/* Whether the runner listens. It takes whoever leaves without a word for nobody. */
bool docker_folder_answers(const struct docker *docker, const char *pod_name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    docker_folder_address(docker, pod_name, address.sun_path, sizeof(address.sun_path));
    RW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}
