#include <stdio.h>

int main(void)
{
    puts("to the first");
    fputs("to the second\n", stderr);
}
