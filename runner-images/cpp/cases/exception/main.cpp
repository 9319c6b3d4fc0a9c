#include <stdexcept>

int main()
{
    throw std::runtime_error("it went wrong");
}
