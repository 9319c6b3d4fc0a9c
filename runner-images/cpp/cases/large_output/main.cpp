#include <iostream>
#include <string>

int main()
{
    for (int i = 0; i < 10000; i++) {
        std::cout << std::string(99, 'x') << "\n";
    }
}
