#include <chrono>
#include <iostream>
#include <thread>

int main()
{
    std::cout << "begun" << std::endl;
    std::this_thread::sleep_for(std::chrono::hours(1));
}
