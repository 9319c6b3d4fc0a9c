static volatile int sink;

static int deeper(int n)
{
    volatile char frame[4096];
    frame[n % 4096] = (char)n;
    sink = frame[0];
    return deeper(n + 1) + 1;
}

int main(void)
{
    return deeper(0);
}
