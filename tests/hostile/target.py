"""Where attacks are run: a whole RunWave on one of its backends, seen from outside, and what of it no attack may change.

Another backend or isolation level is another subclass in TARGETS; attacks and tests do not know which one they have.
"""

import json
import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Dict, Iterator, List

import requests
import yaml
from client import Api, wait_for
from neighbours import Neighbour
from remains import FileSearch, Footprint, Remains
from stack import Stack, repository_root
from stack.daemon import http_get

POOL_WARM = 1
SLOTS = 3  # of a pod that serves many: an attack, its neighbour, and an honest task that comes meanwhile
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

    @contextmanager
    def neighbours(self, languages: List[str]) -> Iterator[None]:
        """Honest tasks of these languages that share what attacks run in, and have to end right; none where nothing is shared."""
        del languages
        yield

    def settle(self) -> List[str]:
        """Waits until the pools are back at their size; then what is not as it was before the first attack, one line each."""
        raise NotImplementedError

    def api(self) -> Api:
        return Api(self.url)

    def languages(self) -> List[dict]:
        return requests.get(self.url + "/languages", timeout=10).json()["languages"]


def _languages(slowness: int, pool_max: int) -> Dict[str, dict]:
    """The languages' own settings, with small pools, and with short limits for the compilers that are attacked."""
    changed = {}
    for path in sorted((repository_root() / "runner-images").glob("*/language.yaml")):
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
        changed[about["id"]] = {"pool": {"warm": POOL_WARM, "max": pool_max}}
        if about["id"] in ("c", "cpp"):
            about["limits"]["compile"].update(cpu_ms=COMPILE_CPU_MS * slowness, wall_ms=2 * COMPILE_CPU_MS * slowness)
            changed[about["id"]]["limits"] = about["limits"]
    return changed


def _held(language: dict) -> int:
    """How many processes a sandbox of this language keeps started while it has no job (docs/warm.md)."""
    version = next(version for version in language["versions"] if version.get("default"))
    warm = version.get("warm") or {}
    return int(bool(warm.get("run"))) + int("compile" in warm)


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class LocalTarget(Target):
    """The local backend: every pod is a process of this machine with a `namespaces` sandbox."""

    name = "local"
    level = "namespaces"
    isolation = "pod"
    pool_max = 4

    def __init__(self, state: Path, programs, slowness: int, has_sanitizers: bool) -> None:
        isolation = {"default": self.isolation, "offered": [self.isolation], "slots": SLOTS}
        # A pool that has grown is soon back at its size: that is waited for after each attack.
        scaling = {"rate_window_ms": 1000, "shrink_delay_ms": 500, "shrink_step_ms": 100}
        overrides = {"pod-manager": {"isolation": isolation, "scaling": scaling}, "api": {"isolation": [self.isolation]}}
        self.stack = Stack(state, programs, overrides=overrides, languages=_languages(slowness, self.pool_max))
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
                held={name: _held(about) for name, about in self.stack.languages.items()},
                slots=SLOTS,
            )
        )
        self.remains.remember(pods)
        self._lasting = {name: (pid, _rss_bytes(pid)) for name, pid in self._lasting_pids(pods).items()}

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
        files = FileSearch(self.remains.footprint)
        try:
            pods = self._await_pools()
            problems += self.remains.problems(pods, files)
        except AssertionError as problem:
            problems.append(str(problem))
        else:
            problems += self._changed(self._lasting_pids(pods))
        problems += [f"sanitizer report {path}" for path in self.stack.sanitizer_reports()]
        return problems

    def _lasting_pids(self, _pods: List[dict]) -> Dict[str, int]:
        """By name: processes that are there from the first attack to the last."""
        return {name: daemon.process.pid if daemon.process.is_alive() else 0 for name, daemon in self.stack.daemons.items()}

    def _changed(self, pids: Dict[str, int]) -> Iterator[str]:
        for name, (pid, rss_bytes) in self._lasting.items():
            if pids.get(name) != pid:
                yield f"{name} was restarted or ended"
            elif (now_bytes := _rss_bytes(pid)) > rss_bytes + self.growth_bytes_max:
                yield f"{name} grew from {rss_bytes >> 20} to {now_bytes >> 20} MiB"

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


class LocalSandboxTarget(LocalTarget):
    """The local backend with pods that serve many tasks: one a language, so that every attack shares it with a neighbour, and with
    whatever comes after."""

    name = "local-sandbox"
    isolation = "sandbox"
    pool_max = 1

    @contextmanager
    def neighbours(self, languages: List[str]) -> Iterator[None]:
        pods = {pod["language"]: pod["pid"] for pod in self._pods()}
        with ExitStack() as stack:  # each is ended, whatever the attack and the others came to
            api = self.api()
            stack.callback(api.close)
            beside = [Neighbour(api, language) for language in languages]
            for neighbour in beside:
                stack.callback(neighbour.finish)
            for neighbour in beside:
                neighbour.present(pods[neighbour.language])
            yield

    def _lasting_pids(self, pods: List[dict]) -> Dict[str, int]:
        return {**super()._lasting_pids(pods), **{f"the steward of {pod['language']}": pod["pid"] for pod in pods}}


TARGETS = {target.name: target for target in (LocalTarget, LocalSandboxTarget)}
