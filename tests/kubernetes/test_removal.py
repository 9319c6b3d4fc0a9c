"""The end: `kubectl delete -k` leaves nothing behind. Then everything is put back."""

from client import wait_for
from dev.cluster import NAMESPACE, OVERLAY, RUNNERS_NAMESPACE
from stack.files import repository_root

KINDS = "namespaces,priorityclasses,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"


def ours(installed):
    """What there is of RunWave in the cluster, of every kind that the overlay makes."""
    found = installed.cluster.get(KINDS)
    names = {f"{each['kind']}/{each['metadata']['name']}" for each in found if each["metadata"]["name"].startswith("runwave")}
    pods = installed.cluster.get("-A", "pods")
    return {name for name in names if "runwave-test-" not in name} | {
        f"Pod/{pod['metadata']['name']}" for pod in pods if pod["metadata"]["namespace"] in (NAMESPACE, RUNNERS_NAMESPACE)
    }


def test_deleting_the_overlay_leaves_nothing(installed):
    task = installed.api().accepted(language="python", source="import time\ntime.sleep(30)")
    assert task and ours(installed)
    overlay = str(repository_root() / OVERLAY)
    try:
        installed.kubectl("delete", "-k", overlay, "--wait=false", timeout_s=60)
        wait_for(lambda: not ours(installed), 120, f"nothing is left, there is {ours(installed)}")
    finally:
        wait_for(lambda: not ours(installed), 120, "the namespaces are gone")
        installed.cluster.apply()
    installed.wait_quiet(180)
    assert installed.api().run(language="python", source="print(1)")["stdout"] == "1\n"
