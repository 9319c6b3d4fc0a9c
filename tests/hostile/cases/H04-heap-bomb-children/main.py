import os
import time

for _ in range(12):
    if os.fork() == 0:
        kept = b"x" * (30 << 20)
        time.sleep(60)
time.sleep(60)
