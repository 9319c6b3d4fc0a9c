"""Every endpoint of the api-server, as a client sees it."""

import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from client import Api

RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
RESULT_FIELDS = {"task_id", "status", "verdict", "language", "version", "attempt", "exit_code", "signal", "stages"}
RESULT_FIELDS |= {"stdout", "stderr", "compile_output", "stdout_truncated", "stderr_truncated", "compile_output_truncated"}
RESULT_FIELDS |= {"wall_ms", "cpu_ms", "memory_bytes"}
STAGES = ("submitted_at", "claimed_at", "leased_at", "started_at", "finished_at", "ended_at")


def times_of(stages):
    return {key: datetime.fromisoformat(value.replace("Z", "+00:00")) for key, value in stages.items() if RFC3339.match(str(value))}


def test_submit_answers_202_with_the_place_of_the_result(api):
    answer = api.submit(language="python", source="print(6 * 7)")
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"task_id", "status", "url"}
    assert body["status"] == "queued"
    assert body["url"] == f"/result/{body['task_id']}" == answer.headers["Location"]
    assert uuid.UUID(body["task_id"]).version == 7
    assert answer.headers["Content-Type"].startswith("application/json")
    assert api.result(body["task_id"])["stdout"] == "42\n"


def test_submit_that_waits_answers_200_with_the_result(api):
    answer = api.submit(wait=30, language="python", source="print(6 * 7)")
    assert answer.status_code == 200
    result = answer.json()
    assert RESULT_FIELDS <= set(result)
    assert (result["status"], result["verdict"], result["exit_code"], result["signal"]) == ("done", "ok", 0, None)
    assert (result["stdout"], result["stderr"], result["compile_output"]) == ("42\n", "", "")
    assert (result["language"], result["attempt"]) == ("python", 1)
    assert re.match(r"^3\.\d+\.\d+$", result["version"])
    assert not (result["stdout_truncated"] or result["stderr_truncated"] or result["compile_output_truncated"])
    assert 0 < result["cpu_ms"] < 5000 and 0 < result["wall_ms"] < 10000
    assert 1 << 20 < result["memory_bytes"] < 1 << 28


def test_the_wait_may_stand_in_a_body_sent_without_a_content_type_of_its_own(api):
    """What curl -d sends: application/x-www-form-urlencoded, although it is JSON."""
    answer = api.post(
        "/submit?wait=30",
        data='{"language":"python","source":"print(6*7)"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["stdout"] == "42\n"


def test_stages_are_times_in_their_order(api):
    before = time.time()
    result = api.python("pass")
    stages = times_of(result["stages"])
    in_order = [stages[name] for name in STAGES]
    assert in_order == sorted(in_order)
    assert result["stages"]["total_ms"] >= result["stages"]["run_ms"] > 0 and result["stages"]["compile_ms"] is None
    assert before - 2 <= in_order[0].timestamp() <= in_order[-1].timestamp() <= time.time() + 2


def test_compiled_languages_show_the_compiler_apart(api):
    result = api.run(language="c", source='#include <stdio.h>\nint main(void) { puts("compiled"); }\n')
    assert result["verdict"] == "ok" and result["stdout"] == "compiled\n"
    assert result["compile"]["cpu_ms"] > 0 and result["compile"]["memory_bytes"] > 1 << 20
    assert result["stages"]["compile_ms"] > result["stages"]["run_ms"] > 0


def test_result_of_a_task_that_is_not_final(api):
    task = api.accepted(language="python", source="import time\ntime.sleep(3)")
    answer = api.get(f"/result/{task}")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] in ("queued", "running")
    assert body.get("verdict") is None
    assert api.result(task)["verdict"] == "ok"


