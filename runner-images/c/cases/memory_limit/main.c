#include <stdlib.h>
#include <string.h>

int main(void)
{
    for (;;) {
        char *block = malloc(8 << 20);
        if (!block) {
            return 1;
        }
        memset(block, 1, 8 << 20);
        __asm__ volatile("" : : "r"(block) : "memory");
    }
}
