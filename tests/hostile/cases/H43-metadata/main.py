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


for host in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "168.63.129.16"):
    reached((host, 80))
reached(("169.254.169.254", 80), data=b"PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n")
print("held")
