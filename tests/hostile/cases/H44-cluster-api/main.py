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

hosts = {os.environ.get("KUBERNETES_SERVICE_HOST", "10.96.0.1"), "10.0.0.1", "127.0.0.1", "kubernetes.default.svc"}
for host in hosts:
    for port in (443, 6443, 10250, 10255, 10256, 2379):
        reached((host, port))
for path in ("/run/containerd/containerd.sock", "/var/run/docker.sock", "/run/crio/crio.sock", "/run/dbus/system_bus_socket"):
    try:
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        print("ESCAPED:", path)
    except OSError:
        pass
print("held")
