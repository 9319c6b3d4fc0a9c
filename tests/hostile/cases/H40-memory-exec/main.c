#define _GNU_SOURCE
#include "attack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

int main(int argc, char **argv)
{
    if (argc > 1) {
        char line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (status && fgets(line, sizeof(line), status)) {
            if (strncmp(line, "Seccomp:", 8) == 0) {
                printf("%.1s ", line + 9);
            }
        }
        MUST_FAIL(setuid(0));
        MUST_FAIL(unshare(0x10000000));
        MUST_FAIL(syscall(SYS_bpf, 0, 0, 0));
        return held();
    }
    static char program[1 << 21];
    int self = open("/proc/self/exe", O_RDONLY);
    ssize_t n = read(self, program, sizeof(program));
    int fd = memfd_create("program", 0);
    if (fd < 0) {
        puts("not to be had");
        return 0;
    }
    if (write(fd, program, (size_t)n) != n) {
        return 1;
    }
    fflush(stdout);
    char *args[] = {argv[0], "again", NULL};
    char *env[] = {NULL};
    fexecve(fd, args, env);
    puts("not to be had");
    return 0;
}
