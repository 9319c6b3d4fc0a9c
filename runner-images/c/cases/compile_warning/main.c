int main(void)
{
    int forgotten;
    return 0;
}
