"""`./dev test`: the suites by name. Each ends with the summary lines of ctest or pytest."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from stack import repository_root
from stack.docker_engine import DockerEngine

from . import build, cluster, images, userns
from . import fuzz as fuzzing
from .say import Failure, say

SANITIZERS = ("asan", "tsan")
FUZZ_SECONDS = 60
TSAN_RANDOM_BITS_MAX = 28  # with more, the thread sanitizer of gcc 12 dies with "unexpected memory mapping"


def default_preset() -> str:
    return os.environ.get("RUNWAVE_PRESET") or "debug"


def _prefix(preset: str) -> List[str]:
    """TSan does not bear the address layout of newer kernels; without randomising it is always the one it knows."""
    bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text(encoding="ascii"))
    return ["setarch", "-R"] if preset == "tsan" and bits > TSAN_RANDOM_BITS_MAX else []


def _run(argv: Sequence[str], preset: str) -> bool:
    say(f"running ({preset}): {' '.join(argv)}")
    env = {**os.environ, "RUNWAVE_PRESET": preset, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([*_prefix(preset), *argv], cwd=repository_root(), env=env, check=False).returncode == 0


def unit(preset: str, _extra: Sequence[str]) -> bool:
    return _run(["ctest", "--preset", preset], preset)


def integration(preset: str, extra: Sequence[str]) -> bool:
    if problem := userns.problem():
        raise Failure(problem)
    named = [argument for argument in extra if (repository_root() / argument.partition("::")[0]).exists()]
    # Tests wait more than they compute: a few workers side by side, each with a stack of its own (see conftest.py).
    workers = [] if extra else ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadgroup"]
    return _run([sys.executable, "-m", "pytest", *workers, *([] if named else ["tests/integration"]), *extra], preset)


def hostile(preset: str, extra: Sequence[str]) -> bool:
    """Every attack of the catalogue; RUNWAVE_HOSTILE_TARGET names the backend and level, `local` without it."""
    if problem := userns.problem():
        raise Failure(problem)
    return _run([sys.executable, "-m", "pytest", "tests/hostile", *extra], preset)


def compose(preset: str, extra: Sequence[str]) -> bool:
    """docker-compose.yml on a private engine, with the images of this tree; RUNWAVE_COMPOSE names another docker-compose (v2)."""
    with DockerEngine(private=True) as engine:
        images.Images(engine, repository_root() / ".runwave" / "log").build()
        return _run([sys.executable, "-m", "pytest", "tests/compose", *extra], preset)


def load(preset: str, _extra: Sequence[str]) -> bool:
    scripts = sorted((repository_root() / "tests" / "load").glob("load_*.py"))
    return all([_run([sys.executable, str(script)], preset) for script in scripts])


def fuzz(_preset: str, extra: Sequence[str]) -> bool:
    """Every target for an equal share of the time."""
    return fuzzing.fuzz([fuzzing.ALL], int(extra[0] if extra else FUZZ_SECONDS))


def kubernetes(preset: str, extra: Sequence[str]) -> bool:
    """The `dev` overlay in a real cluster of this machine; then, beside it, the client and the backend by themselves. A cluster that was
    not there before is taken down, unless RUNWAVE_KEEP_CLUSTER says otherwise."""
    installed = cluster.Cluster()
    is_to_stay = installed.is_up() or bool(os.environ.get("RUNWAVE_KEEP_CLUSTER"))
    try:
        say(f"RunWave runs in the cluster: {installed.up()}")
        named = [argument for argument in extra if (repository_root() / argument.partition("::")[0]).exists()]
        is_right = _run([sys.executable, "-m", "pytest", *([] if named else ["tests/kubernetes"]), *extra], preset)
        return (bool(extra) or _kubernetes_backend(preset, installed)) and is_right
    finally:
        if not is_to_stay:
            installed.down()


def _kubernetes_backend(preset: str, installed: cluster.Cluster) -> bool:
    os.environ.update(installed.env, RUNWAVE_TEST_KUBECONFIG=installed.env["KUBECONFIG"])
    folder = repository_root() / "build" / preset
    image = installed.state / "runwave-runner.tar"
    steps = [
        ["tests/cluster/runner_image", str(folder / "runner-images/runner/runwave-runner"), str(image)],
        ["tests/cluster/cluster", "load", str(image)],
        [str(folder / "tests/cluster/test_kube_live")],
        [str(folder / "tests/conformance/backend_conformance"), "kubernetes"],
        [sys.executable, "-m", "pytest", "-n", "4", "tests/cluster"],
    ]
    return all(_run(argv, preset) for argv in steps)


SUITES: Dict[str, Callable[[str, Sequence[str]], bool]] = {
    "unit": unit,
    "integration": integration,
    "hostile": hostile,
    "compose": compose,
    "kubernetes": kubernetes,
    "load": load,
    "fuzz": fuzz,
}


def plan(names: Sequence[str]) -> "List[tuple[str, str]]":
    """(suite, preset) in order."""
    steps = []
    for name in names or ("unit", "integration"):
        if name == "sanitizers":
            steps += [(suite, preset) for preset in SANITIZERS for suite in ("unit", "integration")]
        elif name in SANITIZERS:
            steps += [(suite, name) for suite in ("unit", "integration")]
        elif name in SUITES:
            steps.append((name, default_preset() if name != "load" else os.environ.get("RUNWAVE_PRESET") or "release"))
        else:
            raise Failure(f"no suite '{name}'; there are: {', '.join(SUITES)}, sanitizers, {', '.join(SANITIZERS)}")
    return steps


def run(options: argparse.Namespace) -> int:
    steps = plan(options.suites)
    built: Dict[str, Path] = {}
    failed = []
    for suite, preset in steps:
        if suite != "fuzz" and preset not in built:
            built[preset] = build.preset(preset, ["-DBUILD_TESTING=ON"])
        started = time.monotonic()
        if not SUITES[suite](preset, options.extra):
            failed.append(f"{suite} ({preset})")
        say(f"{suite} ({preset}) took {time.monotonic() - started:.0f} s")
    if failed:
        say("FAILED: " + ", ".join(failed))
    return 1 if failed else 0
