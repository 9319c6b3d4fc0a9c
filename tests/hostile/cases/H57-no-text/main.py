import sys

broken = b"\xff\xfe\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xf8\x88\x80\x80\x80\xe2\x82"
sys.stdout.buffer.write(bytes(range(256)) + broken + b"x" * (32 - len(broken)))
sys.stderr.buffer.write("\ufffe\U0001f600\u202e\ufeff".encode())
