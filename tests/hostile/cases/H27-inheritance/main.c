#include "attack.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

int main(void)
{
    for (int fd = 3; fd < 4096; fd++) {
        MUST_FAIL(fcntl(fd, F_GETFD));
    }
    for (int fd = 0; fd < 3; fd++) {
        struct stat st;
        MUST_HOLD(fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)));
        MUST_HOLD(!isatty(fd));
        MUST_FAIL(tcgetpgrp(fd));
    }
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int sig = 1; sig < 65; sig++) {
        struct sigaction action;
        MUST_HOLD(sigismember(&blocked, sig) != 1);
        MUST_HOLD(sigaction(sig, NULL, &action) < 0 || action.sa_handler == SIG_DFL);
    }
    MUST_HOLD(getsid(0) == getpid());
    /* A pipe opened again by its name may be opened the other way round: it must not reach anything but the pipe. */
    int reopened = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
    char byte;
    MUST_HOLD(reopened < 0 || read(reopened, &byte, 1) <= 0);
    return held();
}
