import socket
import sys


def reached(address, kind=socket.SOCK_STREAM, data=b"GET /latest/meta-data/ HTTP/1.0\r\n\r\n"):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(0.5)
            one.connect(address)
            one.send(data)
            one.recv(1)
            print("ESCAPED: reached", address, kind)
    except OSError:
        pass


for port in [*map(int, sys.argv[1].split()), 22, 53, 80, 443, 4369, 5432, 5672, 8080, 15672, 25672]:
    for host in ("127.0.0.1", "::1", "10.244.0.1", "172.17.0.1", "192.168.0.1"):
        reached((host, port))
for name in range(256):
    one = socket.socket(socket.AF_UNIX)
    try:
        one.connect(f"\0runwave-{name}")
        print("ESCAPED: an abstract socket")
    except OSError:
        pass
try:
    if {name for _, name in socket.if_nameindex()} - {"lo"}:
        print("ESCAPED: interfaces")
except OSError:
    pass
print("held")
