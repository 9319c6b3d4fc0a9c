#include <stdio.h>
#include <unistd.h>

int main(void)
{
    puts("begun");
    fflush(stdout);
    sleep(3600);
}
