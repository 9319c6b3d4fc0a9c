"""The whole of RunWave on one machine: PostgreSQL, RabbitMQ, pod-manager with the local backend, scheduler, api-server."""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from .catalogue import render_catalogue
from .daemon import Daemon, DaemonPaths
from .files import new_run_dir, private_dir, read_secret, remove_run_dir
from .postgres import Postgres
from .process import Process, StartError, free_port
from .rabbitmq import RabbitMQ

START_ORDER = ("pod-manager", "scheduler", "api")
# Host user ids for the code of pods when root runs the stack: a range nobody has an account in, apart from those of containers.
UID_BASE = 1_000_000_000
UID_SPAN = 4096


def merged(base: dict, changes: Mapping) -> dict:
    """base with changes laid over it, section by section; None removes a key."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


class Stack:
    """overrides: daemon's name -> keys laid over its configuration. languages: language id -> keys laid over its language.yaml.
    api_port 0: any free one."""

    def __init__(
        self,
        state: Path,
        paths: DaemonPaths,
        api_port: int = 0,
        overrides: Optional[Mapping[str, Mapping]] = None,
        languages: Optional[Dict[str, dict]] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.state = Path(state).absolute()
        self.paths = paths
        self.api_port = api_port or free_port()
        self.overrides = overrides or {}
        self.language_overrides = languages or {}
        self.env = dict(env or {})
        self.postgres = Postgres(self.state)
        self.rabbitmq = RabbitMQ(self.state)
        self.daemons: Dict[str, Daemon] = {}
        self.languages: Dict[str, dict] = {}
        self._lock_fd = -1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def api(self) -> Daemon:
        return self.daemons["api"]

    @property
    def scheduler(self) -> Daemon:
        return self.daemons["scheduler"]

    @property
    def pod_manager(self) -> Daemon:
        return self.daemons["pod-manager"]

    def start(self) -> None:
        self.lock()
        self.start_servers()
        self.prepare_daemons()
        self.start_daemons()

    def lock(self) -> None:
        """One stack a state folder. The lock goes with the process, however that ends."""
        private_dir(self.state)
        fd = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            os.close(fd)
            raise StartError(f"a stack is already running in {self.state}") from problem
        self._lock_fd = fd

    def start_servers(self) -> None:
        """PostgreSQL and RabbitMQ, side by side."""
        self.stop_leftovers()
        self.postgres.launch()
        self.rabbitmq.launch()
        self.postgres.wait_ready()
        self.rabbitmq.wait_ready()

    def stop_leftovers(self) -> List[str]:
        """Daemons of a run that was killed, its guard too; the servers' own start does the same for them. Returns their names."""
        return [name for name in reversed(START_ORDER) if Process.of_state(name, self.state).stop_leftover()]

    def prepare_daemons(self) -> None:
        """Catalogue, tokens and configurations; the daemons are made but not started."""
        run_dir = new_run_dir(self.state)
        self.languages = render_catalogue(self.state / "languages", self.language_overrides)
        token_file = self.state / "secret" / "pod-manager-token"
        read_secret(token_file)
        configs = self._configs(run_dir, token_file)
        for name in START_ORDER:
            config = merged(configs[name], self.overrides.get(name, {}))
            self.daemons[name] = Daemon(name, self.state, self.paths[name], config, config["http"]["listen"], self.env)

    def start_daemons(self) -> None:
        for name in START_ORDER:
            self.daemons[name].start(wait=False)
        for name in START_ORDER:
            self.daemons[name].wait_ready()

    def stop(self) -> Dict[str, Optional[int]]:
        """In the order in which nothing is lost; returns the daemons' exit statuses."""
        statuses = {}
        for name in reversed(START_ORDER):
            if name in self.daemons:
                statuses[name] = self.daemons[name].stop()
        self.rabbitmq.stop()
        self.postgres.stop()
        remove_run_dir(self.state)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
        return statuses

    def sanitizer_reports(self) -> List[Path]:
        return sorted((self.state / "log").glob("*.sanitizer.*"))

    def uid_base(self) -> int:
        """Another range for each state folder, so that two stacks side by side do not share the kernel's per-user counts."""
        digest = hashlib.sha256(os.fsencode(str(self.state))).digest()
        return UID_BASE + int.from_bytes(digest[:2], "big") * UID_SPAN

    def _configs(self, run_dir: Path, token_file: Path) -> Dict[str, dict]:
        pods_dir = private_dir(run_dir / "pods")
        manager_socket = run_dir / "pm.sock"
        languages_dir = str(self.state / "languages")
        shared = {"database": self.postgres.config(), "broker": self.rabbitmq.config(), "languages_dir": languages_dir}
        local = {"run_dir": str(pods_dir), "runner": str(self.paths["runner"]), "sandbox": "namespaces"}
        local["cgroup"] = f"runwave-{hashlib.sha256(os.fsencode(str(self.state))).hexdigest()[:8]}"
        if os.geteuid() == 0:
            local["uid_base"] = self.uid_base()
        return {
            "api": {"http": {"listen": f"127.0.0.1:{self.api_port}"}, **shared, "isolation": ["pod", "sandbox"]},
            "scheduler": {
                "http": {"listen": f"unix:{run_dir}/sched.sock"},
                **shared,
                "pod_manager": {"url": "http://localhost", "unix_socket": str(manager_socket), "token_file": str(token_file)},
            },
            "pod-manager": {
                "http": {"listen": f"unix:{manager_socket}"},
                "languages_dir": languages_dir,
                "token_file": str(token_file),
                "backend": "local",
                "local": local,
                "isolation": {"default": "pod", "offered": ["pod", "sandbox"], "lazy": True, "slots": 2, "uses": 200},
            },
        }
