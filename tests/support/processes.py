"""Looking at processes from outside: tests mark a task by an argument and find its code by it."""

import os
import signal
from pathlib import Path
from typing import List

from client import wait_for


def with_argument(mark: str) -> List[int]:
    """Processes that have the mark as a whole argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in arguments:
                found.append(int(entry.name))
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def wait_for_code(mark: str, timeout_s: float = 60) -> int:
    """The process id of a marked task's code, as soon as it runs."""
    return wait_for(lambda: with_argument(mark), timeout_s, f"the code of task {mark} runs")[0]


def runner_of(pid: int) -> int:
    """The runner outside of the sandbox that a task's code belongs to: the topmost process of its line that is a runner."""
    found = 0
    while pid > 1:
        try:
            if os.readlink(f"/proc/{pid}/exe").split(" ")[0].endswith("runwave-runner"):
                found = pid
            pid = parent(pid)
        except OSError:
            break
    assert found, "the code has no runner above it"
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def assert_gone(mark: str, timeout_s: float = 10) -> None:
    wait_for(lambda: not with_argument(mark), timeout_s, f"every process of task {mark} is gone")


def named(program: str) -> List[int]:
    """Processes whose executable has this file name."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "exe").split(" ")[0].rpartition("/")[2] == program:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
