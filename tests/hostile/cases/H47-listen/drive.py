import socket
import time

SOURCE = """
import socket, time
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in (23456, 8080, 7000):
        try:
            one = socket.socket(family)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
            one.listen()
            globals()[f"kept{family}{port}"] = one
        except OSError:
            pass
named = socket.socket(socket.AF_UNIX)
named.bind("\\0runwave-attack")
try:
    named.listen()
except OSError:
    pass
time.sleep(3)
print("held")
"""


def attack(lab):
    task = lab.client.accepted(language="python", source=SOURCE)
    reached = []
    is_running = False
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = lab.client.get(f"/result/{task}").json()["status"]
        if status == "done":
            break
        is_running = is_running or status == "running"
        try:
            socket.create_connection(("127.0.0.1", 23456), 0.2).close()
            reached.append(23456)
        except OSError:
            pass
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.connect("\0runwave-attack")
                reached.append("abstract")
            except OSError:
                pass
        time.sleep(0.2)
    result = lab.client.result(task)
    assert is_running and (result["verdict"], result["stdout"]) == ("ok", "held\n"), result
    assert not reached, f"connections from outside reached the task: {reached}"
