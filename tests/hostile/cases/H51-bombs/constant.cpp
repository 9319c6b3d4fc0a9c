constexpr unsigned long long burn(unsigned long long n)
{
    unsigned long long sum = 0;
    for (unsigned long long i = 0; i < n; i++) {
        for (unsigned long long j = 0; j < 200000; j++) {
            sum += i ^ j;
        }
    }
    return sum;
}
static_assert(burn(200000) == 1);
