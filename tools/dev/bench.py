"""`./dev bench`: measure the stack on this machine, on a state folder of its own, and write one report."""

import argparse
import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

from bench import measure, report
from bench.load import Loader
from stack import DaemonPaths, Stack, repository_root

from . import build, userns
from .say import Failure, say

PRESET = "release"
PARTS = ("latency", "stages", "throughput", "cold", "backlog")


def _programs(options: argparse.Namespace) -> Path:
    """The build folder."""
    if options.build:
        return Path(options.build).absolute()
    return build.preset(PRESET, ["-DBUILD_TESTING=OFF", "-DRUNWAVE_BENCH=ON"])


@contextlib.contextmanager
def _bench(folder: Path, plan: measure.Plan, languages: Optional[Dict[str, dict]] = None) -> Iterator[measure.Bench]:
    """On a new stack; its folder is kept when something went wrong."""
    state = Path(tempfile.mkdtemp(prefix="runwave-bench-", dir="/tmp"))
    stack = Stack(state / "stack", DaemonPaths(folder), languages=languages)
    try:
        stack.start()
        yield measure.Bench(stack, Loader(folder / "tools/bench/runwave-load"), state / "programs", plan, say)
        stack.stop()
    except BaseException:
        stack.stop()
        say(f"state and logs are kept in {state}")
        raise
    shutil.rmtree(state, ignore_errors=True)


def _speed(folder: Path, plan: measure.Plan, parts: List[str], result: dict) -> None:
    """What is measured on an otherwise idle stack."""
    steps: Dict[str, Callable[[measure.Bench], dict]] = {
        "latency": measure.latency,
        "stages": measure.way_of_a_task,
        "throughput": measure.throughput,
    }
    cold = None
    if not any(part in parts for part in (*steps, "cold")):
        return
    with _bench(folder, plan) as bench:
        measure.prepare(bench)
        for name, step in steps.items():
            if name in parts:
                result[name] = step(bench)
        titles = measure.warm_titles(bench.stack.languages)
        cold = measure.without_warm(bench.stack.languages)
    if cold and "cold" in parts and "latency" in result:
        with _bench(folder, plan, cold) as bench:
            result["cold"] = measure.cold(bench, titles, result["latency"])


def run(options: argparse.Namespace) -> int:
    if problem := userns.problem():
        raise Failure(problem)
    parts = options.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        raise Failure(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    old = json.loads(Path(options.compare).read_text(encoding="utf-8")) if options.compare else None
    folder = _programs(options)
    plan = measure.SHORT if options.short else measure.FULL
    result: dict = {"commit": report.commit(), "machine": report.machine(), "versions": report.versions(), "short": options.short}
    _speed(folder, plan, parts, result)
    if "backlog" in parts:
        with _bench(folder, plan) as bench:
            result["backlog"] = measure.backlog(bench)
            result["submit while running"] = measure.submit_while_running(bench)
    result["machine"]["load_average_after"] = round(os.getloadavg()[0], 2)
    as_json, as_markdown = report.write(result, Path(options.output or repository_root() / "build" / "bench-report"))
    print(report.compare(old, result) if old else report.markdown(result))
    say(f"written: {as_markdown} and {as_json}")
    return 0
