import uuid

SEARCH = """
import os
half, other = "%s", "%s"
mark = (half + other).encode()
for top in ("/box", "/tmp", "/dev/shm", "/var", "/run", "/proc"):
    for folder, names, files in os.walk(top):
        if folder.count("/") > 3:
            names.clear()
        for name in files:
            path = os.path.join(folder, name)
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                if mark in os.read(fd, 1 << 16) or mark in name.encode():
                    print("ESCAPED:", path)
                os.close(fd)
            except OSError:
                pass
print("held")
"""


def attack(lab):
    mark = uuid.uuid4().hex
    source = f"""
import time
for folder in ("/tmp", "/box", "/dev/shm"):
    open(f"{{folder}}/{mark}", "w").write("{mark}")
time.sleep(3)
print("{mark}")
"""
    secret = {"language": "python", "source": source, "args": [mark], "env": {"MARK": mark}, "stdin": mark}
    task = lab.client.accepted(**secret)
    other = lab.target.api()
    for _ in range(3):
        found = other.python(SEARCH % (mark[:16], mark[16:]))
        assert (found["verdict"], found["stdout"]) == ("ok", "held\n"), found
    assert lab.client.get(f"/result/{task}").json()["status"] == "running", "it was over too soon: nothing was shown"
    assert lab.client.result(task)["stdout"] == f"{mark}\n"
    other.close()
