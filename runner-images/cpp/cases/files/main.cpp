#include <fstream>
#include <iostream>
#include <string>

#include "tools/sums.hpp"

int main()
{
    std::ifstream words("data/words.txt");
    std::string line;
    std::getline(words, line);
    std::cout << line << " " << add(40, 2) << "\n";
}
