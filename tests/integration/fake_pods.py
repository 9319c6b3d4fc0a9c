"""A pod-manager and its runners for tests of the scheduler: the lease API on a unix socket (docs/lease-api.md), each lease a listening
socket with a scripted runner behind it. `scripts` holds what the next leases' runners do, first come first served; after that all are
`good`."""

import base64
import collections
import http.server
import json
import os
import socket
import socketserver
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Deque, Dict, List, Optional, Set

from runner_speaker import Closed, ProtocolError, Runner, Speaker

Script = Callable[["Pod", Runner], None]


class Pod:
    """One lease: its listening socket and what became of it."""

    def __init__(self, manager: "FakePodManager", request: Dict, script: Script) -> None:
        self.lease_id = uuid.uuid4()
        self.name = f"fake-{self.lease_id.hex[:8]}"
        self.secret = os.urandom(32)
        self.request = request
        self.script = script
        self.manager = manager
        self.path = manager.folder / f"{self.lease_id.hex[:12]}.sock"
        self.released: Optional[str] = None
        self.job: Optional[Dict] = None
        self.problem: Optional[BaseException] = None
        self.ended: Optional[str] = None  # what GET /leases/:lease_id says
        self.n_looks = 0
        self.closed_by_scheduler = threading.Event()
        self.listener: Optional[socket.socket] = None
        if script is not unreachable:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.path))
            self.listener.listen(4)
            threading.Thread(target=self._serve, daemon=True).start()

    def answer(self) -> Dict:
        secret = base64.b64encode(self.secret).decode("ascii")
        return {"lease_id": str(self.lease_id), "pod": self.name, "address": f"unix:{self.path}", "secret": secret}

    def wait_until_closed(self, speaker: Speaker, timeout_s: float = 30) -> None:
        """Until the scheduler ends the connection."""
        try:
            while True:
                speaker.receive(timeout_s)
        except Closed:
            self.closed_by_scheduler.set()

    def _serve(self) -> None:
        assert self.listener is not None
        connection, _ = self.listener.accept()
        self.listener.close()
        runner = Runner(connection, self.secret)
        try:
            self.script(self, runner)
        except (Closed, ProtocolError, OSError) as problem:
            self.problem = problem
            if isinstance(problem, (Closed, BrokenPipeError)):
                self.closed_by_scheduler.set()
        finally:
            runner.close()
            self.ended = self.ended or self.manager.pod_end
            self.path.unlink(missing_ok=True)


# ---- scripts ----


def _take_job(pod: Pod, runner: Runner) -> Dict:
    runner.greet()
    pod.job = runner.take_job()
    pod.manager.jobs.append(pod.job)
    return pod.job


def good(pod: Pod, runner: Runner) -> None:
    job = _take_job(pod, runner)
    runner.send("started", stage="run")
    runner.output("stdout", job["job"]["stdin"])
    runner.result()


def unreachable(pod: Pod, runner: Runner) -> None:
    """Nobody listens at the address."""


def closes_at_once(pod: Pod, runner: Runner) -> None:
    """Closes before the hello."""


def silent(pod: Pod, runner: Runner) -> None:
    pod.wait_until_closed(runner)


def impostor(pod: Pod, runner: Runner) -> None:
    runner.greet(secret=bytes(32))
    pod.wait_until_closed(runner)


def garbles_hello(pod: Pod, runner: Runner) -> None:
    runner.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    pod.wait_until_closed(runner)


def sends_result_first(pod: Pod, runner: Runner) -> None:
    runner.result()
    pod.wait_until_closed(runner)


def vanishes(pod: Pod, runner: Runner) -> None:
    """Dies in the middle of the job, with part of a frame sent."""
    _take_job(pod, runner)
    runner.send("started", stage="run")
    runner.output("stdout", b"half of it")
    runner.send_bytes(b"\0\0\1\0half a frame")


def vanishes_of(reason: Optional[str], after_s: float = 0) -> Script:
    """Dies in the middle of the job; the platform tells the reason a moment later, or never."""

    def vanish(pod: Pod, runner: Runner) -> None:
        pod.ended = "hidden"
        _take_job(pod, runner)
        runner.send("started", stage="run")
        runner.output("stdout", b"half of it")
        if reason is not None:
            threading.Timer(after_s, lambda: setattr(pod, "ended", reason)).start()

    return vanish


def garbles_after_job(pod: Pod, runner: Runner) -> None:
    _take_job(pod, runner)
    runner.send_bytes(b"\0\0\0\4\xc1\xc1\xc1\xc1")
    pod.wait_until_closed(runner)


def announces_huge_frame(pod: Pod, runner: Runner) -> None:
    _take_job(pod, runner)
    runner.send_bytes(b"\xff\xff\xff\xff")
    pod.wait_until_closed(runner)


