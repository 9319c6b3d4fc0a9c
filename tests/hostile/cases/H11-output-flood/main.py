import sys

out = sys.stderr if len(sys.argv) > 1 else sys.stdout
while True:
    out.write("x" * 1000)
