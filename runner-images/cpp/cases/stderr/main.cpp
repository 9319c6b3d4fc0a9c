#include <iostream>

int main()
{
    std::cout << "to the first\n";
    std::cerr << "to the second\n";
}
