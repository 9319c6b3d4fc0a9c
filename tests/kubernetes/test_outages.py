"""What is killed and cut off: daemons, the API server, the kubelet. No task is lost, none ends twice, no pod is left."""

import itertools
import time

import pytest
from client import wait_for
from cluster_under_test import DAEMONS, assert_done, is_ready, name_of, sleeper
from crowd import Crowd
from watcher import Watcher

DAEMON_OF_TEST = {"pod_manager": "runwave-pod-manager", "scheduler": "runwave-scheduler", "api": "runwave-api"}


def rolled(k8s, gone):
    """The Deployments are whole again, without the ones that were killed."""
    names = {name_of(pod) for name in DAEMONS for pod in k8s.daemons(name)}
    return not names & gone and all(len(k8s.daemons(name)) == 2 for name in DAEMONS)


@pytest.mark.parametrize("which", DAEMON_OF_TEST)
def test_a_daemon_killed_in_mid_task_loses_nothing(k8s, api, which):
    tasks = [api.accepted(**sleeper(4, f"task {number}")) for number in range(4)]
    wait_for(lambda: k8s.runners("python", "leased"), 20, "tasks run")
    pods = k8s.daemons(DAEMON_OF_TEST[which])
    for pod in pods:
        k8s.delete(pod)
    for number, task in enumerate(tasks):
        result = api.result(task, 150)
        assert_done(result, f"task {number}\n")
        assert result["attempt"] <= (2 if which == "scheduler" else 1), result
    wait_for(lambda: rolled(k8s, {name_of(pod) for pod in pods}), 90, "the Deployment is whole again")


def test_500_tasks_while_every_daemon_pod_is_killed_once(k8s, request):
    """By the API's answers and the cluster's pods: each task ends exactly once, no pod is left over, pools have their sizes."""
    began = time.monotonic()
    crowd = Crowd(k8s.url, 500, 12, timeout_s=420)
    killed = []
    with Watcher(k8s, crowd) as watcher:
        crowd.start()
        order = itertools.chain.from_iterable(zip(*(k8s.daemons(name) for name in DAEMONS)))
        for at, pod in enumerate(order):
            wait_for(lambda: crowd.n_final >= 40 + at * 55 or crowd.failures, 300, "the crowd goes on", interval_s=0.2)
            k8s.delete(pod)
            killed.append(name_of(pod))
        crowd.join()
        took_s = time.monotonic() - began
        k8s.wait_steady(240)
    crowd.assert_right()
    assert len(killed) == 6 and rolled(k8s, set(killed))
    violations = watcher.violations()
    assert not violations, "\n".join(violations[:20])
    retried = sum(1 for result in crowd.results.values() if result["attempt"] > 1)
    request.config.figures.append(
        f"500 tasks while {len(killed)} daemon pods were killed: {took_s:.0f} s, {retried} with a second attempt,"
        f" refusals {crowd.refusals or 'none'}, {len(watcher.pods.states)} runner pods and {watcher.n_answers} answers looked at"
    )


def test_an_api_server_that_restarts_is_not_noticed_by_tasks(k8s):
    crowd = Crowd(k8s.url, 24, 4, lambda number: f"import time\ntime.sleep(1)\nprint({number} * {number})", timeout_s=240).start()
    wait_for(lambda: crowd.n_final >= 3, 60, "tasks run")
    k8s.kill_component("apiserver")
    try:
        time.sleep(5)  # an outage, not a blink: warm pods are used up meanwhile
    finally:
        k8s.start_components()
    crowd.join()
    crowd.assert_right()
    assert all(result["attempt"] == 1 for result in crowd.results.values())


def test_a_node_that_is_lost_and_comes_back(k8s, api):
    n_before = k8s.failures("node_lost")
    task = api.accepted(**sleeper(3))
    k8s.leased()
    warm = k8s.names()
    k8s.kill_component("kubelet")
    try:
        assert_done(api.result(task, 60))
        wait_for(lambda: not is_ready(k8s.cluster.get("node", "node1")[0]), 120, "the cluster has noticed")
        wait_for(lambda: k8s.failures("node_lost") > n_before, 60, "the pod-manager has noticed")
        waiting = api.accepted(**sleeper(0))
    finally:
        k8s.start_components()
    wait_for(lambda: is_ready(k8s.cluster.get("node", "node1")[0]), 60, "the node is back")
    result = api.result(waiting, 120)
    assert_done(result)
    k8s.wait_steady(240)
    assert not k8s.names() & warm, "pods of the lost node still serve"
