"""What the api-server does by itself, with the test in the scheduler's place: outbox, waiting, lost events, absent servers, draining."""

import os
import signal
import socket
import subprocess
import time
import uuid

import pytest
import requests
import yaml
from api_lab import ApiLab
from stack import DaemonPaths
from stack.process import wait_until

PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
PROGRAM = DaemonPaths.of_preset(PRESET)["api"]


@pytest.fixture(scope="module")
def shared_lab(servers, state_folder):
    lab = ApiLab(state_folder("api"), servers, PROGRAM)
    try:
        lab.api.start()
        yield lab
    finally:
        status = lab.stop()
    reports = lab.api.sanitizer_reports()
    assert not reports, "\n".join(path.read_text(errors="replace")[:8000] for path in reports)
    assert status in (0, None)


@pytest.fixture
def lab(shared_lab):
    config = dict(shared_lab.config)
    shared_lab.api.start()
    yield shared_lab
    shared_lab.postgres.start()
    shared_lab.rabbitmq.start()
    ended = shared_lab.api.process.exit_status
    if shared_lab.config != config:
        shared_lab.config.clear()
        shared_lab.restart(**config)
    shared_lab.api.start()
    shared_lab.clear()
    assert ended in (0, None), f"the api-server had ended with {ended}"


# ---- the outbox ----


def test_a_task_is_stored_and_published_and_marked(lab):
    trace_id = uuid.uuid4().hex
    body = {"language": "py", "source": "print(1)"}
    answer = requests.post(f"{lab.url}/submit", json=body, headers={"traceparent": f"00-{trace_id}-{trace_id[:16]}-01"}, timeout=20)
    assert answer.status_code == 202
    task_id = answer.json()["task_id"]
    assert answer.json() == {"task_id": task_id, "status": "queued", "url": f"/result/{task_id}"}
    assert answer.headers["Location"] == f"/result/{task_id}" and answer.headers["X-Request-Id"] == trace_id
    assert uuid.UUID(task_id).version == 7
    ((properties, message),) = lab.take_messages(1)
    assert message.decode() == task_id == properties.message_id and properties.delivery_mode == 2
    assert properties.headers["traceparent"].split("-")[1] == trace_id
    wait_until(lambda: lab.sql("SELECT publish_count FROM tasks WHERE id = %s", task_id) == [(1,)], 10, "the mark")
    ((language, version, state, traceparent, is_late),) = lab.sql(
        "SELECT language, version, state, traceparent, publish_due > now() + interval '200 s' FROM tasks WHERE id = %s", task_id
    )
    assert (language, version, state, is_late) == ("python", "3.11", "queued", True)
    assert traceparent.split("-")[1] == trace_id


def test_many_tasks_are_each_published_once_and_marked(lab):
    ids = set(lab.pool.map(lambda _: lab.accepted(), range(1500)))
    assert len(ids) == 1500
    taken = [body.decode() for _, body in lab.take_messages(1500)]
    assert len(taken) == 1500 and set(taken) == ids
    marked = "SELECT count(*) FROM tasks WHERE id = ANY(%s::uuid[]) AND publish_count = 1"
    wait_until(lambda: lab.sql(marked, list(ids)) == [(1500,)], 10, "the marks")


def test_without_a_broker_tasks_are_taken_up_to_the_backlog(lab):
    lab.restart(backlog_max=20)
    assert lab.api.metric("runwave_broker_connected", "publisher") == 1
    lab.rabbitmq.stop()
    wait_until(lambda: lab.api.metric("runwave_broker_connected", "publisher") == 0, 20, "the publisher to notice")
    time.sleep(1.5)
    statuses = [lab.submit().status_code for _ in range(40)]
    assert statuses[:15] == [202] * 15 and statuses[25:] == [503] * 15, statuses
    answer = lab.submit()
    assert answer.headers["Retry-After"] == "5" and answer.headers["Content-Type"] == "application/problem+json"
    wait_until(lambda: requests.get(f"{lab.url}/readyz", timeout=5).status_code == 503, 10, "not ready")
    assert [item["name"] for item in requests.get(f"{lab.url}/readyz", timeout=5).json()["lacking"]] == ["backlog"]
    assert 20 <= lab.api.metric("runwave_api_backlog") <= 25
    lab.rabbitmq.start()
    wait_until(lambda: lab.submit().status_code == 202, 60, "tasks to be taken again")
    wait_until(lambda: requests.get(f"{lab.url}/readyz", timeout=5).status_code == 200, 10, "ready")


