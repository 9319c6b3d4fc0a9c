int main[0x40000000] = {1};
