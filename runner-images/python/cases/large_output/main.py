import sys

for _ in range(10000):
    sys.stdout.write("x" * 99 + "\n")
