"""The runner protocol in Python, both sides: docs/runner-protocol.md, written from the text and not from the C code, so that each keeps the
other honest. `Runner` plays a runner on an accepted connection, `Scheduler` plays a scheduler that connects to one."""

import hashlib
import hmac
import os
import socket
import struct
import uuid
from typing import Any, Dict, List, Optional

import msgpack

FRAME_BYTES_MAX = 20 * 1024 * 1024
CHUNK_BYTES_MAX = 65536
USAGE = {"wall_us": 1000, "cpu_user_us": 600, "cpu_system_us": 200, "memory_bytes": 9 << 20, "processes": 1}

# type -> side that sends it -> required keys, and optional ones.
KEYS = {
    ("hello", "scheduler"): ({"nonce": bytes, "lease_id": bytes}, {}),
    ("hello", "runner"): ({"nonce": bytes, "proof": bytes}, {}),
    ("job", "scheduler"): ({"proof": bytes, "task_id": bytes, "attempt": int, "trace": str, "job": bytes}, {}),
    ("started", "runner"): ({"stage": str}, {}),
    ("output", "runner"): ({"stream": str, "data": bytes}, {}),
    ("stdin", "scheduler"): ({"data": bytes, "eof": bool}, {}),
    ("cancel", "scheduler"): ({}, {}),
    ("result", "runner"): (
        {
            "verdict": str,
            "signal": int,
            "stdout_truncated": bool,
            "stderr_truncated": bool,
            "compile_truncated": bool,
            "run": dict,
            "run_started_after_us": int,
            "reason": str,
        },
        {"exit_code": int, "compile": dict},
    ),
    ("refused", "runner"): ({"reason": str}, {}),
}


class ProtocolError(Exception):
    pass


class Closed(Exception):
    """The other side ended the stream."""


def proof(secret: bytes, role: str, scheduler_nonce: bytes, runner_nonce: bytes, lease_id: bytes) -> bytes:
    """crypto_auth: the first 32 bytes of HMAC-SHA-512."""
    message = role.encode("ascii") + b"\0" + scheduler_nonce + runner_nonce + lease_id
    return hmac.new(secret, message, hashlib.sha512).digest()[:32]


def _unique(pairs: List[tuple]) -> Dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ProtocolError(f"doubled keys among {keys}")
    return dict(pairs)


def check(message: Any, side: str) -> Dict[str, Any]:
    """The message, when side may send it and it has exactly the right keys."""
    if not isinstance(message, dict) or (message.get("type"), side) not in KEYS:
        raise ProtocolError(f"not a message of the {side}: {str(message)[:200]}")
    required, optional = KEYS[message["type"], side]
    given = {key: value for key, value in message.items() if key != "type"}
    if not set(required) <= set(given) or not set(given) <= set(required) | set(optional):
        raise ProtocolError(f"{message['type']} with keys {sorted(given)}")
    for key, value in given.items():
        wanted = required.get(key) or optional[key]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ProtocolError(f"{message['type']}: {key} is a {type(value).__name__}")
    return message


class Speaker:
    """Frames on a connected socket. side: what this end plays."""

    def __init__(self, connection: socket.socket, side: str) -> None:
        self.connection = connection
        self.side = side
        self.other = "runner" if side == "scheduler" else "scheduler"
        self.nonce = os.urandom(32)
        self.other_nonce = b""

    def send_bytes(self, data: bytes) -> None:
        self.connection.sendall(data)

    def send(self, type_: str, **keys: Any) -> None:
        payload = msgpack.packb({"type": type_, **keys}, use_bin_type=True)
        self.send_bytes(struct.pack(">I", len(payload)) + payload)

    def receive(self, timeout_s: float = 20) -> Dict[str, Any]:
        self.connection.settimeout(timeout_s)
        (length,) = struct.unpack(">I", self._exactly(4))
        if not 0 < length <= FRAME_BYTES_MAX:
            raise ProtocolError(f"frame of {length} bytes")
        unpacked = msgpack.unpackb(self._exactly(length), raw=False, object_pairs_hook=_unique, max_bin_len=FRAME_BYTES_MAX)
        return check(unpacked, self.other)

    def expect(self, type_: str, timeout_s: float = 20) -> Dict[str, Any]:
        message = self.receive(timeout_s)
        if message["type"] != type_:
            raise ProtocolError(f"{message} where {type_} was expected")
        return message

    def close(self) -> None:
        self.connection.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.connection.recv(count - len(data))
            except ConnectionResetError as problem:
                raise Closed("reset") from problem
            if not part:
                raise Closed(f"after {len(data)} of {count} bytes")
            data += part
        return data


