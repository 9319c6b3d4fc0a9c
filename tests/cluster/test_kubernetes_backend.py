"""The kubernetes backend against a real API server, kubelet and runtime. Skipped where RUNWAVE_TEST_KUBECONFIG names none."""

import json
import secrets
import signal
import threading
import time

import pytest

from kube import KUBECONFIG, Cutter, Manager, Space, Throttler, await_that, runner_template

pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="RUNWAVE_TEST_KUBECONFIG names no kubeconfig")


@pytest.fixture
def space():
    made = Space(f"backend-{secrets.token_hex(4)}")
    yield made
    made.remove()


@pytest.fixture
def start(space, tmp_path):
    managers = []

    def make(**options):
        managers.append(Manager(tmp_path / f"pm{len(managers)}", space, **options))
        return managers[-1]

    yield make
    for manager in managers:
        manager.stop(signal.SIGKILL)


def events(space, reason):
    return [event["message"] for event in space.get("events") if event["reason"] == reason]


def test_a_killed_leader_is_followed_by_one_that_adopts_its_pods(start, space):
    first = start().wait_ready().wait_warm(2)
    second = start()
    await_that(lambda: "standing by" in second.call("GET", "/readyz")[1], what="the second stands by")
    assert first.is_ready() and not second.is_ready()
    leased = first.lease()["pod"]
    first.wait_warm(2)
    await_that(lambda: "leased" in space.kubectl("get", "pod", leased, "-o", "jsonpath={.metadata.labels}"), what="the label")
    before = space.pods()
    assert len(before) == 3

    first.stop(signal.SIGKILL)
    second.wait_ready(timeout_s=40).wait_warm(2)
    assert second.pods("warm") == before - {leased}
    assert second.pods("leased") == {leased}
    assert space.pods() == before
    assert second.lease()["pod"] in before - {leased}


def test_a_lease_of_a_killed_leader_ends_at_its_deadline(start, space):
    first = start().wait_ready().wait_warm(2)
    leased = first.lease(deadline_ms=15000)["pod"]
    await_that(lambda: "leased" in space.kubectl("get", "pod", leased, "-o", "jsonpath={.metadata.labels}"), what="the label")
    first.stop(signal.SIGKILL)
    second = start().wait_ready(timeout_s=40).wait_warm(2)
    await_that(lambda: leased not in space.pods(), 40, "the leased pod is swept")
    assert len(second.pods()) == 2


def test_a_leader_that_stops_hands_its_pods_over_at_once(start, space):
    first = start().wait_ready().wait_warm(2)
    second = start()
    await_that(lambda: "standing by" in second.call("GET", "/readyz")[1], what="the second stands by")
    before = space.pods()
    assert first.stop() == 0
    began = time.monotonic()
    second.wait_ready().wait_warm(2)
    assert time.monotonic() - began < 6  # the Lease was given up
    assert space.pods() == before


def test_a_changed_template_replaces_warm_pods_one_by_one(start, space):
    manager = start().wait_ready().wait_warm(2)
    before = manager.pods("warm")
    fewest = 2
    template = runner_template()
    template["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    space.apply(template)

    def is_replaced():
        nonlocal fewest
        warm = manager.pods("warm")
        fewest = min(fewest, len(warm))
        return len(warm) == 2 and not warm & before

    await_that(is_replaced, what="both pods are replaced")
    assert fewest == 2
    assert manager.metric("runwave_pod_failures_total") == 0
    made = [pod["spec"]["terminationGracePeriodSeconds"] for pod in space.get("pods") if pod["metadata"]["name"] not in before]
    assert set(made) == {1}


def test_a_quota_is_told_and_makes_no_hot_loop(start, space):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}}
    space.apply(quota)
    manager = start().wait_ready().wait_warm(2)
    manager.lease()
    time.sleep(5)
    n_refused = manager.metric("runwave_pod_failures_total", reason="quota")
    assert 1 <= n_refused <= 12
    assert manager.metric("runwave_pod_failures_total") == n_refused
    assert len(space.pods()) == 2
    assert any("exceeded quota" in message for message in events(space, "Quota"))
    space.kubectl("delete", "resourcequota", "few")
    manager.wait_warm(2)


def test_an_image_that_is_not_there_is_told(start, space):
    space.apply(runner_template(image="docker.io/library/no-such-image:0"))
    manager = start()
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="image") >= 1, what="the reason in the metrics")
    await_that(lambda: events(space, "Image"), what="the Event")
    assert "image" in manager.call("GET", "/readyz")[1]
    assert manager.metric("runwave_pod_failures_total") == manager.metric("runwave_pod_failures_total", reason="image")
    time.sleep(5)
    assert manager.metric("runwave_pod_creates_total") <= 20  # backed off
    space.apply(runner_template())  # mended with kubectl, without a restart
    manager.wait_ready().wait_warm(2)


