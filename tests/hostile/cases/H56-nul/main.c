#include <stdio.h>

int main(void)
{
    printf("a%cb\n", 0);
    fputc(0, stderr);
    return 0;
}
