int main()
{
    int forgotten;
    return 0;
}