def test_a_pod_that_runs_out_of_memory_is_told(start, space):
    template = runner_template()
    container = template["template"]["spec"]["containers"][0]
    container.update(command=["/eat"], resources={"limits": {"memory": "16Mi"}})
    space.apply(template)
    manager = start()
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="oom_killed") >= 1, what="the reason in the metrics")
    await_that(lambda: events(space, "OomKilled"), what="the Event")


UNMAKEABLE = {
    "CreateContainerConfigError": {"envFrom": [{"configMapRef": {"name": "there-is-none"}}]},
    "StartError": {"command": ["/no-such-program"]},
}


@pytest.mark.parametrize("why", UNMAKEABLE)
def test_a_container_that_cannot_be_made_is_told(start, space, why):
    template = runner_template()
    template["template"]["spec"]["containers"][0].update(UNMAKEABLE[why])
    space.apply(template)
    manager = start()
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="container") >= 1, what="the reason in the metrics")
    await_that(lambda: any(why in message for message in events(space, "Container")), what="the Event")
    assert manager.metric("runwave_pod_failures_total") == manager.metric("runwave_pod_failures_total", reason="container")
    space.apply(runner_template())
    manager.wait_ready().wait_warm(2)


def test_a_pod_that_its_node_evicts_is_told(start, space):
    template = runner_template()
    spec = template["template"]["spec"]
    spec["volumes"][1] = {"name": "tmp", "emptyDir": {"sizeLimit": "1Mi"}}
    spec["containers"][0]["command"] = ["/eat", "/tmp/much"]
    space.apply(template)
    manager = start(ready_timeout_ms=120000)
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="evicted") >= 1, 90, "the reason in the metrics")
    await_that(lambda: events(space, "Evicted"), what="the Event")
    assert manager.metric("runwave_pod_failures_total") == manager.metric("runwave_pod_failures_total", reason="evicted")


def test_pods_that_are_drained_away_are_replaced_and_their_leases_told(start, space):
    manager = start().wait_ready().wait_warm(2)
    lease = manager.lease()
    assert manager.call("POST", "/leases/started", {"lease_ids": [lease["lease_id"]]})[0] == 204
    space.evict(lease["pod"])
    path = f"/leases/{lease['lease_id']}"
    ended = await_that(lambda: json.loads(manager.call("GET", path)[1]).get("pod_ended"), what="how the leased one ended")
    assert ended == "disrupted"
    warm = await_that(lambda: sorted(manager.pods("warm")), what="a warm pod")[0]
    space.evict(warm)
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="disrupted") == 1, what="the warm one in the metrics")
    await_that(lambda: events(space, "Disrupted"), what="the Event")
    await_that(lambda: len(manager.pods("warm")) >= 2 and warm not in manager.pods(), what="the replacements")


def test_a_pod_without_a_node_is_told(start, space):
    space.apply(runner_template(nodeSelector={"there": "is-none"}))
    manager = start(ready_timeout_ms=4000)
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="unschedulable") >= 2, what="the reason in the metrics")
    assert manager.metric("runwave_pod_failures_total", reason="never_ready") == 0
    assert events(space, "Unschedulable")
    assert len(space.pods()) <= 4


def test_a_template_that_is_missing_or_refused_is_told(start, space):
    space.kubectl("delete", "podtemplate", "runner")
    manager = start()
    await_that(lambda: "PodTemplate" in manager.call("GET", "/readyz")[1], what="the reason in /readyz")
    assert manager.metric("runwave_pod_failures_total", reason="misconfigured") >= 1
    space.apply(runner_template(hostNetwork=True))  # not admitted at this level of Pod Security
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="forbidden") >= 1, what="forbidden")
    space.apply(runner_template())
    manager.wait_ready(timeout_s=90).wait_warm(2)


def test_a_pod_deleted_by_hand_is_replaced(start, space):
    manager = start().wait_ready().wait_warm(2)
    victim = sorted(manager.pods("warm"))[0]
    space.kubectl("delete", "pod", victim, "--wait=false")
    await_that(lambda: victim not in manager.pods() and len(manager.pods("warm")) == 2, what="the replacement")
    assert manager.metric("runwave_pod_failures_total", reason="deleted") == 1
    leased = manager.lease()["pod"]
    space.kubectl("delete", "pod", leased, "--grace-period=0", "--force")
    await_that(lambda: leased not in manager.pods(), what="the leased one is gone")


def test_deleting_the_anchor_removes_every_pod(start, space):
    manager = start().wait_ready().wait_warm(2)
    manager.stop(signal.SIGKILL)
    space.kubectl("delete", "configmap", "runwave-runners")
    await_that(lambda: not space.pods(), what="no pod is left")


def test_a_missing_anchor_is_told(start, space):
    space.kubectl("delete", "configmap", "runwave-runners")
    manager = start()
    await_that(lambda: "runwave-runners" in manager.call("GET", "/readyz")[1], what="/readyz names the anchor")
    assert not space.pods()


RIGHTS = [  # as pod-manager/README.md has them
    ("", "pods", ["get", "list", "watch", "create", "delete", "patch"]),
    ("", "podtemplates", ["list", "watch"]),
    ("", "configmaps", ["get"]),
    ("", "events", ["create"]),
    ("coordination.k8s.io", "leases", ["get", "create", "patch"]),
]