def test_a_wait_that_runs_out_answers_202(api):
    started = time.monotonic()
    answer = api.submit(wait=1, language="python", source="import time\ntime.sleep(4)")
    assert answer.status_code == 202
    assert 0.9 <= time.monotonic() - started < 3.5
    task = answer.json()["task_id"]
    assert answer.headers["Location"] == f"/result/{task}"
    assert answer.json()["status"] in ("queued", "running")
    again = api.get(f"/result/{task}", params={"wait": 1})
    assert again.status_code == 202 and again.json()["status"] in ("queued", "running")
    assert api.result(task)["verdict"] == "ok"


def test_a_wait_of_zero_does_not_wait(api):
    answer = api.submit(wait=0, language="python", source="import time\ntime.sleep(1)")
    assert answer.status_code == 202
    api.result(answer.json()["task_id"])


def test_a_waiting_client_is_woken_when_the_task_ends(api, slowness):
    """Not at the next look: the answer is there as soon as the task is, although much more waiting was granted."""
    task = api.accepted(language="python", source="import time\ntime.sleep(1.5)")
    answer = api.get(f"/result/{task}", params={"wait": 50})
    late_s = time.time() - times_of(answer.json()["stages"])["finished_at"].timestamp()
    assert answer.json()["status"] == "done"
    assert late_s < 0.25 * slowness


def test_many_clients_may_wait_for_one_task(stack, api):
    task = api.accepted(language="python", source="import time\ntime.sleep(1.5)\nprint('once')")

    def wait(_):
        client = Api(stack.url)
        try:
            return client.get(f"/result/{task}", params={"wait": 30}).json()
        finally:
            client.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(wait, range(20)))
    assert all(answer["stdout"] == "once\n" for answer in answers)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    "request_body",
    [
        {"language": "python", "source": "print(6 * 7)"},
        {"language": "python", "source": "import sys; sys.stdout.buffer.write(b'\\xff\\x00'); sys.exit('no')"},
        {"language": "python", "source": "import os; os.kill(os.getpid(), 11)"},
        {"language": "python", "source": "print('x' * 100000)"},
        {"language": "python", "source": "while True: pass", "limits": {"cpu_ms": 100}},
        {"language": "c", "source": "int main(void) { return 3; }"},
        {"language": "c", "source": "int main(void) { return x; }"},
    ],
    ids=["ok", "bytes", "signal", "large", "limit", "compiled", "compile-error"],
)
def test_who_waited_and_who_reads_later_are_told_the_same(api, request_body):
    """The first is answered from the event where the result is small, the second from the table."""
    answer = api.submit(wait=30, **request_body)
    assert answer.status_code == 200
    assert api.get(f"/result/{answer.json()['task_id']}").text == answer.text


def test_a_client_that_goes_away_while_it_waits_leaves_the_task_alone(stack, api):
    gone = Api(stack.url)
    task = api.accepted(language="python", source="import time\ntime.sleep(1.5)\nprint('still')")
    with pytest.raises(Exception):
        gone.get(f"/result/{task}", params={"wait": 30}, timeout=0.3)
    gone.close()
    assert api.result(task)["stdout"] == "still\n"


def test_the_result_stays(api):
    result = api.python("print('kept')")
    assert api.get(f"/result/{result['task_id']}").json() == result
    assert api.get(f"/result/{result['task_id']}", params={"wait": 10}).json() == result


@pytest.mark.parametrize("name", ["python", "py", "python3"])
def test_a_language_has_aliases(api, name):
    assert api.run(language=name, source="print(1)")["language"] == "python"


@pytest.mark.parametrize("version", ["3", "3.11", None])
def test_a_version_may_be_given_in_part(api, version):
    request = {"version": version} if version else {}
    assert api.python("print(1)", **request)["version"].startswith("3.")


def test_files_as_base64(api):
    result = api.run(
        language="python",
        files=[
            {"name": "main.py", "content": "print(open('data.bin', 'rb').read())"},
            {"name": "data.bin", "content": "AAH/", "encoding": "base64"},
        ],
    )
    assert result["stdout"] == "b'\\x00\\x01\\xff'\n"


