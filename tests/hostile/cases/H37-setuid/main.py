import os
import stat
import subprocess

found = 0
for top in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local"):
    for folder, names, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found += 1
                try:
                    code = "import os; print(os.geteuid(), os.getegid())"
                    subprocess.run([path, "-c", "id"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, timeout=1, check=False)
                except (OSError, subprocess.TimeoutExpired):
                    pass
# One of our own, and file capabilities of our own.
own = "/tmp/own"
with open("/usr/bin/id", "rb") as source, open(own, "wb") as copy:
    copy.write(source.read())
os.chmod(own, 0o6755)
out = subprocess.run([own, "-u"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
if out != "1000":
    print("ESCAPED: uid", out)
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chown(own, 0, 0),
                lambda: os.setxattr(own, "security.capability", b"\x01\x00\x00\x02" + b"\xff" * 16)):
    try:
        attempt()
        print("ESCAPED: changed its identity")
    except OSError:
        pass
status = open("/proc/self/status", encoding="utf-8").read()
if "NoNewPrivs:\t1" not in status or "CapBnd:\t0000000000000000" not in status:
    print("ESCAPED: privileges can be had")
print("held")
