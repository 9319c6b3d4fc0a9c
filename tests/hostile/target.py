"""Where attacks are run: a whole RunWave on one of its backends, seen from outside, and what of it no attack may change.

Another backend or isolation level is another subclass in TARGETS; attacks and tests do not know which one they have.
"""

import json
import subprocess
from pathlib import Path
from typing import Dict, List

import requests
import yaml
from client import Api, wait_for
from remains import Footprint, Remains
from stack import Stack, repository_root
from stack.daemon import http_get

POOL_WARM = 1
POOL_MAX = 4
COMPILE_CPU_MS = 4000
SETTLE_S = 90
# What the daemons may grow by over all attacks: caches of connections and of the allocator, no growth per task.
GROWTH_BYTES_MAX = 24 << 20


class Target:
    """name: of the target. level: the sandbox strategy in force, "namespaces" or "container"."""

    name = ""
    level = ""
    url = ""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> Dict[str, object]:
        """Returns the daemons' exit statuses."""
        raise NotImplementedError

    def lacks(self, defence: str) -> str:
        """Why a defence that an attack needs is not there, in words; "" when it is."""
        raise NotImplementedError

    def ports(self) -> List[int]:
        """TCP ports of the daemons and servers, for attacks that scan."""
        raise NotImplementedError

    def settle(self) -> List[str]:
        """Waits until the pools are back at their size; then what is not as it was before the first attack, one line each."""
        raise NotImplementedError

    def api(self) -> Api:
        return Api(self.url)

    def languages(self) -> List[dict]:
        return requests.get(self.url + "/languages", timeout=10).json()["languages"]


def _languages(slowness: int) -> Dict[str, dict]:
    """The languages' own settings, with small pools, and with short limits for the compilers that are attacked."""
    changed = {}
    for path in sorted((repository_root() / "runner-images").glob("*/language.yaml")):
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
        changed[about["id"]] = {"pool": {"warm": POOL_WARM, "max": POOL_MAX}}
        if about["id"] in ("c", "cpp"):
            about["limits"]["compile"].update(cpu_ms=COMPILE_CPU_MS * slowness, wall_ms=2 * COMPILE_CPU_MS * slowness)
            changed[about["id"]]["limits"] = about["limits"]
    return changed


class LocalTarget(Target):
    """The local backend: every pod is a process of this machine with a `namespaces` sandbox."""

    name = "local"
    level = "namespaces"

    def __init__(self, state: Path, programs, slowness: int, has_sanitizers: bool) -> None:
        self.stack = Stack(state, programs, languages=_languages(slowness))
        self.growth_bytes_max = GROWTH_BYTES_MAX * (8 if has_sanitizers else 1)
        probe = subprocess.run([str(programs["runner"]), "--probe"], stdout=subprocess.PIPE, check=False)
        self.found = json.loads(probe.stdout)

    def start(self) -> None:
        self.stack.start()
        self.url = self.stack.url
        self._pools = {language: POOL_WARM for language in self.stack.languages}
        self._warm_up()
        pods = self._await_pools()
        self.remains = Remains(
            Footprint(
                state=self.stack.state,
                manager_pid=self.stack.pod_manager.process.pid,
                uids=range(self.stack.uid_base(), self.stack.uid_base() + 4096),
                cgroup=self.stack.pod_manager.config["local"]["cgroup"],
            )
        )
        self.remains.remember(pods)
        self._daemons = {name: (daemon.process.pid, daemon.rss_bytes()) for name, daemon in self.stack.daemons.items()}

    def stop(self) -> Dict[str, object]:
        return self.stack.stop()

    def lacks(self, defence: str) -> str:
        cgroup = self.found.get("cgroup") or {}
        there = {
            "namespaces": self.found.get("namespaces"),
            "seccomp": self.found.get("seccomp"),
            "own_uid": self.found.get("own_uid"),
            "landlock": self.found.get("landlock_abi", 0) > 0,
            "cgroup_memory": cgroup.get("memory"),
            "cgroup_pids": cgroup.get("pids"),
            "cgroup_cpu": cgroup.get("cpu"),
            "own_network": self.level == "namespaces",
        }
        if defence not in there:
            raise ValueError(f"no defence is called {defence!r}; there are: {', '.join(sorted(there))}")
        return "" if there[defence] else f"no {defence} on this kernel (runwave-runner --probe: {json.dumps(self.found)})"

    def ports(self) -> List[int]:
        return [self.stack.api_port, self.stack.postgres.port, self.stack.rabbitmq.port]

    def settle(self) -> List[str]:
        problems = []
        try:
            pods = self._await_pools()
            problems += self.remains.problems(pods)
        except AssertionError as problem:
            problems.append(str(problem))
        for name, (pid, rss_bytes) in self._daemons.items():
            daemon = self.stack.daemons[name]
            if not daemon.process.is_alive() or daemon.process.pid != pid:
                problems.append(f"{name} was restarted or ended")
            elif daemon.rss_bytes() > rss_bytes + self.growth_bytes_max:
                problems.append(f"{name} grew from {rss_bytes >> 20} to {daemon.rss_bytes() >> 20} MiB")
        problems += [f"sanitizer report {path}" for path in self.stack.sanitizer_reports()]
        return problems

    def _warm_up(self) -> None:
        """What daemons take for their first tasks and for large results is not growth."""
        api = self.api()
        flood = "import sys\nfor s in (sys.stdout, sys.stderr):\n    s.write('x' * (1 << 20))"
        for _ in range(4):
            assert api.python(flood)["verdict"] == "ok"
        api.close()

    def _pods(self) -> List[dict]:
        token = Path(self.stack.state / "secret" / "pod-manager-token").read_text(encoding="utf-8").strip()
        listen = self.stack.pod_manager.listen
        status, body = http_get(listen, "/pods", headers={"Authorization": f"Bearer {token}"})
        assert status == 200, body
        return json.loads(body)["pods"]

    def _await_pools(self) -> List[dict]:
        def full():
            pods = self._pods()
            count = {language: 0 for language in self._pools}
            for pod in pods:
                if pod["phase"] != "warm":
                    return None
                count[pod["language"]] += 1
            return pods if count == self._pools else None

        return wait_for(full, SETTLE_S, f"every pool has {POOL_WARM} warm pods and no other")


TARGETS = {target.name: target for target in (LocalTarget,)}
