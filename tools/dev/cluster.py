"""`./dev cluster`: RunWave in a real Kubernetes of one node on this machine (tests/cluster), from images built here."""

import argparse
import json
import os
import secrets
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from stack import repository_root
from stack.docker_engine import DockerEngine
from stack.files import write_private
from stack.process import wait_until
from stack.daemon import http_get

from .images import Images, catalogue, reference
from .say import Failure, say

NAMESPACE = "runwave"
RUNNERS_NAMESPACE = "runwave-runners"
OVERLAY = "k8s-config/overlays/dev"
NODE_PORT = 30080
SECRETS = ("database-password", "broker-password", "pod-manager-token")
AVAILABLE_TIMEOUT_S = 240
# Deployment or StatefulSet -> how many of its pods have to be ready. Of the pod-managers one leads; who stands by is not ready.
WORKLOADS = {
    "statefulset/postgres": 1,
    "statefulset/rabbitmq": 1,
    "deployment/runwave-pod-manager": 1,
    "deployment/runwave-scheduler": 2,
    "deployment/runwave-api": 2,
}


class Cluster:
    """The one cluster of this machine. Everything it does can be repeated."""

    def __init__(self, log_dir: Optional[Path] = None) -> None:
        self.root = repository_root()
        self.script = self.root / "tests/cluster/cluster"
        self.state = Path(os.environ.get("RUNWAVE_CLUSTER") or "/var/tmp/runwave-cluster")
        self.programs = Path(os.environ.get("RUNWAVE_CLUSTER_BIN") or Path.home() / ".cache/runwave-cluster/bin")
        self.log_dir = log_dir or self.root / ".runwave/log"

    # ---- for tests, too ----

    @property
    def env(self) -> Dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.state / "admin.conf"), "PATH": f"{self.programs}:{os.environ.get('PATH', '')}"}

    @property
    def url(self) -> str:
        """Of the api-server's Service, on the node's own address."""
        nodes = self.get("nodes")
        address = next(each["address"] for each in nodes[0]["status"]["addresses"] if each["type"] == "InternalIP")
        return f"http://{address}:{NODE_PORT}"

    def kubectl(self, *args: str, text: Optional[str] = None, check: bool = True, timeout_s: float = 120) -> str:
        """What it printed. Failure with what it complained of."""
        argv = [str(self.programs / "kubectl"), *args]
        ran = subprocess.run(argv, env=self.env, input=text, text=True, capture_output=True, timeout=timeout_s, check=False)
        if check and ran.returncode != 0:
            raise Failure(f"kubectl {' '.join(args)}: {ran.stderr.strip()}")
        return ran.stdout

    def get(self, *args: str) -> List[dict]:
        """The items of `kubectl get ARGS`."""
        found = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found["items"] if "items" in found else [found]

    def is_up(self) -> bool:
        return (self.programs / "kubectl").exists() and self.kubectl("get", "--raw", "/readyz", check=False) == "ok"

    def up(self) -> str:
        """Everything, from nothing if need be; the URL of the api-server."""
        self.start()
        self.load()
        self.apply()
        return self.url

    def start(self) -> None:
        """Kubernetes alone."""
        if not (self.programs / "kube").exists():
            say("building Kubernetes from its Go modules (minutes, the first time)")
        self._script("up")

    def down(self) -> None:
        self._script("down")

    def load(self, names: Sequence[str] = ()) -> List[str]:
        """Build the images and bring those that changed to the node; their references."""
        loaded_path = self.state / "loaded.json"
        loaded = json.loads(loaded_path.read_text(encoding="utf-8")) if loaded_path.exists() else {}
        with DockerEngine() as engine:
            images = Images(engine, self.log_dir)
            built = images.build(names or list(catalogue()))
            changed = sorted(image for image, digest in built.items() if loaded.get(image) != digest)
            if changed:
                say(f"loading {len(changed)} images into the cluster")
                with tempfile.TemporaryDirectory(dir=self.state) as folder:
                    images.save(changed, Path(folder) / "images.tar")
                    self._script("load", str(Path(folder) / "images.tar"))
        write_private(loaded_path, json.dumps({**loaded, **built}))
        return changed

    def apply(self) -> None:
        """The dev overlay, and wait until everything serves."""
        self.write_secrets()
        self.kubectl("apply", "-k", str(self.root / OVERLAY))
        self.wait_available()

    def restart(self, changed: Sequence[str]) -> None:
        """What runs an image of these: daemons by a rollout; the pod-manager replaces warm pods when their PodTemplate changes."""
        for kind in ("deployments", "statefulsets"):
            for workload in self.get("-n", NAMESPACE, kind):
                if any(each["image"] in changed for each in workload["spec"]["template"]["spec"]["containers"]):
                    self.kubectl("-n", NAMESPACE, "rollout", "restart", f"{kind}/{workload['metadata']['name']}")
        if any(image.startswith(reference("runner-").partition(":")[0]) for image in changed):
            stamp = f"runwave.dev/loaded-at={time.time():.0f}"
            self.kubectl("-n", RUNNERS_NAMESPACE, "annotate", "--overwrite", "podtemplates", "--all", stamp)
        self.wait_available()

    def wait_available(self, timeout_s: float = AVAILABLE_TIMEOUT_S) -> None:
        try:
            wait_until(self._is_available, timeout_s, "RunWave in the cluster", interval_s=0.5)
            wait_until(self._answers, timeout_s, "the api-server's Service", interval_s=0.2)
        except TimeoutError as problem:
            pods = self.kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide", check=False)
            events = self.kubectl("-n", NAMESPACE, "get", "events", "--field-selector", "type=Warning", check=False)
            raise Failure(f"{problem}\n{pods}{events}") from problem

    def write_secrets(self) -> None:
        """Random ones, once: the dev overlay makes its Secret of this file, which is not checked in."""
        path = self.root / OVERLAY / "secrets.env"
        if not path.exists():
            write_private(path, "".join(f"{name}={secrets.token_urlsafe(24)}\n" for name in SECRETS))

    # ---- inside ----

    def _script(self, *args: str) -> None:
        if subprocess.run([str(self.script), *args], check=False).returncode != 0:
            raise Failure(f"tests/cluster/cluster {args[0]} failed; logs are in {self.state}/logs")

    def _is_available(self) -> bool:
        found = {}
        for kind in ("deployment", "statefulset"):
            for each in self.get("-n", NAMESPACE, kind):
                status = each["status"]
                is_current = status.get("observedGeneration", 0) >= each["metadata"]["generation"]
                is_rolled = status.get("updatedReplicas", 0) == status.get("replicas", 0) == each["spec"]["replicas"]
                found[f"{kind}/{each['metadata']['name']}"] = status.get("readyReplicas", 0) if is_current and is_rolled else 0
        return all(found.get(name, 0) >= ready for name, ready in WORKLOADS.items())

    def _answers(self) -> bool:
        try:
            return http_get(self.url.partition("//")[2], "/readyz")[0] == 200
        except OSError:
            return False


def _up(cluster: Cluster) -> None:
    started = time.monotonic()
    url = cluster.up()
    say(f"RunWave runs in the cluster, up in {time.monotonic() - started:.0f} s: {url}")
    say('for kubectl and curl: eval "$(./dev cluster env)"')


def _load(cluster: Cluster) -> None:
    if not cluster.is_up():
        raise Failure("the cluster does not run: ./dev cluster up")
    changed = cluster.load()
    cluster.restart(changed)
    say(f"loaded: {', '.join(changed) or 'nothing had changed'}")


def _env(cluster: Cluster) -> None:
    if not cluster.is_up():
        raise Failure("the cluster does not run: ./dev cluster up")
    print(f"export KUBECONFIG={shlex.quote(cluster.env['KUBECONFIG'])}")
    print(f"export PATH={shlex.quote(str(cluster.programs))}:$PATH")
    print(f"export RUNWAVE_URL={cluster.url}")


ACTIONS = {"up": _up, "down": Cluster.down, "load": _load, "env": _env}


def run(options: argparse.Namespace) -> int:
    ACTIONS[options.action](Cluster(options.state / "log"))
    return 0
