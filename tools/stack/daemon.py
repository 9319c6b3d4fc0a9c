"""One of RunWave's daemons: its configuration rendered from a dict, its process, and HTTP to its health routes."""

import http.client
import os
import socket
from pathlib import Path
from typing import List, Mapping, Optional, Tuple

import yaml

from .files import private_dir, repository_root, write_private
from .process import Process


class DaemonPaths:
    """Where a build folder has the programs."""

    RELATIVE = {
        "api": "api-server/runwave-api",
        "scheduler": "scheduler/runwave-scheduler",
        "pod-manager": "pod-manager/runwave-pod-manager",
        "runner": "runner-images/runner/runwave-runner",
        "cli": "cli/runwave",
    }

    def __init__(self, build: Path) -> None:
        self.build = Path(build).absolute()

    @classmethod
    def of_preset(cls, preset: str) -> "DaemonPaths":
        return cls(repository_root() / "build" / preset)

    def __getitem__(self, name: str) -> Path:
        return self.build / self.RELATIVE[name]

    def missing(self) -> List[str]:
        return [name for name in self.RELATIVE if name != "cli" and not self[name].exists()]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def http_get(listen: str, path: str, timeout_s: float = 5, headers: Optional[Mapping[str, str]] = None) -> Tuple[int, bytes]:
    """GET from "HOST:PORT" or "unix:PATH"."""
    if listen.startswith("unix:"):
        connection: http.client.HTTPConnection = _UnixConnection(listen[len("unix:") :], timeout_s)
    else:
        connection = http.client.HTTPConnection(listen, timeout=timeout_s)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def sanitizer_environment(report: Path) -> Mapping[str, str]:
    """Reports of sanitizers go to files beside the log and end the program with a status of their own. Harmless in other builds."""
    suppressions = repository_root() / "tests" / "tsan.supp"
    common = f"log_path={report}:exitcode=99"
    return {
        "ASAN_OPTIONS": f"{common}:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": f"{common}:print_stacktrace=1",
        "LSAN_OPTIONS": "report_objects=1",
        "TSAN_OPTIONS": f"{common}:second_deadlock_stack=1:suppressions={suppressions}",
    }


class Daemon:
    """name: "api", "scheduler" or "pod-manager". listen: where its health routes answer, as in the configuration."""

    def __init__(
        self,
        name: str,
        state: Path,
        program: Path,
        config: dict,
        listen: str,
        env: Optional[Mapping[str, str]] = None,
        instance: str = "",
    ) -> None:
        self.name = name + instance
        self.listen = listen
        self.config = config
        self.program = Path(program)
        self.config_path = private_dir(Path(state).absolute() / "config") / f"{self.name}.yaml"
        self.report = private_dir(Path(state).absolute() / "log") / f"{self.name}.sanitizer"
        full_env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **sanitizer_environment(self.report), **(env or {})}
        argv = [str(self.program), "--config", str(self.config_path)]
        self.process = Process(self.name, Path(state).absolute(), argv, full_env, ready=self.is_ready)

    def write_config(self) -> None:
        write_private(self.config_path, yaml.safe_dump(self.config, sort_keys=False))

    def is_ready(self) -> bool:
        status, body = http_get(self.listen, "/readyz", timeout_s=2)
        if status != 200:
            raise RuntimeError(f"/readyz: {status} {body[:500].decode('utf-8', 'replace')}")
        return True

    def start(self, wait: bool = True, timeout_s: float = 60) -> None:
        self.write_config()
        if self.listen.startswith("unix:") and not self.process.is_alive():
            Path(self.listen[len("unix:") :]).unlink(missing_ok=True)
        self.process.start()
        if wait:
            self.process.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = 60) -> None:
        self.process.wait_ready(timeout_s)

    def stop(self, timeout_s: float = 30) -> Optional[int]:
        return self.process.stop(timeout_s)

    def kill(self) -> None:
        self.process.kill()

    def metrics(self) -> str:
        return http_get(self.listen, "/metrics")[1].decode("utf-8")

    def metric(self, name: str, labels: str = "") -> float:
        """Sum of the samples of one name whose label text contains labels; 0 when there are none."""
        total = 0.0
        for line in self.metrics().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and labels in sample:
                total += float(value)
        return total

    def rss_bytes(self) -> int:
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def sanitizer_reports(self) -> List[Path]:
        return sorted(self.report.parent.glob(self.report.name + ".*"))
