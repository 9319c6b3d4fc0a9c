#include <string.h>

char data[8UL << 30];

int main(int argc, char **argv)
{
    (void)argv;
    memset(data, argc, sizeof(data));
    return data[sizeof(data) - 1];
}
