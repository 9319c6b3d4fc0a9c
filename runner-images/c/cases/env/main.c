#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

int main(void)
{
    int found = 0;
    for (char **entry = environ; *entry; entry++) {
        found += strstr(*entry, "RUNWAVE") != NULL;
    }
    printf("%s\n%s\n", getenv("GREETING"), found ? "found" : "[]");
}
