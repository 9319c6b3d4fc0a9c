#include <stdio.h>

int main(void)
{
    puts("begun");
    fflush(stdout);
    for (volatile unsigned long i = 0;; i++) {
    }
}
