"""The pod-manager for itself: the lease API, the pools, and the local backend with real runners, killed and stopped at every point."""

import base64
import concurrent.futures
import fcntl
import glob
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import uuid

import pytest

from client import wait_for
from runner_speaker import Closed, ProtocolError, Scheduler, make_job, make_stage
from stack import Daemon, DaemonPaths, new_run_dir, read_secret, render_catalogue

PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
SLOWNESS = {"asan": 3, "tsan": 5}.get(PRESET, 1)


def python(source):
    return make_job({"main.py": source.encode()}, make_stage(["/usr/bin/python3", "main.py"]))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Lease:
    def __init__(self, answer):
        self.id = answer["lease_id"]
        self.pod = answer["pod"]
        self.address = answer["address"]
        self.secret = base64.b64decode(answer["secret"], validate=True)
        self.socket_path = self.address[len("unix:") :]


class PodManager(Daemon):
    """A pod-manager with a state folder of its own, and calls to its API."""

    def __init__(self, state, languages=None, pool=None, **config):
        paths = DaemonPaths.of_preset(PRESET)
        run_dir = new_run_dir(state)
        self.pods_dir = run_dir / "pods"
        self.token = read_secret(state / "secret" / "token")
        pool = {"warm": 2, "max": 4, **(pool or {})}
        wanted = languages or {"python": {}}
        rendered = render_catalogue(state / "languages", {name: {"pool": pool, **(wanted.get(name) or {})} for name in wanted})
        for name in rendered:
            if name not in wanted:
                (state / "languages" / name / "language.yaml").unlink()
                (state / "languages" / name).rmdir()
        local = {
            "run_dir": str(self.pods_dir),
            "runner": str(paths["runner"]),
            "cgroup": f"runwave-test-{state.name}",
            **config.pop("local", {}),
        }
        listen = f"unix:{run_dir}/pm.sock"
        whole = {
            "log": {"level": "debug"},
            "http": {"listen": listen},
            "languages_dir": str(state / "languages"),
            "token_file": str(state / "secret" / "token"),
            "local": local,
            "drain_ms": 5000,
            **config,
        }
        super().__init__("pod-manager", state, paths["pod-manager"], whole, listen)

    def call(self, method, path, body=None, token=None, timeout=90):
        connection = UnixConnection(self.listen[len("unix:") :], timeout)
        try:
            data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
            connection.request(method, path, data, {"Authorization": f"Bearer {self.token if token is None else token}"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text, answer.headers
        finally:
            connection.close()

    def ask(self, wait_ms=20000, deadline_ms=60000, language="python", **more):
        body = {"language": language, "wait_ms": wait_ms, "deadline_ms": deadline_ms, **more}
        return self.call("POST", "/leases", body)

    def lease(self, **options):
        status, answer, _ = self.ask(**options)
        assert status == 200, answer
        return Lease(answer)

    def release(self, lease, outcome="unused"):
        return self.call("DELETE", f"/leases/{lease.id}?outcome={outcome}")[0]

    def is_listening(self):
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def pods(self, **wanted):
        status, answer, _ = self.call("GET", "/pods")
        assert status == 200
        return [pod for pod in answer["pods"] if all(pod.get(key) == value for key, value in wanted.items())]

    def wait_warm(self, count):
        wait_for(lambda: len(self.pods(phase="warm")) >= count, 30 * SLOWNESS, f"{count} pods are warm")

    def messages(self):
        lines = self.process.log_path.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def is_alive(pid):
    """A process that runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as status:
            return status.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def wait_dead(pid):
    wait_for(lambda: not is_alive(pid), 20 * SLOWNESS, f"process {pid} is gone")


def left_over(manager):
    """Sockets, records, control groups."""
    files = [path.name for path in manager.pods_dir.iterdir() if path.name != "lock"]
    name = manager.config["local"]["cgroup"]
    return files + (glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}") if name else [])


def records(manager):
    return [path.name for path in manager.pods_dir.iterdir() if path.suffix in (".pod", ".sock")]


@pytest.fixture
def make(state_folder):
    made = []

    def start(wait=True, **options):
        manager = PodManager(state_folder("pm"), **options)
        made.append(manager)
        manager.start(wait=wait, timeout_s=60)
        wait_for(manager.is_listening, 60, "it listens")
        return manager

    yield start
    for manager in made:
        status = manager.stop()
        assert not manager.sanitizer_reports(), manager.sanitizer_reports()[0].read_text(errors="replace")[:8000]
        assert status in (0, None), manager.process.log_tail()


@pytest.fixture(scope="module")
def shared(state_folder):
    """For tests that leave it as they found it."""
    manager = PodManager(state_folder("pm"))
    manager.start()
    yield manager
    status = manager.stop()
    assert not manager.sanitizer_reports(), manager.sanitizer_reports()[0].read_text(errors="replace")[:8000]
    assert status == 0, manager.process.log_tail()


# ---- the lease API ----


def test_a_lease_leads_to_a_runner_that_takes_a_job(shared):
    lease = shared.lease(task_id=str(uuid.uuid4()), attempt=1)
    assert re.fullmatch(r"python-[0-9a-f]{12}", lease.pod)
    assert uuid.UUID(lease.id).version == 7 and len(lease.secret) == 32
    leased = shared.pods(pod=lease.pod)[0]
    assert leased["phase"] == "leased" and leased["lease_id"] == lease.id and is_alive(leased["pid"])
    speaker = Scheduler(lease.address, lease.secret, uuid.UUID(lease.id).bytes)
    result = speaker.run(python("print(6*7)"))
    assert (result["verdict"], result["stdout"]) == ("ok", b"42\n")
    speaker.close()
    assert shared.release(lease, "used") == 204
    wait_dead(leased["pid"])
    wait_for(lambda: not shared.pods(pod=lease.pod), 10, "the pod is gone")
    assert shared.release(lease, "used") == 404
    assert not os.path.exists(lease.socket_path)


def test_the_secret_belongs_to_the_pod(shared):
    one, other = shared.lease(), shared.lease()
    assert one.secret != other.secret and one.address != other.address
    speaker = Scheduler(one.address, other.secret)
    with pytest.raises(ProtocolError):
        speaker.greet()
    speaker.close()
    assert shared.release(one) == 204 and shared.release(other, "failed") == 204


@pytest.mark.parametrize(
    "body, status, fields",
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"language": "python", "language": "python", "deadline_ms": 1}', 400, None),
        ({}, 422, {"language", "deadline_ms"}),
        ({"language": "python"}, 422, {"deadline_ms"}),
        ({"language": 7, "deadline_ms": "x"}, 422, {"language", "deadline_ms"}),
        ({"language": "python", "deadline_ms": 0}, 422, {"deadline_ms"}),
        ({"language": "python", "deadline_ms": 3600001}, 422, {"deadline_ms"}),
        ({"language": "python", "deadline_ms": 1000, "wait_ms": 60001}, 422, {"wait_ms"}),
        ({"language": "python", "deadline_ms": 1000, "wait_ms": -1}, 422, {"wait_ms"}),
        ({"language": "python", "deadline_ms": 1000, "task_id": "x"}, 422, {"task_id"}),
        ({"language": "python", "deadline_ms": 1000, "task_id": "z" * 36}, 422, {"task_id"}),
        ({"language": "python", "deadline_ms": 1000, "attempt": 1.5}, 422, {"attempt"}),
        ({"language": "python", "deadline_ms": 1000, "more": 1}, 422, {"more"}),
        ({"language": "cobol", "deadline_ms": 1000}, 404, None),
        (b'{"language": "python"' + b" " * 5000 + b"}", 413, None),
    ],
)
def test_bad_requests_are_told_what_is_wrong(shared, body, status, fields):
    got, answer, headers = shared.call("POST", "/leases", body)
    assert got == status, answer
    assert headers["Content-Type"] == "application/problem+json"
    if fields:
        assert {error["field"] for error in answer["errors"]} == fields
    assert not shared.pods(phase="leased")


def test_only_the_token_opens_it(shared):
    for token in ("", "wrong", shared.token + "x", shared.token[:-1]):
        assert shared.call("POST", "/leases", {"language": "python", "deadline_ms": 1000}, token=token)[0] == 401
        assert shared.call("GET", "/pods", token=token)[0] == 401
        assert shared.call("DELETE", f"/leases/{uuid.uuid4()}?outcome=used", token=token)[0] == 401
        assert shared.call("GET", "/healthz", token=token)[0] == 200
    assert shared.call("GET", "/leases")[0] == 405
    assert shared.call("GET", "/nowhere")[0] == 404


def test_a_release_must_be_right(shared):
    lease = shared.lease()
    for query in ("", "?outcome=", "?outcome=lost", "?outcome=deadline"):
        assert shared.call("DELETE", f"/leases/{lease.id}{query}")[0] == 422
    assert shared.call("DELETE", f"/leases/{uuid.uuid4()}?outcome=used")[0] == 404
    assert shared.call("DELETE", "/leases/nonsense?outcome=used")[0] == 404
    assert shared.release(lease) == 204
    assert shared.release(lease) == 404


def test_a_leased_pod_is_replaced_at_once(shared):
    shared.wait_warm(2)
    lease = shared.lease()
    shared.wait_warm(2)
    assert len(shared.pods(phase="leased")) == 1
    assert shared.release(lease) == 204


def test_an_empty_pool_makes_wait_first_come_first_served(make):
    manager = make(pool={"warm": 1, "max": 2})
    held = [manager.lease(), manager.lease()]
    order, threads, started = [], [], []

    def wait_for_pod(number):
        started.append(number)
        lease = manager.lease(wait_ms=60000)
        order.append((number, lease))

    for number in range(6):
        threads.append(threading.Thread(target=wait_for_pod, args=(number,)))
        threads[-1].start()
        metric = lambda: manager.metric("runwave_pool_target_part", 'part="waiting"')  # noqa: E731
        wait_for(lambda: metric() == number + 1, 10 * SLOWNESS, "the request waits")
    for count in range(6):
        assert len(manager.pods()) <= 2
        assert manager.release(held.pop(0)) == 204
        wait_for(lambda: len(order) > count, 30 * SLOWNESS, "the next one is served")
        held.append(order[count][1])
    for thread in threads:
        thread.join()
    assert [number for number, _ in order] == sorted(number for number, _ in order)
    assert len({lease.pod for _, lease in order}) == 6
    for lease in held:
        assert manager.release(lease) == 204


def test_waiting_ends_with_503_and_retry_after(make):
    manager = make(pool={"warm": 1, "max": 1})
    lease = manager.lease()
    for wait_ms in (0, 400):
        started = time.monotonic()
        status, answer, headers = manager.ask(wait_ms=wait_ms)
        took_ms = (time.monotonic() - started) * 1000
        assert status == 503 and int(headers["Retry-After"]) >= 1, answer
        assert wait_ms <= took_ms < wait_ms + 1500 * SLOWNESS
    assert manager.release(lease) == 204
    manager.release(manager.lease())


def test_demand_beyond_warm_grows_the_pool_up_to_its_max_and_no_further(make):
    manager = make(pool={"warm": 1, "max": 6})
    counts = []
    over = threading.Event()

    def watch():
        while not over.is_set():
            counts.append(len(manager.pods()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(12) as crowd:
        leases = list(crowd.map(lambda _: manager.lease(wait_ms=60000), range(6)))
        assert len({lease.pod for lease in leases}) == 6
        more = [crowd.submit(manager.lease, wait_ms=60000) for _ in range(6)]
        for lease in leases:
            assert manager.release(lease) == 204
        leases = [future.result() for future in more]
    for lease in leases:
        assert manager.release(lease) == 204
    over.set()
    watcher.join()
    assert max(counts) == 6


def test_all_pools_together_stay_below_pods_max_and_no_language_starves(make):
    manager = make(languages={"python": {}, "bash": {}, "c": {}}, pool={"warm": 2, "max": 4}, pods_max=4)
    over = threading.Event()
    counts = []

    def churn(language):
        served = 0
        while not over.is_set():
            lease = manager.lease(language=language, wait_ms=60000)
            counts.append(len(manager.pods()))
            manager.release(lease)
            served += 1
        return served

    with concurrent.futures.ThreadPoolExecutor(8) as crowd:
        served = [crowd.submit(churn, "python") for _ in range(6)] + [crowd.submit(churn, name) for name in ("bash", "c")]
        time.sleep(4)
        over.set()
        numbers = [future.result() for future in served]
    assert max(counts) <= 4
    assert all(number > 0 for number in numbers), numbers


def test_a_lease_past_its_deadline_loses_its_pod(make):
    manager = make()
    lease = manager.lease(deadline_ms=500)
    pid = manager.pods(pod=lease.pod)[0]["pid"]
    speaker = Scheduler(lease.address, lease.secret)
    speaker.greet()
    speaker.send_job(python("import time; time.sleep(60)"))
    wait_dead(pid)
    with pytest.raises(Closed):
        while True:
            speaker.receive()
    speaker.close()
    assert manager.release(lease, "used") == 404
    wait_for(lambda: not manager.pods(pod=lease.pod), 10, "the pod is swept")
    assert manager.metric("runwave_lease_ends_total", 'outcome="deadline"') == 1


def test_a_lease_nobody_begins_ends_soon(make):
    manager = make(lease_start_ms=1500)
    forgotten = manager.lease()
    begun = manager.lease()
    body = {"lease_ids": [begun.id, "01900000-0000-7000-8000-000000000000"]}
    assert manager.call("POST", "/leases/started", body)[0] == 204
    wait_for(lambda: not manager.pods(pod=forgotten.pod), 10 * SLOWNESS, "the forgotten pod is swept")
    assert manager.pods(pod=begun.pod)
    assert manager.metric("runwave_lease_ends_total", 'outcome="deadline"') == 1
    assert manager.release(forgotten) == 404
    assert manager.release(begun) == 204


@pytest.mark.parametrize(
    "body", [{}, {"lease_ids": 1}, {"lease_ids": ["x"]}, {"lease_ids": [7]}, {"lease_ids": ["0" * 36] * 1001}, {"lease_ids": [], "more": 1}]
)
def test_a_bad_list_of_begun_leases_is_refused(shared, body):
    status, problem = shared.call("POST", "/leases/started", body)[:2]
    assert status == 422, problem


def test_clients_that_went_away_are_passed_over(make):
    manager = make(pool={"warm": 1, "max": 1})
    held = manager.lease()
    gone = []
    for count in range(5):
        gone.append(UnixConnection(manager.listen[len("unix:") :], 10))
        body = json.dumps({"language": "python", "wait_ms": 60000, "deadline_ms": 60000})
        gone[-1].request("POST", "/leases", body, {"Authorization": f"Bearer {manager.token}"})
        waiting = lambda: manager.metric("runwave_pool_target_part", 'part="waiting"')  # noqa: E731
        wait_for(lambda: waiting() == count + 1, 10 * SLOWNESS, "it waits")
    for connection in gone:
        connection.close()
    created = manager.metric("runwave_pod_creates_total")
    assert manager.release(held) == 204
    next_one = manager.lease()
    assert manager.metric("runwave_lease_requests_total", 'outcome="left"') == 5
    assert manager.metric("runwave_pod_creates_total") == created + 1  # no pod was wasted on them
    assert manager.release(next_one) == 204


def test_a_lease_that_nobody_returns_ends_at_its_deadline(make):
    manager = make(pool={"warm": 1, "max": 1})
    manager.lease(deadline_ms=500)
    assert manager.release(manager.lease(wait_ms=30000)) == 204
    assert manager.metric("runwave_lease_ends_total", 'outcome="deadline"') == 1


# ---- pods that fail ----


def test_a_killed_warm_pod_is_replaced(make):
    manager = make()
    manager.wait_warm(2)
    victim = manager.pods(phase="warm")[0]
    os.kill(victim["pid"], signal.SIGKILL)
    wait_for(lambda: not manager.pods(pod=victim["pod"]), 20 * SLOWNESS, "the pod is noticed to be gone")
    manager.wait_warm(2)
    assert manager.metric("runwave_pod_failures_total", 'reason="signalled"') == 1
    assert len(records(manager)) == 2 * len(manager.pods())


def test_a_killed_leased_pod_ends_its_lease(make):
    manager = make()
    lease = manager.lease()
    os.kill(manager.pods(pod=lease.pod)[0]["pid"], signal.SIGKILL)
    wait_for(lambda: not manager.pods(pod=lease.pod), 20 * SLOWNESS, "the pod is noticed to be gone")
    assert manager.metric("runwave_lease_ends_total", 'outcome="lost"') == 1
    assert manager.release(lease, "failed") == 204
    assert manager.release(lease, "failed") == 404
    manager.wait_warm(2)


def script(folder, text):
    path = folder / "runner.sh"
    path.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\ncase "$1" in --probe) {text} ;; esac\n')
    path.chmod(0o700)
    return path


def runs_of(folder):
    return [line for line in (folder / "calls").read_text().splitlines() if line.startswith("--pod")]


def test_runners_that_die_make_no_hot_loop(make, tmp_path):
    path = script(tmp_path, "exit 0")
    with open(path, "a", encoding="ascii") as out:
        out.write("echo dying >&2; exit 3\n")
    manager = make(wait=False, local={"runner": str(path), "cgroup": ""})
    wait_for(lambda: (tmp_path / "calls").exists() and runs_of(tmp_path), 20, "a runner was started")
    time.sleep(3)
    assert len(runs_of(tmp_path)) <= 20
    status, answer, _ = manager.call("GET", "/readyz")
    assert status == 503 and [lack["name"] for lack in answer["lacking"]] == ["pods"]
    assert "python" in answer["lacking"][0]["detail"] and "status 3" in answer["lacking"][0]["detail"]
    assert manager.ask(wait_ms=200)[0] == 503
    assert manager.call("GET", "/healthz")[0] == 200
    path.write_text(f"#!/bin/sh\nexec {DaemonPaths.of_preset(PRESET)['runner']} \"$@\"\n")
    wait_for(lambda: manager.call("GET", "/readyz")[0] == 200, 60, "it recovers by itself")


def test_runners_that_never_get_ready_are_killed(make, tmp_path):
    path = script(tmp_path, "exit 0")
    with open(path, "a", encoding="ascii") as out:
        out.write("exec sleep 600\n")
    manager = make(wait=False, local={"runner": str(path), "cgroup": ""}, ready_timeout_ms=500)
    wait_for(lambda: manager.pods(), 20, "pods are in the making")
    pids = [pod["pid"] for pod in manager.pods() if "pid" in pod]
    for pid in pids:
        wait_dead(pid)
    wait_for(lambda: manager.metric("runwave_pod_failures_total", 'reason="never_ready"') >= 2, 20, "they are counted")


def test_a_layer_that_is_required_and_lacking_keeps_pods_from_being_made(make):
    manager = make(wait=False, require={"seccomp": True, "landlock_abi": 99})
    wait_for(lambda: "landlock 99" in json.dumps(manager.call("GET", "/readyz")[1]), 20, "readiness names the layer")
    status, answer, _ = manager.call("GET", "/readyz")
    assert status == 503 and [lack["name"] for lack in answer["lacking"]] == ["backend"]
    assert "use a newer kernel" in answer["lacking"][0]["detail"]
    assert manager.ask(wait_ms=0)[0] == 503 and not manager.pods()


def test_the_layers_in_force_are_named(make):
    manager = make(require={"isolation": "namespaces", "seccomp": True})
    layers = manager.call("GET", "/readyz")[1]["sandbox"]
    assert layers.startswith("namespaces,") and ",seccomp" in layers
    assert manager.metric("runwave_sandbox_layers", f'backend="local",layers="{layers}"') == 1
    manager.release(manager.lease())  # the pods themselves insist on the same


def test_a_machine_without_namespaces_is_told_in_one_line(make, tmp_path):
    path = script(tmp_path, "echo 'user namespaces are off: sysctl user.max_user_namespaces=10000' >&2; exit 69")
    manager = make(wait=False, local={"runner": str(path)})
    wait_for(lambda: "user.max_user_namespaces" in json.dumps(manager.call("GET", "/readyz")[1]), 20, "readiness names it")
    status, answer, _ = manager.call("GET", "/readyz")
    assert status == 503 and answer["lacking"][0]["name"] == "backend"
    assert manager.ask(wait_ms=0)[0] == 503
    assert not runs_of(tmp_path)
    told = [line for line in manager.messages() if line["message"] == "pods cannot be made"]
    assert len(told) == 1 and "sysctl" in told[0]["detail"]


def test_a_missing_runner_is_told(make):
    manager = make(wait=False, local={"runner": "/nowhere/runwave-runner"})
    wait_for(lambda: "/nowhere/runwave-runner" in json.dumps(manager.call("GET", "/readyz")[1]), 20, "readiness names it")
    assert not manager.pods()


# ---- its own life and death ----


def test_sigterm_drains(make):
    manager = make(drain_ms=30000)
    lease = manager.lease()
    speaker = Scheduler(lease.address, lease.secret)
    speaker.greet()
    speaker.send_job(python("import time; time.sleep(1); print('done')"))
    manager.process.signal(signal.SIGTERM)
    wait_for(lambda: manager.call("GET", "/readyz")[0] == 503, 10, "it drains")
    assert manager.ask(wait_ms=0)[0] == 503
    wait_for(lambda: [pod["pod"] for pod in manager.pods()] == [lease.pod], 20 * SLOWNESS, "idle pods go")
    output = b""
    while (message := speaker.receive())["type"] != "result":
        output += message.get("data", b"")
    assert output == b"done\n"
    speaker.close()
    assert manager.release(lease, "used") == 204
    assert manager.process.wait(20 * SLOWNESS) == 0
    assert left_over(manager) == []


def test_a_lease_that_is_never_returned_does_not_hold_up_the_end(make):
    manager = make(drain_ms=500)
    lease = manager.lease()
    pids = [pod["pid"] for pod in manager.pods() if "pid" in pod]
    assert lease.pod in [pod["pod"] for pod in manager.pods()]
    manager.process.signal(signal.SIGTERM)
    assert manager.process.wait(20 * SLOWNESS) == 0
    assert left_over(manager) == []
    assert not any(is_alive(pid) for pid in pids)


def test_a_second_signal_ends_it_at_once(make):
    manager = make(drain_ms=60000)
    manager.lease()
    pids = [pod["pid"] for pod in manager.pods()]
    manager.process.signal(signal.SIGTERM)
    wait_for(lambda: manager.call("GET", "/readyz")[0] == 503, 10, "it drains")
    manager.process.signal(signal.SIGTERM)
    assert manager.process.wait(10) == 1
    for pid in pids:
        wait_dead(pid)
    manager.start()
    manager.wait_warm(2)


def test_kill_9_leaves_jobs_to_finish_and_nothing_else(make):
    manager = make()
    busy, idle = manager.lease(), manager.lease()
    manager.wait_warm(2)
    speaker = Scheduler(busy.address, busy.secret)
    speaker.greet()
    speaker.send_job(python("import time; time.sleep(2); print('finished')"))
    speaker.expect("started")
    pids = {pod["pod"]: pod["pid"] for pod in manager.pods()}
    manager.kill()
    for pod, pid in pids.items():
        if pod != busy.pod:
            wait_dead(pid)
    manager.start()
    manager.wait_warm(2)
    assert manager.release(busy, "used") == 404 and manager.release(idle) == 404
    assert not {pod["pod"] for pod in manager.pods()} & set(pids)
    assert not os.path.exists(idle.socket_path)
    output = b""
    while (message := speaker.receive(30 * SLOWNESS))["type"] != "result":
        output += message.get("data", b"")
    assert output == b"finished\n"
    speaker.close()
    wait_dead(pids[busy.pod])
    wait_for(lambda: len(records(manager)) == 2 * len(manager.pods()), 20 * SLOWNESS, "records of the old instance are gone")


def test_two_at_once_on_one_folder_are_refused(make):
    manager = make()
    second = subprocess.run(
        [manager.program, "--config", manager.config_path], capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 78
    assert "in use by another pod-manager" in second.stderr
    manager.release(manager.lease())


def test_a_folder_that_is_too_long_for_sockets_is_refused(make, state_folder):
    manager = PodManager(state_folder("pm"))
    manager.config["local"]["run_dir"] = str(manager.pods_dir.parent / ("x" * 90))
    manager.write_config()
    answer = subprocess.run([manager.program, "--config", manager.config_path], capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 78
    assert "run_dir" in answer.stderr and "unix socket" in answer.stderr


def test_nobody_else_can_reach_pods_or_read_their_secrets(make):
    manager = make()
    lease = manager.lease()
    pid = manager.pods(pod=lease.pod)[0]["pid"]
    assert stat.S_IMODE(manager.pods_dir.stat().st_mode) == 0o700
    for path in manager.pods_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    encoded = base64.b64encode(lease.secret)
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as text:
            content = text.read()
        assert lease.secret not in content and encoded not in content and lease.secret.hex().encode() not in content
    assert encoded.decode() not in manager.process.log_path.read_text(errors="replace")
    assert manager.release(lease) == 204


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives pods user ids of their own")
def test_pods_have_user_ids_of_their_own(make):
    manager = make(local={"uid_base": 1_234_000_000})
    manager.wait_warm(2)
    bases = set()
    for pod in manager.pods():
        with open(f"/proc/{pod['pid']}/cmdline", "rb") as text:
            arguments = text.read().split(b"\0")
        bases.add(int(arguments[arguments.index(b"--uid-base") + 1]))
    assert len(bases) == len(manager.pods())
    assert all(base >= 1_234_000_000 and base % 2 == 0 for base in bases)


def test_nothing_grows_over_many_leases(make):
    manager = make()

    def turn(count):
        for _ in range(count):
            assert manager.release(manager.lease()) == 204
        wait_for(lambda: len(manager.pods(phase="warm")) == len(manager.pods()), 30 * SLOWNESS, "all is quiet")

    turn(30)
    pid = manager.process.pid
    fds, rss, pods = len(os.listdir(f"/proc/{pid}/fd")), manager.rss_bytes(), len(manager.pods())
    turn(200)
    extra = len(manager.pods()) - pods
    assert len(os.listdir(f"/proc/{pid}/fd")) <= fds + 2 * extra + 2  # a pod has two: its process, and its control connection
    assert SLOWNESS > 1 or manager.rss_bytes() < rss + (2 << 20)
    assert len(records(manager)) == 2 * len(manager.pods())
    assert manager.metric("runwave_leases") == 0
    assert manager.metric("runwave_lease_requests_total", 'outcome="granted"') == 230


def test_the_lock_goes_with_the_process(make):
    manager = make()
    with open(manager.pods_dir / "lock", "rb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert manager.stop() == 0
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
