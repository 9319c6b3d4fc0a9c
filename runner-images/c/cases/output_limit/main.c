#include <stdio.h>

int main(void)
{
    for (int i = 0; i < 80000; i++) {
        puts("0123456789abcdef");
    }
}
