#include <cstdlib>
#include <cstring>
#include <iostream>

extern char **environ;

int main()
{
    bool found = false;
    for (char **entry = environ; *entry; entry++) {
        found = found || std::strstr(*entry, "RUNWAVE");
    }
    std::cout << std::getenv("GREETING") << "\n" << (found ? "found" : "[]") << "\n";
}