# ---- waiting ----


def test_submit_waits_for_the_end(lab):
    answer = lab.pool.submit(lab.submit, "?wait=20")
    wait_until(lambda: lab.api.metric("runwave_api_waiting") == 1, 10, "the client waits")
    ((_, body),) = lab.take_messages(1)
    began = time.monotonic()
    lab.finish(body.decode(), stderr=b"\xff\x00", stdout_truncated=True, compile_wall_us=2000, compile_cpu_us=1000)
    result = answer.result(10)
    assert time.monotonic() - began < 2
    assert result.status_code == 200
    result = result.json()
    assert result["task_id"] == body.decode() and result["status"] == "done" and result["verdict"] == "ok"
    assert (result["stdout"], result["stdout_truncated"]) == ("42\n", True) and "stdout_encoding" not in result
    assert (result["stderr"], result["stderr_encoding"]) == ("/wA=", "base64")
    assert (result["wall_ms"], result["cpu_ms"], result["memory_bytes"]) == (12.345, 10, 9000000)
    assert result["compile"] == {"wall_ms": 2, "cpu_ms": 1, "memory_bytes": None}
    assert all(result["stages"][name] for name in ("submitted_at", "claimed_at", "leased_at", "started_at", "finished_at", "ended_at"))


def test_one_event_answers_everybody_who_waits(lab):
    task_id = lab.accepted()
    answers = [lab.pool.submit(lab.get, task_id, "?wait=30") for _ in range(100)]
    wait_until(lambda: lab.api.metric("runwave_api_waiting") == 100, 20, "the clients wait")
    lab.finish(task_id, stdout=b"x" * 100000)
    results = [answer.result(20) for answer in answers]
    assert {result.status_code for result in results} == {200}
    assert {len(result.json()["stdout"]) for result in results} == {100000}
    assert lab.api.metric("runwave_api_waiting") == 0


def test_a_wait_runs_out_with_the_state_of_now(lab):
    began = time.monotonic()
    answer = lab.submit("?wait=0.5")
    assert 0.5 <= time.monotonic() - began < 3
    assert answer.status_code == 202 and set(answer.json()) == {"task_id", "status", "url"}
    task_id = answer.json()["task_id"]
    waiting = lab.start_waiting(task_id, 1.5)
    lab.sql("UPDATE tasks SET state = 'running', attempt = 1, claimed_at = now() WHERE id = %s", task_id)
    answer = waiting.result(10)
    assert answer.status_code == 202
    assert answer.json()["status"] == "running" and answer.json()["stages"]["claimed_at"]
    assert lab.get(task_id).status_code == 200 and lab.get(task_id, "?wait=0").status_code == 202
    lab.finish(task_id, tells=False)
    assert lab.get(task_id, "?wait=0").status_code == 200


def test_a_lost_event_costs_only_time(lab):
    task_id = lab.accepted()
    waiting = lab.start_waiting(task_id, 2)
    lab.finish(task_id, tells=False)
    assert waiting.result(10).status_code == 200


def test_events_that_are_none_do_no_harm(lab):
    task_id = lab.accepted()
    waiting = lab.start_waiting(task_id, 10)
    for body in (b"", b"x", b"\xff" * 36, b"0" * 100000, str(uuid.uuid4()).encode(), task_id.encode() + b"\x00"):
        lab.tell(f"final.done.{task_id}", body)
    lab.tell(f"final.done.{task_id}", task_id.encode())  # a lie: it is not final
    time.sleep(0.5)
    assert not waiting.done()
    lab.finish(task_id)
    assert waiting.result(10).status_code == 200


