#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    for (;;) {
        if (fork() == 0) {
            if (fork() == 0) {
                _exit(0); /* an orphan for process 1 */
            }
            _exit(0);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}
