#include "/dev/stdin"
int x = y;
