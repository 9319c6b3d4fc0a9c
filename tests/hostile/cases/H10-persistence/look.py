import os

for folder in ("/box", "/tmp", "/dev/shm", "/run/lock", "/var/tmp", "/dev/mqueue", "/run", "/var/lock"):
    for name in ("left-behind", "sitecustomize.py"):
        if os.path.lexists(f"{folder}/{name}"):
            print("ESCAPED:", folder, name)
print("held")
