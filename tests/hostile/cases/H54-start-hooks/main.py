import os
import sys

for name in os.environ:
    if name.startswith(("LD_", "JAVA_", "NODE_", "GCONV", "BASH_")):
        print("ESCAPED:", name)
print("held")