class Runner(Speaker):
    """A runner's end of an accepted connection."""

    def __init__(self, connection: socket.socket, secret: bytes) -> None:
        super().__init__(connection, "runner")
        self.secret = secret
        self.lease_id = b""

    def greet(self, secret: Optional[bytes] = None) -> None:
        """Read the hello and answer it; with another secret as an impostor would."""
        hello = self.expect("hello")
        self.other_nonce, self.lease_id = hello["nonce"], hello["lease_id"]
        mine = proof(secret or self.secret, "runner", self.other_nonce, self.nonce, self.lease_id)
        self.send("hello", nonce=self.nonce, proof=mine)

    def take_job(self) -> Dict[str, Any]:
        """The job message, its proof checked, with the job itself decoded under "job"."""
        message = self.expect("job")
        wanted = proof(self.secret, "scheduler", self.other_nonce, self.nonce, self.lease_id)
        if not hmac.compare_digest(message["proof"], wanted):
            self.send("refused", reason="proof")
            raise ProtocolError("wrong proof")
        job = msgpack.unpackb(message["job"], raw=False, object_pairs_hook=_unique)
        return {**message, "job": job}

    def output(self, stream: str, data: bytes) -> None:
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            self.send("output", stream=stream, data=data[at : at + CHUNK_BYTES_MAX])

    def result(self, verdict: str = "ok", exit_code: Optional[int] = 0, **changes: Any) -> None:
        keys = {
            "verdict": verdict,
            "signal": 0,
            "stdout_truncated": False,
            "stderr_truncated": False,
            "compile_truncated": False,
            "run": USAGE,
            "run_started_after_us": 1500,
            "reason": "",
        }
        if exit_code is not None:
            keys["exit_code"] = exit_code
        self.send("result", **{**keys, **changes})


class Scheduler(Speaker):
    """A scheduler's end: connects to "unix:PATH" or "tcp:HOST:PORT"."""

    def __init__(self, address: str, secret: bytes, lease_id: Optional[bytes] = None, timeout_s: float = 10) -> None:
        kind, _, rest = address.partition(":")
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_s)
            connection.connect(rest)
        else:
            host, _, port = rest.rpartition(":")
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
        super().__init__(connection, "scheduler")
        self.secret = secret
        self.lease_id = lease_id or uuid.uuid4().bytes

    def greet(self) -> None:
        """Say hello and check the runner's proof. A refusal raises ProtocolError with its reason."""
        self.send("hello", nonce=self.nonce, lease_id=self.lease_id)
        hello = self.expect("hello")
        self.other_nonce = hello["nonce"]
        wanted = proof(self.secret, "runner", self.nonce, self.other_nonce, self.lease_id)
        if not hmac.compare_digest(hello["proof"], wanted):
            raise ProtocolError("the runner does not know the secret")

    def send_job(
        self, job: Any, task_id: Optional[bytes] = None, attempt: int = 1, trace: str = "", secret: Optional[bytes] = None
    ) -> None:
        """job: a dict as make_job gives, or bytes to send as they are; another secret gives a wrong proof."""
        data = job if isinstance(job, bytes) else msgpack.packb(job, use_bin_type=True)
        mine = proof(secret or self.secret, "scheduler", self.nonce, self.other_nonce, self.lease_id)
        self.send("job", proof=mine, task_id=task_id or uuid.uuid4().bytes, attempt=attempt, trace=trace, job=data)

    def run(self, job: Any, timeout_s: float = 60, **options: Any) -> Dict[str, Any]:
        """Greet, send the job, and collect everything up to the result: its keys, and stdout, stderr, compile_output, stages."""
        self.greet()
        self.send_job(job, **options)
        outputs: Dict[str, bytes] = {"stdout": b"", "stderr": b"", "compile": b""}
        stages = []
        while True:
            message = self.receive(timeout_s)
            if message["type"] == "output":
                outputs[message["stream"]] += message["data"]
            elif message["type"] == "started":
                stages.append(message["stage"])
            elif message["type"] == "result":
                collected = {"stdout": outputs["stdout"], "stderr": outputs["stderr"], "compile_output": outputs["compile"]}
                return {**message, **collected, "stages": stages}
            else:
                raise ProtocolError(f"unexpected {message}")


LIMITS = {
    "cpu_ms": 5000,
    "wall_ms": 10000,
    "memory_bytes": 256 << 20,
    "processes": 64,
    "output_bytes": 1 << 20,
    "file_bytes": 16 << 20,
    "disk_bytes": 64 << 20,
    "open_files": 256,
}


def make_stage(argv: List[str], env: Optional[List[str]] = None, **limits: int) -> Dict[str, Any]:
    return {"argv": argv, "env": env or ["PATH=/usr/bin:/bin"], "limits": {**LIMITS, **limits}}


def make_job(
    files: Dict[str, bytes],
    run: Dict[str, Any],
    language: str = "python",
    version: str = "3.11",
    stdin: bytes = b"",
    compile_: Optional[Dict] = None,
) -> Dict[str, Any]:
    job = {
        "language": language,
        "version": version,
        "files": [{"name": name, "content": content} for name, content in files.items()],
        "stdin": stdin,
        "run": run,
    }
    return {**job, "compile": compile_} if compile_ else job
