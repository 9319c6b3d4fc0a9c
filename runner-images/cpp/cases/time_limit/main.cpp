#include <iostream>

int main()
{
    std::cout << "begun" << std::endl;
    for (volatile unsigned long i = 0;; i = i + 1) {
    }
}
