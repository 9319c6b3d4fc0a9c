#include <stdio.h>

int main(void)
{
    for (int i = 0; i < 1000000; i++) {
        putchar(i % 100 == 99 ? '\n' : 'x');
    }
}
