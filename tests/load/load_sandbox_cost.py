#!/usr/bin/python3
"""What the sandbox costs: from a job's arrival to its code's first instruction, against a plain fork and exec of the same
program.

  ahead   the sandbox was made before: from the moment the job is sent
  fresh   the runner itself is started when the job is there: its program, sandbox, handshake and all

With and without a cgroup: joining one of version 1 waits for the kernel, some 10 ms a hierarchy. The bounds are for an idle
machine: p50 under 6 ms fresh (without a cgroup, or with version 2), under 1 ms ahead. Usage: load_sandbox_cost.py [ROUNDS]"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List

os.environ.setdefault("RUNWAVE_PRESET", "release")
from scene import ROOT, say  # noqa: E402  # sets the path of the next ones

sys.path.insert(0, str(ROOT / "tests" / "integration"))
from client import percentile  # noqa: E402
from runner_pod import RUNNER, Pod  # noqa: E402
from runner_speaker import make_job, make_stage  # noqa: E402

LOADER = "/lib64/ld-linux-x86-64.so.2"
FRESH_MS_MAX = 6.0
AHEAD_MS_MAX = 1.0
HERE = Path(__file__).resolve().parent


def build(folder: Path) -> None:
    plain_c = ["gcc", "-O2", "-static", "-o", str(folder / "plain"), str(HERE / "sandbox_plain.c")]
    stamp = ["gcc", "-O2", "-nostdlib", "-fPIE", "-pie", "-fno-stack-protector", "-o", str(folder / "stamp")]
    for argv in (plain_c, [*stamp, str(HERE / "sandbox_stamp.c")]):
        subprocess.run(argv, check=True)


def plain(folder: Path, rounds: int) -> List[float]:
    argv = [str(folder / "plain"), str(rounds), LOADER, str(folder / "stamp")]
    return [int(line) / 1000 for line in subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.split()]


def _stamp_ms(output: bytes) -> float:
    seconds, nanoseconds = struct.unpack("<qq", output)
    return seconds * 1000 + nanoseconds / 1e6


def _run(pod: Pod, job: dict) -> "tuple[float, float]":
    """(when the job was sent, when its code began), in ms of the monotonic clock."""
    scheduler = pod.connect()
    try:
        scheduler.greet()
        sent_ms = time.monotonic() * 1000
        scheduler.send_job(job)
        output = b""
        while (message := scheduler.receive(60))["type"] != "result":
            output += message.get("data", b"") if message["type"] == "output" else b""
        assert message["verdict"] == "ok", message
        return sent_ms, _stamp_ms(output)
    finally:
        scheduler.close()


def ahead(mode: str, job: dict) -> float:
    pod = Pod(mode)
    try:
        sent_ms, began_ms = _run(pod.await_ready(), job)
        pod.process.wait(30)
        return began_ms - sent_ms
    finally:
        pod.remove()


def fresh(mode: str, job: dict) -> float:
    arrived_ms = time.monotonic() * 1000
    pod = Pod(mode)
    try:
        _, began_ms = _run(pod, job)
        pod.process.wait(30)
        return began_ms - arrived_ms
    finally:
        pod.remove()


def tell(name: str, values: List[float], base: float) -> float:
    figures = ", ".join(f"{share} {percentile(values, part):.2f}" for share, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)))
    p50 = percentile(values, 0.5)
    say(f"{name}: {figures} ms; p50 {p50 - base:+.2f} ms against the plain one")
    return p50


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory(prefix="runwave-cost-", dir="/tmp") as name:
        folder = Path(name)
        build(folder)
        base = tell("plain fork and exec", plain(folder, rounds), 0.0)
        job = make_job({"stamp": (folder / "stamp").read_bytes()}, make_stage([LOADER, "/box/stamp"]))
    probe = json.loads(subprocess.run([str(RUNNER), "--probe"], stdout=subprocess.PIPE, check=True).stdout)
    version = probe["cgroup"]["version"]
    kinds: Dict[str, Callable[[str, dict], float]] = {"ahead": ahead, "fresh": fresh}
    bounds = {"ahead": AHEAD_MS_MAX, "fresh": FRESH_MS_MAX}
    failed = []
    for mode in ("root-watch", *(["root"] if version else [])):
        for kind, measure in kinds.items():
            where = f"{kind}, {f'cgroup of version {version}' if mode == 'root' else 'no cgroup'}"
            p50 = tell(where, [measure(mode, job) for _ in range(rounds)], base)
            if p50 >= bounds[kind] and not (kind == "fresh" and mode == "root" and version == 1):
                failed.append(f"{where}: p50 must be under {bounds[kind]:g} ms")
    say(f"FAILED: {'; '.join(failed)}" if failed else "the cost is as promised")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
