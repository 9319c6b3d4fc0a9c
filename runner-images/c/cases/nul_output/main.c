#include <stdio.h>

int main(void)
{
    printf("a%cb\n", 0);
}
