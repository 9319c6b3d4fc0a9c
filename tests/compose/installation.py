"""An installation by docker-compose.yml as it stands, on an engine of its own."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Dict, List

from client import Api, wait_for
from stack import repository_root
from stack.docker_engine import DockerEngine, docker_program
from stack.process import free_port

PROJECT = "runwave-test"
POOL_LABEL = "dev.runwave.pool=runwave"
VOLUMES = {f"{PROJECT}_postgres", f"{PROJECT}_rabbitmq", f"{PROJECT}_secrets", "runwave-pods"}
DAEMONS = ("api", "scheduler", "pod-manager")
UP_TIMEOUT_S = 300


class Installation:
    """program: how compose is called, "docker-compose" (v1.29) or "docker compose" (v2)."""

    def __init__(self, engine: DockerEngine, program: str) -> None:
        self.engine = engine
        self.program = shlex.split(program)
        self.port = free_port()
        self.env = {**engine.env, "DOCKER_SOCKET": engine.host[len("unix://"):], "RUNWAVE_PORT": str(self.port)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *args: str, check: bool = True) -> str:
        argv = [*self.program, "-p", PROJECT, *args]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(argv, cwd=repository_root(), env=self.env, text=True, timeout=UP_TIMEOUT_S, check=False, **pipes)
        assert not check or done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def docker(self, *args: str) -> str:
        argv = [docker_program(), *args]
        return subprocess.run(argv, env=self.env, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout

    def up(self) -> None:
        self.compose("up", "-d", "--no-build")
        wait_for(self.is_healthy, 120, "every service is healthy")

    def down(self, *options: str) -> None:
        self.compose("down", *options)

    def containers(self, *filters: str) -> List[str]:
        return self.docker("ps", "-aq", *(f"--filter={one}" for one in filters)).split()

    def service(self, name: str) -> dict:
        found = self.containers(f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={name}")
        return json.loads(self.docker("inspect", found[0]))[0]

    def is_healthy(self) -> bool:
        states = [self.service(name)["State"] for name in (*DAEMONS, "postgres", "rabbitmq")]
        return all(state.get("Health", {}).get("Status") == "healthy" for state in states)

    def pods(self) -> List[dict]:
        """Every container that is a pod, in any state."""
        found = self.containers(f"label={POOL_LABEL}")
        if not found:
            return []
        argv = [docker_program(), "inspect", *found]  # one of them may just have gone
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        done = subprocess.run(argv, env=self.env, text=True, timeout=60, check=False, **pipes)
        return json.loads(done.stdout or "[]")

    def running_pods(self) -> Dict[str, dict]:
        return {pod["Name"].lstrip("/"): pod for pod in self.pods() if pod["State"]["Running"]}

    def crash(self, service: str) -> None:
        """As the kernel or a fault of its own would end it: the engine starts it again, which it does not after `docker kill`."""
        os.kill(self.service(service)["State"]["Pid"], signal.SIGKILL)

    def pods_folder(self) -> Path:
        return Path(self.docker("volume", "inspect", "--format", "{{.Mountpoint}}", "runwave-pods").strip())

    def api(self) -> Api:
        return Api(self.url)
