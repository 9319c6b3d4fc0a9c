"""Pods that come, go and break while tasks run."""

import concurrent.futures
import json
import time

import pytest
from client import wait_for
from cluster_under_test import RUNNERS_NAMESPACE, assert_done, name_of, sleeper


def test_a_pool_grows_with_demand_and_shrinks_again(k8s, api):
    k8s.wait_steady()
    most = k8s.languages["python"]["pool"]["max"]
    tasks = [api.accepted(**sleeper(8)) for _ in range(most + 4)]
    counts = []

    def has_grown():
        counts.append(len(k8s.runners("python")))
        return counts[-1] >= most - 1

    wait_for(has_grown, 60, "the pool has grown")
    for task in tasks:
        assert_done(api.result(task, 120))
        counts.append(len(k8s.runners("python")))
    k8s.wait_steady()
    assert max(counts) <= most + 2, counts  # and pods on their way out


BLOWS = {
    "deleted": lambda k8s, pod: k8s.delete(pod),
    "deleted_gently": lambda k8s, pod: k8s.delete(pod, gently=True),
    "killed": lambda k8s, pod: k8s.kill(pod),
    "evicted": lambda k8s, pod: k8s.evict(pod),
}


@pytest.mark.parametrize("blow", BLOWS)
def test_a_pod_lost_in_mid_task_is_a_new_attempt(k8s, api, blow):
    task = api.accepted(**sleeper(5))
    victim = k8s.leased()
    BLOWS[blow](k8s, victim)
    result = api.result(task, 90)
    assert_done(result)
    assert result["attempt"] == 2
    wait_for(lambda: name_of(victim) not in k8s.names(), 30, "the victim is gone")


# Small itself, so that it is the runner that the kernel finds to be the largest: what it fills is files in memory.
FILLER = """
#include <stdio.h>
#include <unistd.h>
static char block[1 << 16];
int main(void) {
    puts("begun");
    fflush(stdout);
    sleep(4);
    for (int i = 0; i < 640; i++) {
        char name[32];
        snprintf(name, sizeof name, "/tmp/much%d", i / 64);
        FILE *file = fopen(name, "a");
        if (!file || fwrite(block, sizeof block, 1, file) != 1) { perror(name); return 2; }
        fclose(file);
    }
    sleep(20);
    return 0;
}
"""


def test_a_pod_that_runs_out_of_memory_is_the_tasks_memory_limit(k8s, api):
    task = api.accepted(language="c", source=FILLER, limits={"wall_ms": 30000})
    k8s.squeeze(k8s.leased("c"), 24 << 20)
    result = api.result(task, 90)
    assert (result["status"], result["verdict"], result["attempt"]) == ("done", "memory_limit", 1), result
    assert "whole pod" in result["reason"] and result["stdout"] == "begun\n" and result["memory_bytes"] is None


def test_a_changed_template_replaces_warm_pods_and_leaves_leased_ones(k8s, api):
    task = api.accepted(**sleeper(6))
    leased = name_of(k8s.leased())
    before = k8s.names() - {leased}
    k8s.kubectl("-n", RUNNERS_NAMESPACE, "annotate", "--overwrite", "podtemplate", "runner", f"runwave.dev/test={time.time():.0f}")
    fewest = []

    def is_replaced():
        pods = k8s.runners("python")
        fewest.append(len(pods))
        return not {name_of(pod) for pod in pods} & before

    wait_for(is_replaced, 90, "python's warm pods are others")
    result = api.result(task, 60)
    assert_done(result)
    assert result["attempt"] == 1 and min(fewest) >= k8s.target("python")


def test_a_quota_that_is_reached_is_told_and_tasks_wait(k8s):
    n_before = k8s.failures("quota")
    hard = {"pods": str(len(k8s.runners()))}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "test", "namespace": RUNNERS_NAMESPACE}}
    k8s.kubectl("apply", "-f", "-", text=json.dumps({**quota, "spec": {"hard": hard}}))
    asked = ("-n", RUNNERS_NAMESPACE, "resourcequota", "test")
    wait_for(lambda: k8s.cluster.get(*asked)[0].get("status", {}).get("used"), 20, "counted")
    try:
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            results = list(pool.map(lambda _: _run(k8s, **sleeper(3)), range(5)))
        for result in results:
            assert_done(result)
            assert result["attempt"] == 1
        n_refused = k8s.failures("quota") - n_before
        assert 1 <= n_refused <= 40, n_refused  # told, and no hot loop
        events = k8s.cluster.get("-n", RUNNERS_NAMESPACE, "events")
        assert any(event["reason"] == "Quota" and "exceeded quota" in event["message"] for event in events)
    finally:
        k8s.kubectl("-n", RUNNERS_NAMESPACE, "delete", "resourcequota", "test")


def _run(k8s, **request):
    client = k8s.api()
    try:
        return client.run(timeout_s=120, **request)
    finally:
        client.close()
