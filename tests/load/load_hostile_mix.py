#!/usr/bin/python3
"""Hostile tasks drawn at random from the attack folders, mixed with as many honest ones, 16 at a time on the local backend:
every honest one is right and within 3 times its undisturbed p99 (measured first, honest tasks alone, as many at a time),
every hostile one ends as a result that admits no escape, and nothing is left behind.

Hostile programs get WALL_MS at most, so that thousands of them end in reasonable time. Usage: load_hostile_mix.py [--tasks
N] [--seed S] (N of each kind, 5000)"""

import argparse
import os
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List

os.environ.setdefault("RUNWAVE_PRESET", "release")
from scene import ROOT, say  # noqa: E402  # sets the path of the next ones

sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "hostile")]
import attacks  # noqa: E402
from client import Api, percentile  # noqa: E402
from stack import DaemonPaths, cases  # noqa: E402
from target import LocalTarget  # noqa: E402

AT_A_TIME = 16
WALL_MS = 1000
CPU_MS = 500
P99_FACTOR = 3
HONEST = ("bash", "javascript", "python")
SEED = 20240601


def hostile_requests(target: LocalTarget) -> List[dict]:
    """One for every step that is a plain task, with limits that end it soon."""
    found = []
    for attack in attacks.all_attacks():
        if any(target.lacks(defence) for defence in attack.about.get("needs", [])):
            continue
        for step in attack.about["steps"]:
            if "program" not in step:
                continue
            body = attacks.request_of(attack.folder, step, target)
            limits = {**body.get("limits", {})}
            limits["wall_ms"] = min(limits.get("wall_ms", WALL_MS), WALL_MS)
            limits["cpu_ms"] = min(limits.get("cpu_ms", CPU_MS), CPU_MS)
            found.append({"name": attack.name, "body": {**body, "limits": limits}})
    return found


class Mix:
    """Runs requests AT_A_TIME at a time, each client taking the next when its last is done."""

    def __init__(self, url: str, requests: List[dict]) -> None:
        self.url = url
        self.times_ms: Dict[str, List[float]] = {}
        self.wrong: List[str] = []
        self._lock = threading.Lock()
        self._todo: "queue.Queue[dict]" = queue.Queue()
        for request in requests:
            self._todo.put(request)

    def run(self) -> "Mix":
        threads = [threading.Thread(target=self._client) for _ in range(AT_A_TIME)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self

    def _client(self) -> None:
        api = Api(self.url)
        while True:
            try:
                request = self._todo.get_nowait()
            except queue.Empty:
                break
            begun = time.perf_counter()
            try:
                result = api.run(timeout_s=300, **request["body"])
                problem = _problem(request, result)
            except Exception as caught:  # pylint: disable=broad-except  # counted as wrong, whatever it was
                problem = repr(caught)
            took_ms = (time.perf_counter() - begun) * 1000
            with self._lock:
                if problem:
                    self.wrong.append(f"{request['name']}: {problem}")
                elif request["name"] in HONEST:
                    self.times_ms.setdefault(request["name"], []).append(took_ms)
        api.close()


def _problem(request: dict, result: dict) -> str:
    """What is not as it must be; "" when all is."""
    ends = (result["status"], result["verdict"], result["attempt"])
    if request["name"] in HONEST:
        return "" if ends == ("done", "ok", 1) and result["stdout"] == "42\n" else f"{ends} {result['reason']} {result['stdout']!r}"
    if result["status"] != "done" or result["verdict"] == "internal_error":
        return f"{ends} {result['reason']}"
    escaped = [stream for stream in cases.OUTPUTS if b"ESCAPED" in cases.output_bytes(result, stream)]
    return f"ESCAPED in {escaped}" if escaped else ""


def _honest(count: int) -> List[dict]:
    return [{"name": name, "body": attacks.honest_request(name)} for name in (HONEST * (count // len(HONEST) + 1))[:count]]


def _figures(mix: Mix) -> str:
    shares = {name: (percentile(times, 0.5), percentile(times, 0.99)) for name, times in sorted(mix.times_ms.items())}
    return ", ".join(f"{name} p50 {p50:.0f} p99 {p99:.0f}" for name, (p50, p99) in shares.items())


def measure(target: LocalTarget, count: int, seed: int) -> List[str]:
    """What did not hold."""
    alone = Mix(target.url, _honest(min(count, 1000))).run()
    say(f"honest alone: {_figures(alone)} ms")
    chance = random.Random(seed)
    kinds = hostile_requests(target)
    requests = _honest(count) + [chance.choice(kinds) for _ in range(count)]
    chance.shuffle(requests)
    begun = time.monotonic()
    mixed = Mix(target.url, requests).run()
    took_s = time.monotonic() - begun
    say(f"{count} honest and {count} hostile (of {len(kinds)} kinds) in {took_s:.0f} s: honest {_figures(mixed)} ms")
    slow = []
    for name, times in mixed.times_ms.items():
        bound = P99_FACTOR * percentile(alone.times_ms[name], 0.99)
        if percentile(times, 0.99) > bound:
            slow.append(f"{name}: p99 {percentile(times, 0.99):.0f} ms, {bound:.0f} at most")
    return alone.wrong[:5] + mixed.wrong[:20] + slow + target.settle()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    say(f"seed {options.seed}")
    state = Path(tempfile.mkdtemp(prefix="runwave-mix-", dir="/tmp"))
    target = LocalTarget(state, DaemonPaths.of_preset(os.environ["RUNWAVE_PRESET"]), 1, False)
    try:
        target.start()
        problems = measure(target, options.tasks, options.seed)
    finally:
        statuses = target.stop()
    problems += [f"{name} ended with status {status}" for name, status in statuses.items() if status not in (0, None)]
    if problems:
        say("FAILED:\n" + "\n".join(problems) + f"\nstate and logs are kept in {state}")
    else:
        shutil.rmtree(state, ignore_errors=True)
        say("the honest were not disturbed, and nothing is left")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
