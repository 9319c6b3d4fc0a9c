#include <stdio.h>

int main(void)
{
    puts("before the end");
    return 7;
}
