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


for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_INET6, socket.SOCK_RAW, 58),
                               (16, socket.SOCK_RAW, 0), (16, socket.SOCK_DGRAM, 9), (17, socket.SOCK_RAW, 768), (38, socket.SOCK_SEQPACKET, 0),
                               (40, socket.SOCK_STREAM, 0), (30, socket.SOCK_STREAM, 0), (21, socket.SOCK_SEQPACKET, 0)):
    try:
        socket.socket(family, kind, protocol)
        print("ESCAPED: a socket", family, kind, protocol)
    except OSError:
        pass
for host in ("8.8.8.8", "10.0.0.1", "255.255.255.255", "224.0.0.1", "ff02::1"):
    try:
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"x", (host, 53))
        print("ESCAPED: sent to", host)
    except OSError:
        pass
print("held")
