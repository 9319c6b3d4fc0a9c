"""A Docker Engine: the one this machine has, else a private one of Debian's docker.io in a folder of the cache.

The private engine is one a folder and shared by whoever needs it: users hold a shared lock, and the last one to leave stops it. Its
images stay in the folder. It has no default bridge and touches no firewall rules: builds run with --network host, containers that
need a network make one of their own (which reaches the other containers on it and nothing else).
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Mapping, Optional, Sequence

from . import guard
from .files import private_dir, write_private
from .process import LOG_TAIL_LINES, StartError, read_pid_file

SYSTEM_SOCKET = "/var/run/docker.sock"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


def cache_dir() -> Path:
    """What may be thrown away but takes long to make again; shared by all clones of one user."""
    given = os.environ.get("RUNWAVE_CACHE")
    return Path(given).absolute() if given else Path.home() / ".cache" / "runwave"


def docker_program() -> str:
    """Debian's client beside Debian's engine, else whatever there is."""
    return "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else shutil.which("docker") or "docker"


def answers(host: str) -> bool:
    argv = [docker_program(), "--host", host, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def reachable_host() -> Optional[str]:
    """DOCKER_HOST where that is set, else the system's engine; None when it does not answer."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{SYSTEM_SOCKET}"
    return host if answers(host) else None


class DockerEngine:
    """start() and stop() in pairs; in between `host` is what DOCKER_HOST has to be. private: never use the system's engine."""

    def __init__(self, folder: Optional[Path] = None, private: bool = False) -> None:
        self.folder = Path(folder).absolute() if folder else cache_dir() / "engine"
        self.private = private
        self.socket = self.folder / "docker.sock"
        self.log = self.folder / "dockerd.log"
        self.pid_path = self.folder / "engine.pid"
        self.host = ""
        self._lock_fd = -1

    def __enter__(self) -> "DockerEngine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_private(self) -> bool:
        return self.host == f"unix://{self.socket}"

    @property
    def env(self) -> Mapping[str, str]:
        """The environment for docker and docker-compose."""
        return {**os.environ, "DOCKER_HOST": self.host}

    def docker(self, *args: str, **options: object) -> "subprocess.CompletedProcess[str]":
        """docker ARGS with its output as text; check=False when failing is an answer."""
        settings: dict = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "check": True, **options}
        return subprocess.run([docker_program(), *args], env=dict(self.env), **settings)

    def start(self) -> None:
        if self.host:
            return
        system = None if self.private else reachable_host()
        if system:
            self.host = system
            return
        if os.geteuid() != 0:
            raise StartError("no Docker Engine answers, and only root can start a private one: start Docker, or set DOCKER_HOST")
        private_dir(self.folder)
        self._lock_fd = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with open(self.folder / "start.lock", "a", encoding="ascii") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                fcntl.flock(self._lock_fd, fcntl.LOCK_SH)
                if not answers(f"unix://{self.socket}"):
                    self._launch()
        except BaseException:
            self._unlock()
            raise
        self.host = f"unix://{self.socket}"

    def stop(self) -> None:
        """A private engine ends with its last user."""
        self.host = ""
        if self._lock_fd < 0:
            return
        with open(self.folder / "start.lock", "a", encoding="ascii") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._end()
            except BlockingIOError:
                pass
            self._unlock()

    # ---- inside ----

    def _unlock(self) -> None:
        os.close(self._lock_fd)
        self._lock_fd = -1

    def _end(self) -> None:
        pid, identity = read_pid_file(self.pid_path)
        if pid:
            guard.end_process(pid, identity, signal.SIGTERM, STOP_TIMEOUT_S)
        self.pid_path.unlink(missing_ok=True)

    def _argv(self) -> List[str]:
        argv = ["/usr/sbin/dockerd", "--host", f"unix://{self.socket}", "--data-root", str(self.folder / "data")]
        argv += ["--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "dockerd.pid")]
        return argv + ["--bridge=none", "--iptables=false", "--ip6tables=false"]

    def _launch(self) -> None:
        self._end()  # one that does not answer any more
        (self.folder / "dockerd.pid").unlink(missing_ok=True)
        with open(self.log, "wb") as log:
            env = {**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
            child = subprocess.Popen(
                self._argv(), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        write_private(self.pid_path, f"{child.pid} {guard.process_identity(child.pid)}\n")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(f"unix://{self.socket}"):
            if child.poll() is not None or time.monotonic() > deadline:
                self._end()
                lines: Sequence[str] = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
                raise StartError("\n".join(["the private Docker Engine did not start", f"--- end of {self.log}", *lines]))
            time.sleep(0.1)
