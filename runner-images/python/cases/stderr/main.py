import sys

print("to the first")
print("to the second", file=sys.stderr)
