#include "attack.h"

#include <signal.h>

int main(void)
{
    kill(-1, SIGKILL);
    kill(0, SIGCONT);
    for (int pid = 1; pid < 70000; pid++) {
        if (pid != getpid()) {
            kill(pid, SIGKILL);
        }
    }
    return held();
}