def sends_unknown_key(pod: Pod, runner: Runner) -> None:
    _take_job(pod, runner)
    runner.send("started", stage="run", extra=1)
    pod.wait_until_closed(runner)


def never_ends(pod: Pod, runner: Runner) -> None:
    _take_job(pod, runner)
    runner.send("started", stage="run")
    pod.wait_until_closed(runner)


def floods(pod: Pod, runner: Runner) -> None:
    _take_job(pod, runner)
    while True:
        runner.output("stdout", bytes(65536))


def refuses(reason: str) -> Script:
    def refuse(pod: Pod, runner: Runner) -> None:
        runner.expect("hello")
        runner.send("refused", reason=reason)

    return refuse


def refuses_job(reason: str) -> Script:
    def refuse(pod: Pod, runner: Runner) -> None:
        _take_job(pod, runner)
        runner.send("refused", reason=reason)

    return refuse


def takes(seconds: float) -> Script:
    def slow(pod: Pod, runner: Runner) -> None:
        job = _take_job(pod, runner)
        runner.send("started", stage="run")
        time.sleep(seconds)
        runner.output("stdout", job["job"]["stdin"])
        runner.result()

    return slow


def waits_for(event: threading.Event) -> Script:
    def wait(pod: Pod, runner: Runner) -> None:
        job = _take_job(pod, runner)
        runner.send("started", stage="run")
        event.wait(60)
        runner.output("stdout", job["job"]["stdin"])
        runner.result()

    return wait


# ---- the manager ----


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None:
        pass

    def _reply(self, status: int, body: Optional[Dict] = None) -> None:
        data = json.dumps(body).encode("utf-8") if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        manager = self.server.manager
        if not self.path.startswith("/leases/"):
            self._reply(200, {})
        elif manager.look_status != 200:
            self._reply(manager.look_status, {})
        else:
            sight = manager.look(self.path.rpartition("/")[2])
            self._reply(404 if sight is None else 200, sight or {})

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        manager = self.server.manager
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {manager.token}":
            self._reply(401, {})
            return
        if self.path == "/leases/started":
            self._reply(204)
            return
        status, pod = manager.lease(request)
        self._reply(status, pod.answer() if pod else {})

    def do_DELETE(self) -> None:  # pylint: disable=invalid-name
        path, _, query = self.path.partition("?")
        known = self.server.manager.release(path.rpartition("/")[2], query.partition("=")[2])
        self._reply(204 if known else 404)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    manager: "FakePodManager"

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.connections: Set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away."""

    def cut_connections(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class FakePodManager:
    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.token = token
        self.socket_path = folder / "pm.sock"
        self.scripts: Deque[Script] = collections.deque()
        self.default: Script = good
        self.pods: List[Pod] = []
        self.jobs: List[Dict] = []  # every job message that a runner took
        self.requests: List[Dict] = []
        self.is_empty = False  # no pod for anybody
        self.status = 200  # anything else: the answer to every request for a lease
        self.look_status = 200  # and to every question after one
        self.pod_end: Optional[str] = "exited"  # why pods have ended, where their scripts do not say
        self._lock = threading.Lock()
        self._server: Optional[_Server] = None

    def start(self) -> None:
        if self._server is not None:
            return
        self.socket_path.unlink(missing_ok=True)
        self._server = _Server(str(self.socket_path))
        self._server.manager = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_connections()
            self._server = None
        self.socket_path.unlink(missing_ok=True)

    def reset(self) -> None:
        with self._lock:
            self.scripts.clear()
            self.default = good
            self.pods, self.jobs, self.requests = [], [], []
            self.is_empty, self.status, self.look_status = False, 200, 200

    def lease(self, request: Dict) -> "tuple[int, Optional[Pod]]":
        with self._lock:
            self.requests.append(request)
        deadline = time.monotonic() + request["wait_ms"] / 1000
        while self.is_empty and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.is_empty or self.status != 200:
            return (503 if self.is_empty else self.status), None
        with self._lock:
            pod = Pod(self, request, self.scripts.popleft() if self.scripts else self.default)
            self.pods.append(pod)
        return 200, pod

    def look(self, lease_id: str) -> Optional[Dict]:
        for pod in self.pods:
            if str(pod.lease_id) == lease_id and pod.released is None:
                pod.n_looks += 1
                is_told = pod.ended not in (None, "hidden")
                return {"lease_id": lease_id, **({"pod_ended": pod.ended} if is_told else {})}
        return None

    def release(self, lease_id: str, outcome: str) -> bool:
        with self._lock:
            for pod in self.pods:
                if str(pod.lease_id) == lease_id:
                    pod.released = outcome
                    return True
        return False
