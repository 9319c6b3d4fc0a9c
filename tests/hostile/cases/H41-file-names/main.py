import os

NAMES = [b'\xff\n";rm -rf *', b"-rf", b"$(reboot)", b"`reboot`", b" ", b"\n", b"\x1b[2J", b"x" * 255, "\u202e".encode(), b"%s%n", b"CON"]
for folder in (b"/box", b"/tmp"):
    for name in NAMES:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"x")
os.chdir("/tmp")
for _ in range(200):  # deeper than any path may be long
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
try:
    open("/tmp/" + "x" * 256, "wb").close()
    print("ESCAPED: a longer name")
except OSError:
    pass
print("held")
