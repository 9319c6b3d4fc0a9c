for _ in range(10000):
    print("0123456789abcdef" * 8)
