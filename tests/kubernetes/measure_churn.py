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
import requests
from client import wait_for
from cluster_under_test import ClusterUnderTest, is_ready
from dev.cluster import RUNNERS_NAMESPACE

NAMESPACE = "runwave-churn"
HANDS = 8
WARM_UP_S = 5


class Bare:
    """The API server, asked as admin, without any client in between."""

    def __init__(self, installed: ClusterUnderTest) -> None:
        pki = installed.cluster.state / "pki"
        self.pki = pki
        self.pods = f"https://127.0.0.1:6443/api/v1/namespaces/{NAMESPACE}/pods"
        template = installed.cluster.get("-n", RUNNERS_NAMESPACE, "podtemplate", "runner")[0]["template"]["spec"]
        text = json.dumps(template).replace("$(language)", "python")
        self.spec = {**json.loads(text), "restartPolicy": "Never", "serviceAccountName": "default"}
        secret = base64.b64encode(bytes(32)).decode("ascii")
        env = {"RUNWAVE_POD_SECRET": secret, "RUNWAVE_POD": "bare"}
        self.spec["containers"][0]["env"] = [{"name": name, "value": value} for name, value in env.items()]
        self.spec["topologySpreadConstraints"] = []

    def session(self) -> requests.Session:
        session = requests.Session()
        session.verify = str(self.pki / "ca.crt")
        session.cert = (str(self.pki / "admin.crt"), str(self.pki / "admin.key"))
        return session

    def one(self, session: requests.Session, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": self.spec}
        answer = session.post(self.pods, json=body, timeout=30)
        assert answer.status_code == 201, answer.text
        query = {"fieldSelector": f"metadata.name={name}", "watch": "true", "timeoutSeconds": "60"}
        with session.get(self.pods, params=query, stream=True, timeout=90) as stream:
            for line in stream.iter_lines(chunk_size=1):
                if is_ready(json.loads(line)["object"]):
                    break
        session.delete(f"{self.pods}/{name}", json={"gracePeriodSeconds": 0}, timeout=30)


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


def figures(installed: ClusterUnderTest, seconds: float = 25) -> List[str]:
    bare = Bare(installed)
    installed.kubectl("create", "namespace", NAMESPACE)

    def bare_hand(hand: int) -> Callable[[int], None]:
        session = bare.session()
        return lambda number: bare.one(session, f"bare-{hand}-{number}")

    def task_hand(_hand: int) -> Callable[[int], None]:
        api = installed.api()

        def act(_number: int) -> None:
            assert api.python("print(1)", timeout_s=120)["stdout"] == "1\n"

        return act

    try:
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        wait_for(lambda: installed.kubectl("get", "--raw", account, check=False), 30, "the namespace's service account")
        bare_rate = rate(HANDS, seconds, bare_hand)
    finally:
        installed.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    wait_for(lambda: not installed.cluster.get("-n", NAMESPACE, "pods"), 60, "the bare pods are gone")
    task_rate = rate(HANDS, seconds, task_hand)
    rates = f"{task_rate:.2f}/s as tasks, {bare_rate:.2f}/s bare, ratio {task_rate / bare_rate:.2f}"
    return [f"single-use pods: {rates} ({HANDS} hands, {seconds:g} s)"]


if __name__ == "__main__":
    print("\n".join(figures(ClusterUnderTest(), *(float(each) for each in sys.argv[1:]))))
