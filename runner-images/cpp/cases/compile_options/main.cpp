#include <iostream>

int main()
{
    std::cout << NAME << " " << ANSWER << " " << __cplusplus << "\n";
}
