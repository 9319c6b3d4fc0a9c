print(hash(1.5), hash(2**70), hash((1, 2)))
