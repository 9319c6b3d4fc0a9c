/* A second look from inside: tries everything and prints what was let through, one line each, for the list that is checked in.
 *
 *   call NUMBER reached      the kernel did something with it: neither EPERM nor ENOSYS
 *   call NUMBER succeeded    with at least one set of arguments
 *   read PATH, write PATH    of /proc, /sys and /dev; numbers of processes and descriptors are N
 *   socket FAMILY TYPE PROTOCOL, socketpair ..., listen FAMILY
 *   ioctl OBJECT REQUEST
 *
 * Arguments name the parts: calls, files, sockets, ioctls; all without any. Every attempt is a child of its own with a deadline. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 60, PATIENCE = 50, IOCTL_DEADLINE_MS = 20000, CALLS = 600, DEPTH_MAX = 5, TRIES = 6 };

struct shared {
    int state; /* 0: not yet, 1: called, 2: answered */
    long result;
    int error;
};

static struct shared *shared;

/* Runs what in a child; false when it did not end in time. Nothing of it may stay. */
static int run(void (*what)(long, long), long a, long b, int deadline_ms)
{
    *shared = (struct shared){0};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        what(a, b);
        fflush(stdout);
        _exit(0);
    }
    if (pid < 0) {
        printf("cannot fork: %s\n", strerror(errno));
        exit(1);
    }
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd polled = {.fd = pid_fd, .events = POLLIN};
    int ended = poll(&polled, 1, deadline_ms) == 1;
    for (int waits = 0; !ended && shared->state == 0 && waits < PATIENCE; waits++) {
        ended = poll(&polled, 1, deadline_ms) == 1; /* on a busy machine it may not have begun */
    }
    close(pid_fd);
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return ended;
}

/* --- system calls -------------------------------------------------------------------------------------------------------------- */

static char buffer[1 << 16];

static void call(long number, long set)
{
    int fd = open("/tmp/probe", O_CREAT | O_RDWR, 0600);
    long p = (long)buffer;
    const long arguments[TRIES][6] = {
        {0, 0, 0, 0, 0, 0},
        {-1, -1, -1, -1, -1, -1},
        {fd, p, 1, p, 0, 0},
        {p, p, p, p, p, p},
        {1L << 62, 1L << 62, 1L << 62, 1L << 62, 1L << 62, 1L << 62},
        {1, p, 8, p, 8, p},
    };
    const long *a = arguments[set];
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) {
        dup2(null, i); /* so that nothing tried here lands in what is printed */
    }
    shared->state = 1;
    errno = 0;
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    shared->error = errno;
    shared->result = result;
    shared->state = 2;
    _exit(0);
}

static void try_calls(void)
{
    for (long number = 0; number < CALLS; number++) {
        int reached = 0;
        int succeeded = 0;
        for (long set = 0; set < TRIES; set++) {
            run(call, number, set, DEADLINE_MS);
            int answered = shared->state == 2;
            int refused = answered && shared->result == -1 && (shared->error == EPERM || shared->error == ENOSYS);
            reached |= shared->state > 0 && !refused;
            succeeded |= answered && shared->result != -1;
        }
        if (reached) {
            printf("call %ld reached\n", number);
        }
        if (succeeded) {
            printf("call %ld succeeded\n", number);
        }
    }
}

/* --- files --------------------------------------------------------------------------------------------------------------------- */

static char *paths[20000];
static long n_paths;

static void say(const char *verb, const char *path)
{
    printf("%s ", verb);
    for (const char *at = path; *at; at++) {
        /* /proc/12/task/13, fd/7, maps' ranges: the numbers differ from run to run. */
        if (isdigit((unsigned char)*at) && at[-1] == '/') {
            putchar('N');
            while (isdigit((unsigned char)at[1])) {
                at++;
            }
        } else {
            putchar(*at);
        }
    }
    putchar('\n');
}

static void try_file(long index, long writes)
{
    char byte = '0';
    const char *path = paths[index];
    int fd = open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY);
    struct stat own;
    struct stat outputs;
    shared->state = 1;
    if (fd < 0) {
        return;
    }
    /* Not into what is printed. */
    int is_output = fstat(fd, &own) == 0 && fstat(1, &outputs) == 0 && own.st_dev == outputs.st_dev && own.st_ino == outputs.st_ino;
    ssize_t n = is_output ? -1 : writes ? write(fd, &byte, 1) : read(fd, &byte, 1);
    if (n >= 0) {
        say(writes ? "write" : "read", path);
    } else {
        say(writes ? "open-write" : "open-read", path);
    }
}