def test_it_needs_few_rights(start, space, tmp_path):
    manager = start(kubeconfig=space.restricted_kubeconfig(tmp_path / "rights", RIGHTS)).wait_ready().wait_warm(2)
    leased = manager.lease()
    await_that(lambda: "leased" in space.kubectl("get", "pod", leased["pod"], "-o", "jsonpath={.metadata.labels}"), what="the label")
    manager.release(leased)
    await_that(lambda: leased["pod"] not in space.pods(), what="it is deleted")
    victim = sorted(manager.pods("warm"))[0]
    space.kubectl("delete", "pod", victim, "--wait=false")
    await_that(lambda: events(space, "Deleted"), what="the Event")


def test_a_right_that_is_missing_is_told(start, space, tmp_path):
    rights = [(group, kind, [verb for verb in verbs if (kind, verb) != ("pods", "create")]) for group, kind, verbs in RIGHTS]
    manager = start(kubeconfig=space.restricted_kubeconfig(tmp_path / "rights", rights))
    await_that(lambda: manager.metric("runwave_pod_failures_total", reason="forbidden") >= 1, what="forbidden")
    assert "forbidden" in manager.call("GET", "/readyz")[1]


def test_a_token_that_is_replaced_in_its_file_is_taken_up(start, space, tmp_path):
    space.make_account(RIGHTS)
    space.kubectl("create", "secret", "generic", "first")
    (tmp_path / "token").write_text(space.token("first"))
    config = space.kubeconfig_of(tmp_path / "rights", tokenFile=str(tmp_path / "token"))
    manager = start(kubeconfig=config).wait_ready().wait_warm(2)
    space.kubectl("delete", "secret", "first")
    (tmp_path / "token").write_text(space.token())
    time.sleep(12)  # the API server remembers a token that was good for ten seconds
    manager.release(manager.lease())
    manager.wait_warm(2)
    assert manager.metric("runwave_pod_failures_total") == 0
    assert manager.is_ready()


def test_it_finds_its_way_inside_the_cluster(start, space, tmp_path):
    """With what a pod is given: two variables, and a folder that kubelet fills."""
    space.make_account(RIGHTS)
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(space.token())
    (folder / "namespace").write_text(space.name)
    authority = json.loads(space.kubectl("get", "configmap", "kube-root-ca.crt", "-o", "json"))["data"]["ca.crt"]
    (folder / "ca.crt").write_text(authority)
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    mount = f"mount -t tmpfs none /var/run && mkdir -p {place} && mount --bind {folder} {place} && exec \"$@\""
    manager = start(
        kubeconfig=False,
        wrap=["unshare", "--mount", "sh", "-c", mount, "sh"],
        env={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"},
    )
    manager.wait_ready().wait_warm(2)


def test_it_waits_as_long_as_an_overloaded_api_server_says(start, tmp_path):
    throttler = Throttler(tmp_path / "throttler", n_refusals=2, retry_after_s=3)
    manager = start(kubeconfig=throttler.kubeconfig).wait_ready().wait_warm(2)
    throttler.stop()
    assert len(throttler.refused_at) == 2
    assert throttler.created_at[0] - throttler.refused_at[-1] >= 2.9
    assert manager.metric("runwave_pod_failures_total") == 0


def test_200_pods_with_connections_cut_every_second_stay_below_the_ceiling(start, space, tmp_path):
    ceiling = 200
    cutter = Cutter(tmp_path / "cutter")
    manager = start(
        kubeconfig=cutter.kubeconfig,
        warm=10,
        most=ceiling,
        pods_max=ceiling,
        ready_timeout_ms=120000,
        scaling={"rate_window_ms": 1000, "shrink_delay_ms": 1000, "shrink_step_ms": 100},
    )
    seen = []
    is_over = threading.Event()

    def count():
        while not is_over.is_set():
            pods = json.loads(space.kubectl("get", "pods", "-o", "json", "--chunk-size=0"))["items"]
            seen.append(len(pods))
            is_over.wait(0.3)

    counter = threading.Thread(target=count)
    counter.start()
    try:
        manager.wait_ready(timeout_s=120).wait_warm(10, timeout_s=120)
        leases = []
        takers = [threading.Thread(target=lambda: leases.append(manager.lease_at_last())) for _ in range(ceiling - 10)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert len({lease["pod"] for lease in leases}) == ceiling - 10
        await_that(lambda: len(space.pods()) == ceiling, 120, "the ceiling is reached")
        for lease in leases:
            manager.release(lease)
        await_that(lambda: len(space.pods()) == 10 and len(manager.pods()) == 10, 180, "back to 10")
    finally:
        is_over.set()
        counter.join()
        cutter.stop()
    print(f"at most {max(seen)} pods in {len(seen)} counts, {cutter.n_cuts} cuts")
    assert max(seen) <= ceiling
    assert cutter.n_cuts >= 10
