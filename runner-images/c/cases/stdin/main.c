#include <stdio.h>

int main(void)
{
    long sum = 0;
    long number = 0;
    while (scanf("%ld", &number) == 1) {
        sum += number;
    }
    printf("%ld\n", sum);
}
