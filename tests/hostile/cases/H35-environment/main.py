import os

KNOWN = {"PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"}
for name in os.environ:
    if name not in KNOWN:
        print("ESCAPED:", name)
# What the loader keeps behind the environment at the stack's end.
if b"RUNWAVE" in open("/proc/self/environ", "rb").read():
    print("ESCAPED: the initial environment")
print("held")
