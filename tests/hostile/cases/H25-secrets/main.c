#define _GNU_SOURCE
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

static void try_all(const char *pid)
{
    static const char *const files[] = {"environ", "maps", "smaps", "mem", "auxv", "stack", "syscall", "io", "pagemap", "fd", "fdinfo",
                                        "map_files", "root/etc", "cwd/.", "exe", "task/1/environ", "ns/user", "timerslack_ns", "patch_state"};
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        char bytes[64];
        snprintf(path, sizeof(path), "/proc/%s/%s", pid, files[i]);
        int fd = open(path, O_RDONLY);
        int is_folder = fd >= 0 && read(fd, bytes, 0) < 0 && errno == EISDIR;
        DIR *folder = is_folder ? opendir(path) : NULL;
        if ((folder && readdir(folder)) || (fd >= 0 && !is_folder && read(fd, bytes, sizeof(bytes)) > 0)) {
            printf("ESCAPED: read %s\n", path);
            escapes++;
        }
    }
}

int main(void)
{
    try_all("1");
    char parent[16];
    snprintf(parent, sizeof(parent), "%d", getppid());
    if (getppid() > 0) {
        try_all(parent);
    }
    for (char **variable = environ; *variable; variable++) {
        puts(*variable);
    }
    return escapes != 0;
}
