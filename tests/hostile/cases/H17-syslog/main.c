#include "attack.h"

#include <fcntl.h>
#include <sys/klog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

int main(void)
{
    for (int i = 0; i < 10000; i++) {
        syslog(LOG_EMERG, "flood %d", i);
    }
    static const char *const sockets[] = {"/dev/log", "/run/systemd/journal/socket", "/run/systemd/journal/stdout"};
    for (int i = 0; i < 3; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, sockets[i]);
        int fd = socket(AF_UNIX, i == 2 ? SOCK_STREAM : SOCK_DGRAM, 0);
        MUST_FAIL(connect(fd, (struct sockaddr *)&address, sizeof(address)));
        close(fd);
    }
    MUST_FAIL(open("/dev/kmsg", O_WRONLY));
    MUST_FAIL(open("/dev/console", O_WRONLY));
    MUST_FAIL(open("/dev/tty", O_RDWR));
    MUST_FAIL(open("/proc/1/fd/1", O_WRONLY));
    MUST_FAIL(open("/proc/1/fd/2", O_WRONLY));
    MUST_FAIL(klogctl(10, NULL, 0));
    return held();
}
