#include <stdio.h>

int main(void)
{
    puts("příliš žluťoučký kůň · 你好 · 🐍");
}
