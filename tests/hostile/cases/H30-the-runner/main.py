import os
import socket
import sys

for pid in (1, os.getppid()):
    try:
        os.execv(f"/proc/{pid}/exe", ["runwave-runner", "--probe"])
    except OSError:
        pass
for folder, names, files in os.walk("/"):
    if folder.count("/") > 3 or folder in ("/proc", "/usr/share", "/usr/lib"):
        names.clear()
    for name in files:
        if name.startswith("runwave"):
            print("ESCAPED: found", folder, name)
if os.path.exists("/proc/net/unix"):
    for line in open("/proc/net/unix", encoding="ascii"):
        if "runner" in line or "/pods/" in line:
            print("ESCAPED:", line)
for port in [*map(int, sys.argv[1].split()), *range(1, 1024), 7000, 7070, 8080, 9090]:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        print("ESCAPED: connected to port", port)
    except OSError:
        pass
print("held")
