#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    for (int i = 0; i < 10; i++) {
        if (fork() == 0) {
            setsid();
            signal(SIGHUP, SIG_IGN);
            signal(SIGTERM, SIG_IGN);
            if (fork() == 0) {
                sleep(600);
            }
            _exit(0);
        }
    }
    puts("parent");
    return 0;
}
