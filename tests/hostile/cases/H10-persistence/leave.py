for folder in ("/box", "/tmp", "/dev/shm", "/run/lock", "/var/tmp", "/dev/mqueue", "/run", "/var/lock"):
    for name in ("left-behind", "sitecustomize.py"):
        try:
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write("print('ESCAPED: ran what was left')\n")
        except OSError:
            pass
