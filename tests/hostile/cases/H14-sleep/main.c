#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "sleep") == 0) {
        sleep(1000000000);
    } else if (strcmp(how, "pause") == 0) {
        pause();
    } else if (strcmp(how, "select") == 0) {
        select(0, NULL, NULL, NULL, NULL);
    } else {
        raise(SIGSTOP);
    }
    return 0;
}
