"""A task chooses how far it is kept apart: a pod for itself, or a fresh sandbox in a pod that serves many."""

import re
from concurrent.futures import ThreadPoolExecutor

from client import Api

TASKS = 12
POOL_MAX = 8  # pods of python, by its language.yaml


def created(stack, isolation: str) -> int:
    """Python pods asked for so far."""
    pattern = rf'^runwave_pod_creates_total{{language="python",isolation="{isolation}"}} (\d+)$'
    found = re.search(pattern, stack.pod_manager.metrics(), re.MULTILINE)
    assert found
    return int(found.group(1))


def test_a_pod_for_each_task(stack, api):
    before = created(stack, "pod")
    for number in range(TASKS):
        assert api.run(language="python", source=f"print({number})", isolation="pod")["stdout"] == f"{number}\n"
    assert created(stack, "pod") >= before + TASKS


def test_many_tasks_in_one_pod_at_a_time_each_in_a_sandbox_of_its_own(stack, api):
    assert api.run(language="python", source="print(0)", isolation="sandbox")["verdict"] == "ok"
    before = created(stack, "sandbox")
    leave = "import os; print(os.listdir('/box'), os.listdir('/tmp')); open('/tmp/left', 'w'); open('left', 'w')"

    def run(_number: int) -> dict:
        return Api(stack.url).run(language="python", source=leave, isolation="sandbox")

    with ThreadPoolExecutor(4) as crowd:
        results = list(crowd.map(run, range(3 * POOL_MAX)))
    assert {result["stdout"] for result in results} == {"['main.py'] []\n"}
    assert created(stack, "sandbox") - before <= POOL_MAX  # the pool may grow, but pods are used again


def test_who_does_not_choose_gets_the_default(stack, api):
    before = created(stack, "pod"), created(stack, "sandbox")
    assert api.run(language="python", source="print(0)")["verdict"] == "ok"
    assert created(stack, "pod") > before[0]


def test_a_level_that_there_is_not_is_refused(api):
    for wrong in ("vm", "", "Pod", 1):
        answer = api.submit(language="python", source="", isolation=wrong)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["isolation"]
