#include <iostream>

int main()
{
    std::cout << "příliš žluťoučký kůň · 你好 · 🐍\n";
}
