"""Building a preset, quiet while all is well."""

import argparse
import os
import subprocess
import time
from pathlib import Path
from typing import List, Sequence

from stack import repository_root

from .say import Failure, say

TAIL_LINES = 60


def quiet(argv: Sequence[str], log: Path) -> None:
    """Run with the output in a log that is shown only when the command fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        status = subprocess.run(argv, cwd=repository_root(), stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise Failure(f"failed with status {status}: {' '.join(argv)}\n" + "\n".join(lines[-TAIL_LINES:]) + f"\n(all of it: {log})")


def preset(name: str, options: Sequence[str] = (), targets: Sequence[str] = ()) -> Path:
    """Configure and build; returns the build folder."""
    folder = repository_root() / "build" / name
    started = time.monotonic()
    say(f"building ({name})")
    quiet(["cmake", "--preset", name, *options], folder / "configure.log")
    argv: List[str] = ["cmake", "--build", "--preset", name, "--parallel", str(os.cpu_count() or 1)]
    if targets:
        argv += ["--target", *targets]
    quiet(argv, folder / "build.log")
    say(f"built ({name}) in {time.monotonic() - started:.0f} s")
    return folder


def run(options: argparse.Namespace) -> int:
    preset(options.preset)
    return 0
