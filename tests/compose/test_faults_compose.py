"""Things are killed in mid-task: each task still ends once, and the pools come back to their size with nothing left over."""

import subprocess

import pytest
import yaml
from client import wait_for
from stack import repository_root

CODE = "import time\nprint('begun', flush=True)\ntime.sleep(5)\nprint('ended')"
FILES = repository_root().glob("runner-images/*/language.yaml")
WARM = sum(yaml.safe_load(path.read_text(encoding="utf-8"))["pool"]["warm"] for path in FILES)


def is_at_rest(installation, most=10 * WARM):
    """Warm pods and nothing else: no container that has ended, no folder without a container."""
    pods = installation.pods()
    running = {pod["Name"].lstrip("/").removeprefix("runwave-") for pod in pods if pod["State"]["Running"]}
    folders = {entry.name for entry in installation.pods_folder().iterdir() if entry.is_dir()}
    return WARM <= len(running) <= most and len(pods) == len(running) and folders == running


def begun(api, task_ids, timeout_s=60):
    def all_run():
        return all(api.get(f"/result/{task}").json()["status"] == "running" for task in task_ids)

    wait_for(all_run, timeout_s, "every task runs")


def assert_each_ended_once(installation, api, task_ids):
    for task in task_ids:
        result = api.result(task, timeout_s=120)
        assert (result["status"], result["verdict"], result["stdout"]) == ("done", "ok", "begun\nended\n"), result
    ids = ",".join(f"'{task}'" for task in task_ids)
    query = f"SELECT count(*), count(DISTINCT task_id) FROM results WHERE task_id IN ({ids})"
    psql = ["psql", "-h", "/var/run/postgresql", "-U", "runwave", "-d", "runwave", "-Atc", query]
    rows = installation.docker("exec", installation.service("postgres")["Id"], *psql)
    assert rows.strip() == f"{len(task_ids)}|{len(task_ids)}"


@pytest.mark.parametrize("service", ["scheduler", "pod-manager", "api", "rabbitmq", "postgres"])
def test_a_service_is_killed_in_mid_task(installation, api, service):
    task_ids = [api.accepted(language="python", source=CODE) for _ in range(2)]  # as many as are warm
    begun(api, task_ids)
    installation.crash(service)
    assert_each_ended_once(installation, api, task_ids)
    wait_for(installation.is_healthy, 120, "every service is healthy again")
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size again")


def test_a_pod_is_killed_in_mid_task(installation, api):
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size")
    before = set(installation.running_pods())
    task = api.accepted(language="python", source=CODE)
    begun(api, [task])
    # Only pods of `before` can have been leased.
    wait_for(lambda: set(installation.running_pods()) - before, 30, "the leased pod's replacement")
    for name in (name for name in before if name.startswith("runwave-python-")):
        subprocess.run(["docker", "kill", name], env=installation.env, capture_output=True, check=False)
    result = api.result(task, timeout_s=120)
    assert (result["status"], result["verdict"]) == ("done", "ok"), result
    assert result["attempt"] >= 2  # the second one may have had the next of them
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size again")


def test_a_pod_is_removed_by_hand(installation, api):
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size")
    for name in installation.running_pods():
        installation.docker("rm", "-f", name)
    assert api.python("print(1)")["verdict"] == "ok"
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size again")


def test_a_pod_serves_one_task(installation, api):
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size")
    before = {name for name in installation.running_pods() if name.startswith("runwave-python-")}
    for _ in range(len(before)):
        assert api.python("print(1)")["verdict"] == "ok"
    wait_for(lambda: is_at_rest(installation), 60, "the pools have their size again")
    assert not before & set(installation.running_pods())
    wait_for(lambda: is_at_rest(installation, WARM), 90, "the pools have shrunk to their size")