def test_limits_of_a_request_hold(api):
    result = api.python("print('x' * 100)", limits={"output_bytes": 10})
    assert result["verdict"] == "output_limit" and result["stdout"] == "x" * 10 and result["stdout_truncated"] is True


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_bytes_that_are_no_text_come_back_as_base64(api, stream):
    result = api.python(f"import sys\nsys.{stream}.buffer.write(b'\\xff\\xfe')")
    assert result[stream] == "//4=" and result[f"{stream}_encoding"] == "base64"
    other = "stderr" if stream == "stdout" else "stdout"
    assert result.get(f"{other}_encoding") is None


def test_the_trace_of_a_request_goes_on(api, query):
    trace_id = uuid.uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    answer = api.post("/submit", json={"language": "python", "source": "1"}, headers=headers)
    task = answer.json()["task_id"]
    api.result(task)
    assert query("SELECT traceparent FROM tasks WHERE id = %s", task)[0][0].split("-")[1] == trace_id


def test_unknown_task(api):
    for path in (f"/result/{uuid.uuid4()}", f"/result/{uuid.uuid4()}?wait=1"):
        answer = api.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert answer.json()["status"] == 404


NO_IDS = ["x", "0", "123e4567-e89b-12d3-a456-42661417400", "g" * 36, "%00", "..%2fsubmit", "a" * 5000, "1' OR 1=1"]


@pytest.mark.parametrize("task_id", NO_IDS, ids=[task_id[:40] for task_id in NO_IDS])
def test_ids_that_are_none(api, task_id):
    answer = api.get(f"/result/{task_id}")
    assert answer.status_code in (400, 404, 422)
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_languages(api, stack):
    answer = api.get("/languages")
    assert answer.status_code == 200
    body = answer.json()
    languages = {language["id"]: language for language in body["languages"]}
    assert set(languages) == set(stack.languages)
    python = languages["python"]
    assert python["name"] == "Python" and python["aliases"] == ["py", "python3"]
    versions = [version["version"] for version in stack.languages["python"]["versions"]]
    assert [version["version"] for version in python["versions"]] == versions
    assert python["limits"]["default"]["cpu_ms"] == 5000 and python["limits"]["maximum"]["cpu_ms"] == 60000


def test_health_of_every_daemon(stack, api):
    from stack.daemon import http_get

    for daemon in stack.daemons.values():
        assert http_get(daemon.listen, "/healthz")[0] == 200
        assert http_get(daemon.listen, "/readyz")[0] == 200
    assert api.get("/healthz").status_code == 200
    assert api.get("/readyz").status_code == 200


SAMPLE = re.compile(r'^[a-z_][a-z0-9_]*(\{([a-z_]+="[^"]*",?)*\})? (-?[0-9.e+-]+|\+Inf|NaN)$')


def test_metrics_of_every_daemon(stack, api):
    api.python("pass")
    for name, daemon in stack.daemons.items():
        text = daemon.metrics()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert lines, name
        assert not [line for line in lines if not SAMPLE.match(line)], name
        typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        assert all(metric.startswith("runwave_") for metric in typed), typed
    answer = api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


WRONG_METHODS = [("GET", "/submit", "POST"), ("PUT", "/submit", "POST"), ("DELETE", "/languages", "GET")]


@pytest.mark.parametrize("method, path, allowed", WRONG_METHODS + [("POST", f"/result/{uuid.UUID(int=1)}", "GET")])
def test_wrong_method(api, method, path, allowed):
    answer = api.session.request(method, api.url + path, timeout=10)
    assert answer.status_code == 405
    assert allowed in answer.headers["Allow"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_unknown_path(api):
    answer = api.get("/no/such/path")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_results_survive_a_restart_of_everything(stack, api):
    result = api.python("print('before')")
    for name in ("api", "scheduler", "pod-manager"):
        assert stack.daemons[name].stop() == 0
    stack.rabbitmq.restart()
    stack.postgres.restart()
    stack.start_daemons()
    assert api.get(f"/result/{result['task_id']}").json() == result
    assert api.python("print('after')")["stdout"] == "after\n"
