#!/usr/bin/python3
"""How many single-use pods a second: tasks through RunWave, and bare pods of the same template created, awaited and deleted by as
many hands at the same API server, one after the other in the same run. Usage: measure_churn.py [SECONDS]"""

import base64
import json
import sys
import threading
import time
from typing import Callable, List

import scene  # noqa: F401  # sets the path of the next ones
from client import wait_for
from cluster_under_test import ClusterUnderTest, is_ready
from dev.cluster import RUNNERS_NAMESPACE
from kube_client import KubeClient

NAMESPACE = "runwave-churn"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
HANDS = 8
WARM_UP_S = 5
TURNS = 2  # of each: what else the machine does meanwhile hits both


def bare_spec(installed: ClusterUnderTest) -> dict:
    """What the pod-manager makes of the PodTemplate `runner` for Python."""
    template = installed.cluster.get("-n", RUNNERS_NAMESPACE, "podtemplate", "runner")[0]["template"]["spec"]
    spec = json.loads(json.dumps(template).replace("$(language)", "python"))
    spec.update(restartPolicy="Never", serviceAccountName="default", topologySpreadConstraints=[])
    env = {"RUNWAVE_POD_SECRET": base64.b64encode(bytes(32)).decode("ascii"), "RUNWAVE_POD": "bare"}
    spec["containers"][0]["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return spec


def bare_pod(kube: KubeClient, spec: dict, name: str) -> None:
    """Create it, await that it is ready, delete it: asked of the API server without any client in between."""
    kube.call("POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    query = {"fieldSelector": f"metadata.name={name}", "watch": "true", "timeoutSeconds": "60"}
    with kube.ask("GET", PODS, params=query, stream=True, timeout=90) as stream:
        for line in stream.iter_lines(chunk_size=1):
            if is_ready(json.loads(line)["object"]):
                break
    kube.call("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})


def rate(hands: int, seconds: float, work: Callable[[int], Callable[[int], None]]) -> float:
    """How often a second, by that many hands, once they have found their pace."""
    done: List[float] = []
    begin = time.monotonic()
    end = begin + WARM_UP_S + seconds

    def run(hand: int) -> None:
        act = work(hand)
        number = 0
        while time.monotonic() < end:
            act(number)
            number += 1
            done.append(time.monotonic())

    threads = [threading.Thread(target=run, args=(hand,)) for hand in range(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(1 for at in done if begin + WARM_UP_S <= at < end) / seconds


def figures(installed: ClusterUnderTest, seconds: float = 30) -> List[str]:
    spec = bare_spec(installed)
    installed.kubectl("create", "namespace", NAMESPACE)

    def bare_hand(hand: int) -> Callable[[int], None]:
        kube = KubeClient(installed.kubeconfig)
        turn = len(bare)
        return lambda number: bare_pod(kube, spec, f"bare-{turn}-{hand}-{number}")

    def task_hand(_hand: int) -> Callable[[int], None]:
        api = installed.api()

        def act(_number: int) -> None:
            assert api.python("print(1)", timeout_s=120)["stdout"] == "1\n"

        return act

    bare, tasks = [], []
    try:
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        wait_for(lambda: installed.kubectl("get", "--raw", account, check=False), 30, "the namespace's service account", 0.5)
        for _ in range(TURNS):
            bare.append(rate(HANDS, seconds / TURNS, bare_hand))
            tasks.append(rate(HANDS, seconds / TURNS, task_hand))
    finally:
        installed.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    rates = f"{sum(tasks) / TURNS:.2f}/s as tasks, {sum(bare) / TURNS:.2f}/s bare, ratio {sum(tasks) / sum(bare):.2f}"
    return [f"single-use pods: {rates} ({HANDS} hands, {TURNS} turns of {seconds / TURNS:g} s)"]


if __name__ == "__main__":
    print("\n".join(figures(ClusterUnderTest(), *(float(each) for each in sys.argv[1:]))))
