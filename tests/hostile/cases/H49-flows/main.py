import socket

for number in range(100000):
    try:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.sendto(b"x" * 100, ("127.0.0.1", 1024 + number % 60000))
    except OSError:
        pass
try:
    one.sendto(b"x", ("8.8.8.8", 53))
    print("ESCAPED: a datagram left")
except OSError:
    pass
