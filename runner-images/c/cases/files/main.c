#include <stdio.h>
#include <string.h>

#include "tools/sums.h"

int main(void)
{
    char line[64] = "";
    FILE *words = fopen("data/words.txt", "r");
    if (!words || !fgets(line, sizeof(line), words)) {
        return 1;
    }
    line[strcspn(line, "\n")] = 0;
    printf("%s %d\n", line, add(40, 2));
}
