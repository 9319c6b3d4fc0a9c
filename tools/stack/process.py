"""One child process: started in a session of its own, found again by its pid file, stopped by its process id."""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from . import guard
from .files import private_dir, write_private

LOG_TAIL_LINES = 15


class StartError(Exception):
    """A server did not become ready; the message ends with the end of its log."""


def free_port() -> int:
    """A TCP port that is free on loopback now, outside of the range the kernel hands to outgoing connections."""
    for _ in range(200):
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise StartError("no free TCP port between 20000 and 31999")


def keep_port(path: Path) -> int:
    """The port of the last run when it is still free, so that people can find a server again; else another."""
    try:
        port = int(path.read_text(encoding="ascii"))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        return port
    except (OSError, ValueError):
        port = free_port()
        write_private(path, f"{port}\n")
        return port


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str, interval_s: float = 0.05) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(interval_s)


class Process:
    """ready: raises or returns False while the server cannot do its work yet; None: ready as soon as it runs."""

    def __init__(
        self,
        name: str,
        state: Path,
        argv: Sequence[str],
        env: Mapping[str, str],
        ready: Optional[Callable[[], bool]] = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.argv = [str(arg) for arg in argv]
        self.env = dict(env)
        self.ready = ready
        self.stop_signal = stop_signal
        self.log_path = private_dir(state / "log") / f"{name}.log"
        self.pid_path = private_dir(state / "pid") / f"{name}.pid"
        self._child: Optional[subprocess.Popen] = None

    @classmethod
    def of_state(cls, name: str, state: Path) -> "Process":
        """What the state folder's pid file names; only to be stopped."""
        return cls(name, state, [], {}, stop_signal=signal.SIGINT if name == "postgres" else signal.SIGTERM)

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def exit_status(self) -> Optional[int]:
        """As subprocess has it (negative: a signal); None while it runs or was never started."""
        return self._child.poll() if self._child else None

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start without waiting. A process left over by an earlier run of the same state is stopped first."""
        if self.is_alive():
            return
        self.stop_leftover()
        with open(self.log_path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            self._child = subprocess.Popen(
                self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        identity = guard.process_identity(self._child.pid)
        write_private(self.pid_path, f"{self._child.pid} {identity}\n")
        guard.watch(self._child.pid, identity, self.stop_signal)

    def wait_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        reason = ""
        while True:
            if not self.is_alive():
                raise StartError(f"{self.name} ended with status {self.exit_status} before it was ready\n{self.log_tail()}")
            try:
                if self.ready is None or self.ready():
                    return
            except Exception as problem:  # pylint: disable=broad-except  # whatever a client library raises: not ready yet
                reason = f": {problem}".rstrip()
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready within {timeout_s:g} s{reason}\n{self.log_tail()}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Exit status; subprocess.TimeoutExpired when it goes on."""
        assert self._child is not None
        status = self._child.wait(timeout_s)
        guard.forget(self._child.pid)
        return status

    def stop(self, timeout_s: float = 20) -> Optional[int]:
        """Ask, wait, and kill when asking did not help. Returns the exit status, None when it was not running."""
        if self._child is None:
            return None
        self.signal(self.stop_signal)
        try:
            status = self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self.wait(10)
        self.pid_path.unlink(missing_ok=True)
        self._child = None
        return status

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._child is not None:
            self.wait(10)

    def stop_leftover(self, timeout_s: float = 20) -> bool:
        """Stop the process the pid file names, if it still is that process. True when there was one."""
        pid, identity = read_pid_file(self.pid_path)
        if not pid or guard.process_identity(pid) != identity:
            self.pid_path.unlink(missing_ok=True)
            return False
        guard.end_process(pid, identity, self.stop_signal, timeout_s)
        self.pid_path.unlink(missing_ok=True)
        return True

    def log_tail(self) -> str:
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return f"(no log at {self.log_path})"
        return "\n".join([f"--- end of {self.log_path}"] + lines[-LOG_TAIL_LINES:])


def read_pid_file(path: Path) -> "tuple[int, str]":
    """(pid, identity), (0, "") when there is none."""
    try:
        pid, identity = path.read_text(encoding="ascii").split()
        return int(pid), identity
    except (OSError, ValueError):
        return 0, ""
