"""The guard ends the servers when their parent is gone without having done so (kill -9 of a test run or of ./dev up).

It is a child of its own that reads one end of a pipe: "+ pid identity signal" and "- pid" lines, and at the end of the file it ends
what is still listed, last come first. A process is known by its pid and the time of its start, so that a pid used again is left alone.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Optional, Tuple

STOP_TIMEOUT_S = 20.0

_guard: Optional[subprocess.Popen] = None
_owner_pid = 0


def process_identity(pid: int) -> str:
    """Boot and start time; "" when there is no such process (a zombie counts as gone)."""
    try:
        # The command's name stands in brackets and may hold anything, so count from the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        if fields[0] in ("Z", "X"):
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{fields[19]}"
    except (OSError, IndexError):
        return ""


def end_process(pid: int, identity: str, stop_signal: int, timeout_s: float) -> None:
    """For a process that is not our child: signal, wait, SIGKILL."""
    for number, wait_s in ((stop_signal, timeout_s), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + wait_s
        try:
            if identity and process_identity(pid) == identity:
                os.kill(pid, number)
        except ProcessLookupError:
            return
        while process_identity(pid) == identity:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def _tell(line: str) -> None:
    global _guard, _owner_pid  # pylint: disable=global-statement  # one guard a program
    if _guard is None or _owner_pid != os.getpid():
        _guard = subprocess.Popen([sys.executable, "-I", __file__], stdin=subprocess.PIPE, start_new_session=True, cwd="/")
        _owner_pid = os.getpid()
    assert _guard.stdin is not None
    try:
        _guard.stdin.write(line.encode("ascii"))
        _guard.stdin.flush()
    except BrokenPipeError:
        pass  # somebody ended the guard; the servers are still stopped in the ordinary way


def watch(pid: int, identity: str, stop_signal: int) -> None:
    _tell(f"+ {pid} {identity or 'gone'} {int(stop_signal)}\n")


def forget(pid: int) -> None:
    _tell(f"- {pid}\n")


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: Dict[int, Tuple[str, int]] = {}
    for line in sys.stdin:
        words = line.split()
        if words[0] == "+":
            watched[int(words[1])] = (words[2], int(words[3]))
        else:
            watched.pop(int(words[1]), None)
    for pid, (identity, stop_signal) in reversed(list(watched.items())):
        end_process(pid, identity, stop_signal, STOP_TIMEOUT_S)


if __name__ == "__main__":
    main()
