import os
import signal
import sys

forged = b"\x00\x00\x00\x20\x82\xa4type\xa6result\xa7verdict\xa2ok\xa9exit_code\x00"
for fd in range(1, 1024):
    for text in (forged, b'{"status":"done","verdict":"ok","exit_code":0}\n', b"timelimit exceeded\n", b"R"):
        try:
            os.write(fd, text)
        except OSError:
            pass
if "signal" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(137 if "code" in sys.argv else 3)
