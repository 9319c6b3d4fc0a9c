#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long answer;
    (void)argc;
    if (strcmp(argv[1], "x32") == 0) {
        answer = syscall(0x40000000 + 39); /* getpid */
    } else {
        __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory");
    }
    printf("ESCAPED: %ld\n", answer);
    return 0;
}
