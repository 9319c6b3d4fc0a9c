#include "attack.h"

int main(void)
{
    return held();
}
