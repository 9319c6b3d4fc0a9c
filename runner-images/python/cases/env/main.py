import os

print(os.environ["GREETING"])
print(sorted(name for name in os.environ if "RUNWAVE" in name))
