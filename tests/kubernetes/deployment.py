"""RunWave in the cluster of this machine, as `./dev cluster up` leaves it: its pods, its configuration, and ways to break it."""

import os
import signal
from pathlib import Path
from typing import Any, Dict, List

import requests
import yaml
from client import Api, wait_for
from dev.cluster import NAMESPACE, RUNNERS_NAMESPACE, Cluster
from kube_client import KubeClient, PodRecord
from processes import runner_of, wait_for_code
from stack import repository_root

DAEMONS = ("runwave-api", "runwave-scheduler", "runwave-pod-manager")
PODS = f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/pods"
TEST_CONFIG = "runwave-config-of-tests"
# A pool that grew in one test should not keep the next one waiting.
QUICK = {"scaling": {"rate_window_ms": 2000, "shrink_delay_ms": 2000, "shrink_step_ms": 500}}
REST_TIMEOUT_S = 120


def is_ready(pod: dict) -> bool:
    conditions = pod["status"].get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and {"Ready": "True"}.items() <= {
        each["type"]: each["status"] for each in conditions
    }.items()


def name_of(pod: dict) -> str:
    return pod["metadata"]["name"]


class Deployment:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.kube = KubeClient(Path(cluster.env["KUBECONFIG"]))
        self.url = cluster.url
        files = sorted(repository_root().glob("runner-images/*/language.yaml"))
        self.languages: Dict[str, dict] = {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}

    def api(self) -> Api:
        return Api(self.url)

    # ---- runner pods ----

    def runners(self, **labels: str) -> List[dict]:
        """Those of a language, or in a state; any that are on their way out included."""
        return self.kube.items(PODS, **{f"runwave.dev/{key}": value for key, value in labels.items()})

    def runner(self, name: str) -> dict:
        return self.kube.call("GET", f"{PODS}/{name}")

    def record(self) -> PodRecord:
        return PodRecord(self.kube.kubeconfig, RUNNERS_NAMESPACE)

    def is_at_rest(self) -> bool:
        """Each language has the warm pods of its floor, ready, and there is nothing else."""
        pods = self.runners()
        warm = [pod["metadata"]["labels"].get("runwave.dev/language") for pod in pods if is_warm(pod) and is_ready(pod)]
        floors = {language: each["pool"]["warm"] for language, each in self.languages.items()}
        return len(pods) == len(warm) and {language: warm.count(language) for language in floors} == floors

    def wait_at_rest(self) -> None:
        try:
            wait_for(self.is_at_rest, REST_TIMEOUT_S, "the pools have their size", interval_s=0.3)
        except AssertionError as problem:
            pods = self.cluster.kubectl("-n", RUNNERS_NAMESPACE, "get", "pods", "-L", "runwave.dev/state")
            raise AssertionError(f"{problem}\n{pods}") from problem

    def runner_of(self, mark: str) -> "tuple[str, int]":
        """The name of the pod in which a marked task's code runs, and its runner's process id."""
        process = runner_of(wait_for_code(mark))
        groups = Path(f"/proc/{process}/cgroup").read_text(encoding="ascii")
        return next(name_of(pod) for pod in self.runners() if f"pod{pod['metadata']['uid']}" in groups), process

    def delete_runner(self, name: str, **options: Any) -> None:
        self.kube.call("DELETE", f"{PODS}/{name}", options or None)

    def evict_runner(self, name: str) -> None:
        """As a drain of its node would."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": RUNNERS_NAMESPACE}}
        self.kube.call("POST", f"{PODS}/{name}/eviction", eviction)

    # ---- daemons ----

    def daemons(self, name: str) -> List[dict]:
        found = self.kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods", **{"app.kubernetes.io/name": name})
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> dict:
        """The active pod-manager."""
        return wait_for(
            lambda: next((pod for pod in self.daemons("runwave-pod-manager") if is_ready(pod)), None), 60, "a pod-manager leads", 0.3
        )

    def delete_daemon(self, pod: dict) -> None:
        """At once, as when its node is gone."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name_of(pod)}"
        self.kube.call("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

    def crash_daemon(self, pod: dict) -> None:
        """As a fault of its own would end it: SIGKILL, and kubelet starts it again in the same pod."""
        for process in processes_of(pod):
            os.kill(process, signal.SIGKILL)

    def metric(self, pod: dict, port: int, name: str, **labels: str) -> float:
        """The sum of the series with these labels."""
        text = requests.get(f"http://{pod['status']['podIP']}:{port}/metrics", timeout=10).text
        total = 0.0
        for line in text.splitlines():
            if line.startswith((name + "{", name + " ")) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total

    def pool_metric(self, name: str, **labels: str) -> float:
        return self.metric(self.leader(), 8081, name, **labels)

    def configure_pods(self, **keys: Any) -> None:
        """The pod-managers, with these keys besides their own; `Cluster.apply` undoes it."""
        mounted = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/runwave-pod-manager"
        deployment = self.kube.call("GET", mounted)
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        config = next(volume for volume in volumes if volume["name"] == "config")["configMap"]
        data = self.kube.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{config['name']}")["data"]
        data["pod-manager.yaml"] = yaml.safe_dump({**yaml.safe_load(data["pod-manager.yaml"]), **keys})
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": TEST_CONFIG + "-", "namespace": NAMESPACE}}
        made["metadata"]["labels"] = {"app.kubernetes.io/part-of": "runwave"}
        config["name"] = name_of(self.kube.call("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", {**made, "data": data}))
        self.kube.call("PATCH", mounted, {"spec": {"template": {"spec": {"volumes": volumes}}}})
        self.cluster.wait_available()

    def psql(self, query: str) -> str:
        argv = ["-n", NAMESPACE, "exec", "postgres-0", "--", "psql", "-h", "/var/run/postgresql", "-U", "runwave", "-d", "runwave"]
        return self.cluster.kubectl(*argv, "-Atc", query).strip()


def is_warm(pod: dict) -> bool:
    return pod["metadata"].get("labels", {}).get("runwave.dev/state") == "warm"


def processes_of(pod: dict) -> List[int]:
    """Of all containers of a pod on this machine, but the one that holds its namespaces."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"pod{pod['metadata']['uid']}" in (entry / "cgroup").read_text(encoding="ascii"):
                if not os.readlink(entry / "exe").endswith("/pause"):
                    found.append(int(entry.name))
        except OSError:
            continue
    return found