static void collect(const char *folder, int depth)
{
    DIR *dir = depth > 0 ? opendir(folder) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[4096];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, entry->d_name);
        if (lstat(path, &st) < 0 || n_paths == 20000) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            collect(path, depth - 1);
        } else {
            paths[n_paths++] = strdup(path);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void try_files(void)
{
    static const char *const tops[] = {"/proc", "/sys", "/dev"};
    for (unsigned i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
        collect(tops[i], DEPTH_MAX);
    }
    for (long i = 0; i < n_paths; i++) {
        run(try_file, i, 0, DEADLINE_MS);
        run(try_file, i, 1, DEADLINE_MS);
    }
}

/* --- sockets ------------------------------------------------------------------------------------------------------------------- */

static void try_family(long family, long unused)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET};
    (void)unused;
    shared->state = 1;
    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        for (int protocol = 0; protocol < 300; protocol++) {
            int pair[2];
            int fd = socket((int)family, types[t], protocol);
            if (fd >= 0) {
                printf("socket %ld %d %d\n", family, types[t], protocol);
                struct sockaddr_in6 any = {.sin6_family = (sa_family_t)family};
                if (bind(fd, (struct sockaddr *)&any, family == AF_UNIX ? 2 : sizeof(any)) == 0 && listen(fd, 1) == 0 &&
                    protocol == 0) {
                    printf("listen %ld %d\n", family, types[t]);
                }
                close(fd);
            }
            if (socketpair((int)family, types[t], protocol, pair) == 0) {
                printf("socketpair %ld %d %d\n", family, types[t], protocol);
                close(pair[0]);
                close(pair[1]);
            }
        }
    }
}

/* --- ioctls -------------------------------------------------------------------------------------------------------------------- */

static const char *const objects[] = {"/dev/null", "/dev/zero",         "/dev/full", "/dev/random", "/dev/urandom", "/tmp/probe",
                                      "/tmp",      "/proc/self/status", "/usr",      "/etc/passwd", "pipe",         "unix",
                                      "inet"};

static int open_object(const char *name)
{
    int pair[2];
    if (strcmp(name, "pipe") == 0) {
        return pipe(pair) < 0 ? -1 : pair[0];
    }
    if (strcmp(name, "unix") == 0 || strcmp(name, "inet") == 0) {
        return socket(*name == 'u' ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    }
    int fd = open(name, O_RDWR);
    return fd < 0 ? open(name, O_RDONLY) : fd;
}

static void try_ioctls(long index, long direction)
{
    static const unsigned sizes[] = {0, 4, 8, 16, 24};
    int fd = open_object(objects[index]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared->state = 1;
    signal(SIGIO, SIG_IGN);
    signal(SIGURG, SIG_IGN);
    for (unsigned s = 0; fd >= 0 && s < (direction == 0 ? 1 : sizeof(sizes) / sizeof(sizes[0])); s++) {
        for (unsigned low = 0; low < 0x10000; low++) {
            unsigned request = ((unsigned)direction << 30) | (sizes[s] << 16) | low;
            memset(buffer, 0, 256);
            if (syscall(SYS_ioctl, fd, request, buffer) != -1) {
                printf("ioctl %s 0x%x\n", objects[index], request);
                close(fd);
                fd = open_object(objects[index]);
            }
        }
    }
}

static void try_families(void)
{
    for (long family = 0; family < 256; family++) {
        run(try_family, family, 0, IOCTL_DEADLINE_MS);
    }
}

static void try_objects(void)
{
    for (unsigned i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        for (long direction = 0; direction < 4; direction++) {
            if (!run(try_ioctls, i, direction, IOCTL_DEADLINE_MS)) {
                printf("ioctl %s hangs\n", objects[i]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*what)(void);
    } parts[] = {{"calls", try_calls}, {"files", try_files}, {"sockets", try_families}, {"ioctls", try_objects}};
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return 1;
    }
    for (unsigned part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
        int is_asked = argc == 1;
        for (int i = 1; i < argc; i++) {
            is_asked |= strcmp(argv[i], parts[part].name) == 0;
        }
        if (is_asked) {
            parts[part].what();
        }
    }
    puts("end");
    return 0;
}
