#include "/proc/self/mem"
int x = y;
