"""`./dev fuzz`, and the suite of that name: libFuzzer targets of tests/fuzz for a given time, several side by side.

Each begins with its seeds and with what it has found worth keeping before (build/fuzz/corpus/<target>). What breaks a target
is kept in build/fuzz/found/<target>-<kind>-<hash>; once mended it belongs into tests/fuzz/corpus/<target>/, where every test
run replays it.
"""

import argparse
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Sequence

from stack import repository_root

from . import build
from .say import Failure, say

SECONDS = 600
# What a stranger's code, and whoever poses as a runner or a scheduler, can reach: the protocol, and a result's way to its client.
PROTOCOL = ("frame", "message", "link", "job", "kernel_text", "runner_link", "result")
ALL = "all"
TAIL_LINES = 40


def _targets() -> List[str]:
    return sorted(path.stem.removeprefix("fuzz_") for path in (repository_root() / "tests" / "fuzz").glob("fuzz_*.c"))


def choose(wanted: Sequence[str], names: Sequence[str]) -> List[str]:
    """wanted: names, "all", or nothing for those of the protocol."""
    if ALL in wanted:
        return list(names)
    chosen = list(wanted or PROTOCOL)
    if unknown := [name for name in chosen if name not in names]:
        raise Failure(f"no fuzz target {', '.join(unknown)}; there are: {', '.join(names)}, {ALL}")
    return chosen


def fuzz(wanted: Sequence[str], seconds: int) -> bool:
    """seconds: how long it takes in all. False when a target found something."""
    names = choose(wanted, _targets())
    folder = build.preset("fuzz", targets=[f"fuzz_{name}" for name in names])
    workers = min(len(names), os.cpu_count() or 1)
    share = max(1, seconds * workers // len(names))
    say(f"fuzzing {', '.join(names)}: {share} s each, {workers} at a time")
    with ThreadPoolExecutor(workers) as pool:
        return all(list(pool.map(lambda name: _fuzz_one(folder, name, share), names)))


def _fuzz_one(folder: Path, name: str, seconds: int) -> bool:
    """libFuzzer says much while all is well: its words go to a log, whose end is shown when it found something."""
    program = folder / "tests" / "fuzz" / f"fuzz_{name}"
    seeds = repository_root() / "tests" / "fuzz" / "corpus" / name
    grown = folder / "corpus" / name
    found = folder / "found"
    for path in (grown, found):
        path.mkdir(parents=True, exist_ok=True)
    log = folder / f"fuzz_{name}.log"
    argv = [str(program), f"-max_total_time={seconds}", f"-artifact_prefix={found}/{name}-", "-print_final_stats=1", str(grown)]
    argv += [str(seeds)] if seeds.is_dir() else []
    with open(log, "wb") as out:
        status = subprocess.run(argv, cwd=repository_root(), stdout=out, stderr=out, check=False).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if status == 0:
        runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "?")
        say(f"fuzzed {name} for {seconds} s: {runs} inputs, nothing found")
        return True
    begin = next((number for number, line in enumerate(lines) if "ERROR" in line), max(0, len(lines) - TAIL_LINES))
    kept = next((line.rpartition(" ")[2] for line in lines if line.startswith("artifact_prefix=")), "")
    again = f"; again: {program} {kept}" if kept else ""
    say(f"fuzzed {name}: FOUND SOMETHING (log: {log}{again})\n" + "\n".join(lines[begin : begin + TAIL_LINES]))
    return False


def run(options: argparse.Namespace) -> int:
    return 0 if fuzz(options.targets, options.seconds) else 1
