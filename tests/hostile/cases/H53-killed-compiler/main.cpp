constexpr unsigned long long burn(unsigned seed)
{
    unsigned long long sum = seed;
    for (unsigned i = 0; i < 500000; i++) {
        sum += i ^ sum;
    }
    return sum;
}
template <unsigned N> constexpr unsigned long long many = burn(N) + many<N - 1>;
template <> constexpr unsigned long long many<0> = 0;

int main()
{
    return (int)many<800>;
}
