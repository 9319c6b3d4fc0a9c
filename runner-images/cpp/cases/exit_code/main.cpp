#include <iostream>

int main()
{
    std::cout << "before the end" << std::endl;
    return 7;
}
