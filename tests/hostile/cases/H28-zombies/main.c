#include "attack.h"

int main(void)
{
    int n = 0;
    while (n < 10000) {
        int pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        if (pid < 0) {
            break;
        }
        n++;
    }
    MUST_HOLD(n < 64);
    return held();
}