def test_a_broker_that_restarts_loses_no_waiting_client(lab):
    task_id = lab.accepted()
    waiting = lab.start_waiting(task_id, 60)
    lab.rabbitmq.stop()
    lab.finish(task_id, tells=False)  # nobody hears of it
    lab.rabbitmq.start()
    began = time.monotonic()
    assert waiting.result(60).status_code == 200
    assert time.monotonic() - began < 40


def test_a_dead_task_says_why(lab):
    task_id = lab.accepted()
    lab.finish(task_id, state="dead", verdict=None, exit_code=None, stdout=b"", reason="3 attempts were lost")
    result = lab.get(task_id, "?wait=10").json()
    assert (result["status"], result["verdict"], result["reason"]) == ("dead", None, "3 attempts were lost")


def test_large_outputs(lab):
    task_id = lab.accepted()
    lab.finish(task_id, stdout=bytes(range(256)) * 32768, stderr=b"\x01\n" * (4 << 20))
    result = lab.get(task_id).json()
    assert len(result["stdout"]) == 4 * ((8 << 20) + 2) // 3 // 4 * 4 and result["stdout_encoding"] == "base64"
    assert result["stderr"] == "\x01\n" * (4 << 20)


def test_clients_that_leave_are_forgotten(lab):
    task_id = lab.accepted()
    port = int(lab.url.rpartition(":")[2])
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET /result/{task_id}?wait=1.5 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_until(lambda: lab.api.metric("runwave_api_waiting") == 0, 10, "nobody waits")
    wait_until(lambda: lab.api.metric("runwave_http_connections") <= 3, 10, "their connections are closed")


# ---- the database ----


def test_a_database_that_restarts(lab):
    task_id = lab.accepted()
    waiting = lab.start_waiting(task_id, 60)
    lab.postgres.stop()
    wait_until(lambda: requests.get(f"{lab.url}/readyz", timeout=5).status_code == 503, 20, "not ready")
    submitting = lab.pool.submit(lab.submit)
    reading = lab.pool.submit(lab.get, task_id)
    for answer in (submitting.result(30), reading.result(30)):
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Content-Type"] == "application/problem+json"
    short = lab.pool.submit(lab.submit)  # the server is back before its time is over
    lab.postgres.start()
    assert short.result(30).status_code == 202
    lab.finish(task_id)
    assert waiting.result(30).status_code == 200


# ---- the end ----


def test_draining_answers_who_waits_and_exits_with_0(lab):
    task_id = lab.accepted()
    waiting = [lab.start_waiting(task_id, 50) for _ in range(5)]
    began = time.monotonic()
    lab.api.process.signal(signal.SIGTERM)
    wait_until(lambda: not is_open(lab), 5, "the door is closed")
    assert {answer.result(10).status_code for answer in waiting} == {202}
    assert lab.api.process.wait(10) == 0
    assert time.monotonic() - began < 6


def test_draining_ends_at_once_when_nobody_waits(lab):
    lab.accepted()
    began = time.monotonic()
    assert lab.api.stop() == 0
    assert time.monotonic() - began < 3


def test_a_task_that_ends_while_draining_is_told(lab):
    task_id = lab.accepted()
    waiting = lab.start_waiting(task_id, 50)
    lab.api.process.signal(signal.SIGTERM)
    lab.finish(task_id)
    assert waiting.result(10).status_code == 200
    assert lab.api.process.wait(10) == 0


def test_confirms_are_marked_before_the_end(lab):
    ids = [lab.accepted() for _ in range(20)]
    assert lab.api.stop() == 0
    assert lab.sql("SELECT count(*) FROM tasks WHERE id = ANY(%s::uuid[]) AND publish_count = 1", ids) == [(20,)]


