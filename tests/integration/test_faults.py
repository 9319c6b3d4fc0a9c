"""Killing things in mid-task: the task still ends, once, with its own output."""

import uuid

import processes
import pytest
from client import wait_for
from crowd import Crowd
from history import assert_done_once, recorded

SLEEPER = "import sys, time\nprint('begun', flush=True)\ntime.sleep(2)\nprint('survived')\n"
DAEMONS = ("api", "scheduler", "pod-manager")


@pytest.fixture
def running_task(api):
    """Start a marked task; returns (task id, mark, process id of its code) once the code runs."""
    marks = []

    def start(source=SLEEPER, **request):
        mark = uuid.uuid4().hex
        marks.append(mark)
        task = api.accepted(language="python", source=source, args=[mark], **request)
        return task, mark, processes.wait_for_code(mark)

    yield start
    for mark in marks:
        processes.assert_gone(mark)


@pytest.mark.parametrize("name", DAEMONS)
def test_kill_9_of_a_daemon(stack, api, database, running_task, slowness, name):
    task, _, _ = running_task()
    stack.daemons[name].kill()
    stack.daemons[name].start()
    result = api.result(task, timeout_s=60 * slowness)
    assert (result["status"], result["verdict"], result["stdout"]) == ("done", "ok", "begun\nsurvived\n")
    assert_done_once(database, [task])
    assert api.python("print('next')")["stdout"] == "next\n"


def test_kill_9_of_all_daemons_at_once(stack, api, database, running_task, slowness):
    task, _, _ = running_task()
    for name in DAEMONS:
        stack.daemons[name].process.signal(9)
    for name in DAEMONS:
        stack.daemons[name].kill()
    stack.start_daemons()
    result = api.result(task, timeout_s=60 * slowness)
    assert (result["verdict"], result["stdout"]) == ("ok", "begun\nsurvived\n")
    assert_done_once(database, [task])


def test_a_lost_pod_is_a_new_attempt(api, database, running_task, slowness):
    task, mark, code = running_task()
    processes.kill(processes.runner_of(code))
    wait_for(lambda: code not in processes.with_argument(mark), 10, "the sandbox ends with its runner")
    result = api.result(task, timeout_s=60 * slowness)
    assert (result["verdict"], result["stdout"], result["attempt"]) == ("ok", "begun\nsurvived\n", 2)
    assert_done_once(database, [task])


def test_a_task_whose_pods_are_lost_three_times_is_dead(api, database, running_task, slowness):
    task, mark, code = running_task(source="import time\ntime.sleep(9)")
    for _ in range(3):
        gone = code
        processes.kill(processes.runner_of(code))
        wait_for(lambda: gone not in processes.with_argument(mark), 10, "the sandbox ends with its runner")
        if recorded(database, [task])[task][1] < 3:
            code = processes.wait_for_code(mark, 60 * slowness)
    result = api.result(task, timeout_s=60 * slowness)
    assert (result["status"], result["verdict"], result["attempt"]) == ("dead", None, 3)
    assert result["reason"]
    assert recorded(database, [task])[task] == ("dead", 3, 1)


def test_code_that_kills_everything_it_can_reach_is_a_result_not_a_lost_attempt(api):
    code = "import os\nfor pid in (1, os.getppid(), -1):\n    try:\n        os.kill(pid, 9)\n    except OSError:\n        pass\n"
    result = api.python(code)
    assert result["status"] == "done" and result["attempt"] == 1


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_broker_restarted_under_load(stack, api, database, slowness, how):
    crowd = Crowd(stack.url, n_tasks=80, n_clients=8, timeout_s=180 * slowness).start()
    wait_for(lambda: crowd.n_final >= 10, 60 * slowness, "the load is under way")
    if how == "crash":
        stack.rabbitmq.kill()
    else:
        stack.rabbitmq.stop()
    stack.rabbitmq.start()
    crowd.join().assert_right()
    assert_done_once(database, crowd.accepted)
    for name in ("api", "scheduler"):
        stack.daemons[name].wait_ready()


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_database_restarted_under_load(stack, api, slowness, how):
    crowd = Crowd(stack.url, n_tasks=80, n_clients=8, timeout_s=180 * slowness).start()
    wait_for(lambda: crowd.n_final >= 10, 60 * slowness, "the load is under way")
    if how == "crash":
        stack.postgres.kill()
    else:
        stack.postgres.stop()
    stack.postgres.start()
    crowd.join().assert_right()
    connection = stack.postgres.connect()
    assert_done_once(connection, crowd.accepted)
    with connection.cursor() as cursor:


        def none_left():
            cursor.execute("SELECT count(*) FROM tasks WHERE state IN ('queued', 'running')")
            return cursor.fetchone()[0] == 0

        wait_for(none_left, 60 * slowness, "tasks whose submit got no answer end, too")
    connection.close()
    for name in ("api", "scheduler"):
        stack.daemons[name].wait_ready()


def test_submit_works_while_the_broker_is_away(stack, api, database, slowness):
    stack.rabbitmq.stop()
    tasks = [api.accepted(language="python", source=f"print({number})") for number in range(5)]
    assert api.get(f"/result/{tasks[0]}").json()["status"] == "queued"
    stack.rabbitmq.start()
    assert [api.result(task, timeout_s=60 * slowness)["stdout"] for task in tasks] == [f"{number}\n" for number in range(5)]
    assert_done_once(database, tasks)
    for name in ("api", "scheduler"):
        stack.daemons[name].wait_ready()


def test_tasks_wait_while_there_is_no_scheduler(stack, api, database, slowness):
    stack.scheduler.stop()
    tasks = [api.accepted(language="python", source=f"print({number})") for number in range(5)]
    stack.scheduler.start()
    assert [api.result(task, timeout_s=60 * slowness)["stdout"] for task in tasks] == [f"{number}\n" for number in range(5)]
    rows = assert_done_once(database, tasks)
    assert all(attempts == 1 for _, attempts, _ in rows.values())


def test_without_a_pod_manager_a_task_waits_and_loses_no_attempt(stack, api, database, slowness):
    stack.pod_manager.stop()
    task = api.accepted(language="python", source="print('patient')")
    wait_for(lambda: recorded(database, [task])[task][0] == "running", 30 * slowness, "a scheduler claimed the task")
    stack.pod_manager.start()
    result = api.result(task, timeout_s=60 * slowness)
    assert (result["stdout"], result["attempt"]) == ("patient\n", 1)


def test_a_stop_lets_running_tasks_finish(stack, api, database, running_task, slowness):
    task, _, _ = running_task()
    assert stack.scheduler.stop(timeout_s=60) == 0
    rows = recorded(database, [task])
    stack.scheduler.start()
    assert rows[task] == ("done", 1, 1)
    assert api.result(task)["stdout"] == "begun\nsurvived\n"
