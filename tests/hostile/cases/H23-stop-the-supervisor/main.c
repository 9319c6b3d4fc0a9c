#include "attack.h"

#include <signal.h>

int main(void)
{
    for (int round = 0; round < 100; round++) {
        for (int sig = 1; sig < 65; sig++) {
            kill(1, sig);
            if (getppid() > 0) {
                kill(getppid(), sig);
            }
            kill(-getppid(), sig);
            union sigval value = {.sival_int = 1};
            sigqueue(1, sig, value);
        }
    }
    usleep(100000);
    MUST_HOLD(kill(1, 0) == 0 || errno == EPERM);
    held();
    return 7;
}