def test_a_second_signal_ends_it_at_once(lab):
    waiting = lab.start_waiting(lab.accepted(), 50)
    lab.api.process.signal(signal.SIGTERM)
    wait_until(lambda: not is_open(lab), 5, "the drain has begun")
    lab.api.process.signal(signal.SIGTERM)
    assert lab.api.process.wait(2) == 1
    with pytest.raises(requests.ConnectionError):
        raise waiting.exception(10)
    lab.api.start()


def is_open(lab):
    try:
        socket.create_connection(("127.0.0.1", int(lab.url.rpartition(":")[2])), timeout=1).close()
        return True
    except OSError:
        return False


# ---- configuration and start ----


def run(lab, *arguments, config=None, env=None):
    path = lab.state / "config" / "tried.yaml"
    path.write_text(yaml.safe_dump(lab.config if config is None else config), encoding="utf-8")
    argv = [str(PROGRAM), *(str(path) if argument == "CONFIG" else argument for argument in arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env or {"PATH": "/usr/bin:/bin"}, check=False)


def test_arguments(lab):
    assert run(lab, "--help").returncode == 0 and "--check-config" in run(lab, "--help").stdout
    assert run(lab, "--version").stdout.startswith("api-server ")
    for arguments in ([], ["--nonsense"], ["--config"], ["extra"], ["--config", "CONFIG", "extra"]):
        answer = run(lab, *arguments)
        assert answer.returncode == 64 and "usage:" in answer.stderr
    assert run(lab, "--config", "CONFIG", "--check-config").returncode == 0
    printed = run(lab, "--config", "CONFIG", "--print-config")
    shown = yaml.safe_load(printed.stdout)
    assert shown["http"]["listen"] == lab.config["http"]["listen"] and shown["wait_max_s"] == 60 and shown["drain_ms"] == 3000
    assert lab.postgres.password not in printed.stdout


WRONG_STARTS = {
    "unknown key": ({"sauce": 1}, 78, "sauce"),
    "no languages": ({"languages_dir": "/var/empty/none"}, 78, "/var/empty/none"),
    "no password": ({"database": {"host": "127.0.0.1", "password_file": "/var/empty/none"}}, 78, "/var/empty/none"),
    "no address": ({"http": {"listen": "nowhere"}}, 78, "nowhere"),
}


@pytest.mark.parametrize("changes, status, part", WRONG_STARTS.values(), ids=WRONG_STARTS.keys())
def test_wrong_configurations_end_with_their_reason(lab, changes, status, part):
    answer = run(lab, "--config", "CONFIG", config={**lab.config, **changes})
    assert answer.returncode == status and part in answer.stderr, answer.stderr


def test_an_address_in_use_is_refused(lab):
    answer = run(lab, "--config", "CONFIG")
    assert answer.returncode == 74 and lab.config["http"]["listen"] in answer.stderr, answer.stderr


def test_a_token_is_asked_for(lab):
    token_file = lab.state / "token"
    token_file.touch(mode=0o600)
    token_file.write_text("sesame\n", encoding="utf-8")
    lab.restart(token_file=str(token_file))
    assert lab.submit().status_code == 401
    assert requests.get(f"{lab.url}/languages", timeout=5).status_code == 401
    assert requests.get(f"{lab.url}/readyz", timeout=5).status_code == 200
    headers = {"Authorization": "Bearer sesame"}
    assert requests.get(f"{lab.url}/languages", headers=headers, timeout=5).status_code == 200


def test_content_types(lab):
    body = '{"language":"python","source":"1"}'
    for content_type, status in [
        (None, 202),
        ("application/json", 202),
        ("application/x-www-form-urlencoded", 202),
        ("text/plain", 202),
        ("multipart/form-data; boundary=x", 415),
    ]:
        headers = {"Content-Type": content_type} if content_type else {}
        assert requests.post(f"{lab.url}/submit", data=body, headers=headers, timeout=20).status_code == status
