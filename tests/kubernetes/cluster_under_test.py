"""The installation in the cluster, seen from outside: its API, its pods, its daemons' metrics; and what can be done to it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import yaml
from client import Api, wait_for
from dev.cluster import NAMESPACE, RUNNERS_NAMESPACE, Cluster
from kube_client import KubeClient
from stack.daemon import http_get
from stack.files import repository_root

DAEMONS = ("runwave-api", "runwave-scheduler", "runwave-pod-manager")
PORTS = {"runwave-api": 8080, "runwave-scheduler": 8082, "runwave-pod-manager": 8081}
LANGUAGE, STATE = "runwave.dev/language", "runwave.dev/state"
# A pool that grew in one test should not keep the next one waiting.
QUICK = {"scaling": {"rate_window_ms": 2000, "shrink_delay_ms": 2000, "shrink_step_ms": 500}}


def name_of(pod: dict) -> str:
    return pod["metadata"]["name"]


def is_ready(pod: dict) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def is_leaving(pod: dict) -> bool:
    return "deletionTimestamp" in pod["metadata"]


class ClusterUnderTest:
    def __init__(self, cluster: Optional[Cluster] = None) -> None:
        self.cluster = cluster or Cluster()
        self.kubectl = self.cluster.kubectl
        self.kubeconfig = Path(self.cluster.env["KUBECONFIG"])
        self.kube = KubeClient(self.kubeconfig)
        found = sorted((repository_root() / "runner-images").glob("*/language.yaml"))
        self.languages = {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in found}
        self._url: Optional[str] = None

    @property
    def url(self) -> str:
        self._url = self._url or self.cluster.url
        return self._url

    def api(self) -> Api:
        return Api(self.url)

    # ---- pods ----

    def runners(self, language: Optional[str] = None, state: Optional[str] = None) -> List[dict]:
        wanted = {LANGUAGE: language, STATE: state}
        labels = {key: value for key, value in wanted.items() if value}
        return self.kube.items(f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/pods", **labels)

    def daemons(self, name: str) -> List[dict]:
        return self.kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods", **{"app.kubernetes.io/name": name})

    def leased(self, language: str = "python") -> dict:
        """The one pod whose label says that a task runs in it."""
        found = wait_for(lambda: self.runners(language, "leased"), 20, "a leased pod")
        assert len(found) == 1, [name_of(pod) for pod in found]
        return found[0]

    def leading_manager(self) -> dict:
        return wait_for(lambda: next((pod for pod in self.daemons("runwave-pod-manager") if is_ready(pod)), None), 60, "one leads")

    def target(self, language: str) -> int:
        return self.languages[language]["pool"]["warm"]

    def unsteady(self, is_quiet_enough: bool = False) -> List[str]:
        """What is not as it is when nobody wants anything; quiet: pools may still be larger than that, as they shrink slowly."""
        found = []
        try:
            pods = [pod for pod in self.runners() if pod["metadata"]["labels"].get("runwave.dev/isolation") != "sandbox"]
        except Exception as problem:  # pylint: disable=broad-except  # the API server may be away
            return [str(problem)]
        for language in self.languages:
            mine = [pod for pod in pods if pod["metadata"]["labels"][LANGUAGE] == language.replace("+", "p")]
            warm = [pod for pod in mine if is_ready(pod) and not is_leaving(pod) and pod["metadata"]["labels"][STATE] == "warm"]
            is_right = len(warm) >= self.target(language) if is_quiet_enough else len(warm) == self.target(language)
            if len(warm) != len(mine) or not is_right:
                found.append(f"{language}: {len(warm)} warm of {len(mine)}, {self.target(language)} wanted")
        return found

    def wait_steady(self, timeout_s: float = 180, is_quiet_enough: bool = False) -> None:
        """Every pool has its size, and every pod is warm."""
        deadline = time.monotonic() + timeout_s
        while trouble := self.unsteady(is_quiet_enough):
            assert time.monotonic() < deadline, f"not steady within {timeout_s:g} s: {'; '.join(trouble)}"
            time.sleep(0.5)
        self.cluster.wait_available()

    def wait_quiet(self, timeout_s: float = 120) -> None:
        """Nothing runs, no pool is below its size, the daemons are whole."""
        self.wait_steady(timeout_s, is_quiet_enough=True)

    # ---- what is seen of the daemons ----

    def metric(self, daemon: str, name: str, **labels: str) -> float:
        """Summed over its pods."""
        total = 0.0
        for pod in self.daemons(daemon):
            try:
                text = http_get(f"{pod['status']['podIP']}:{PORTS[daemon]}", "/metrics")[1].decode()
            except (KeyError, OSError):
                continue
            for line in text.splitlines():
                if line.startswith((name + "{", name + " ")) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def failures(self, reason: str) -> float:
        return self.metric("runwave-pod-manager", "runwave_pod_failures_total", reason=reason)

    def secret(self, name: str) -> str:
        path = repository_root() / "k8s-config/overlays/dev/secrets.env"
        pairs = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
        return pairs[name]

    # ---- what is done to it ----

    def configure_pods(self, **keys: Any) -> None:
        """The pod-managers, with these keys besides their own, in a ConfigMap beside theirs; `Cluster.apply` undoes it."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/runwave-pod-manager"
        maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        volumes = self.kube.call("GET", path)["spec"]["template"]["spec"]["volumes"]
        config = next(volume for volume in volumes if volume["name"] == "config")["configMap"]
        data = self.kube.call("GET", f"{maps}/{config['name']}")["data"]
        data["pod-manager.yaml"] = yaml.safe_dump({**yaml.safe_load(data["pod-manager.yaml"]), **keys})
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "runwave-config-of-tests-"}, "data": data}
        config["name"] = name_of(self.kube.call("POST", maps, made))
        self.kube.call("PATCH", path, {"spec": {"template": {"spec": {"volumes": volumes}}}})
        self.cluster.wait_available()

    def delete(self, pod: dict, gently: bool = False) -> None:
        how = ["--wait=false"] if gently else ["--grace-period=0", "--force", "--wait=false"]
        self.kubectl("-n", pod["metadata"]["namespace"], "delete", "pod", name_of(pod), *how)

    def evict(self, pod: dict) -> None:
        """As `kubectl drain` does."""
        metadata = {"name": name_of(pod), "namespace": pod["metadata"]["namespace"]}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
        self.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(eviction))

    def process(self, pod: dict) -> int:
        """Process id, on this machine, of the pod's container."""
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        argv = [self.cluster.programs / "ctr", "-a", self.cluster.state / "containerd.sock", "-n", "k8s.io", "tasks", "ls"]
        listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return next(int(line.split()[1]) for line in listed.splitlines() if line.startswith(container))

    def kill(self, pod: dict) -> None:
        os.kill(self.process(pod), signal.SIGKILL)

    def squeeze(self, pod: dict, limit_bytes: int) -> None:
        """A lower memory limit for the container, whose first process is to die of it."""
        process = self.process(pod)
        (Path("/proc") / str(process) / "oom_score_adj").write_text("1000", encoding="ascii")
        for line in (Path("/proc") / str(process) / "cgroup").read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                (Path("/sys/fs/cgroup/memory" + path) / "memory.limit_in_bytes").write_text(str(limit_bytes), encoding="ascii")
                return
            if not controllers:
                unified = Path("/sys/fs/cgroup" + path) / "memory.max"
                if unified.exists():
                    unified.write_text(str(limit_bytes), encoding="ascii")
                    return
        raise AssertionError("no cgroup of memory")

    def kill_component(self, name: str) -> None:
        """A program of the cluster itself: kubelet, apiserver, ... (Asked to end, an API server waits a minute for its watches.)"""
        pid = int((self.cluster.state / "pids" / name).read_text(encoding="ascii"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not (Path("/proc") / str(pid)).exists(), 30, f"{name} has ended")

    def start_components(self) -> None:
        """Those that do not run."""
        self.cluster.start()

    def names(self) -> Set[str]:
        return {name_of(pod) for pod in self.runners()}


def sleeper(seconds: float, say: str = "over") -> Dict[str, str]:
    return {"language": "python", "source": f"import time\ntime.sleep({seconds})\nprint({say!r})"}


def assert_done(result: dict, stdout: str = "over\n") -> None:
    assert (result["status"], result["verdict"], result["stdout"]) == ("done", "ok", stdout), result
