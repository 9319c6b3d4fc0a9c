#include <math.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argv;
    printf("%s %.0f %ld\n", NAME, sqrt(ANSWER * ANSWER + argc - 1), __STDC_VERSION__);
}
