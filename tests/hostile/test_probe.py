"""A second look from inside: probe/probe.c tries everything there is to try; what is let through may not grow.

permitted-<level>.txt holds what was let through when docs/security.md reviewed it. RUNWAVE_HOSTILE_RECORD=1 adds what is new to it.
"""

import os
import platform
import re
from pathlib import Path

import pytest
import runner_pod
from attacks import check
from runner_speaker import make_job, make_stage

PROBE = Path(__file__).parent / "probe"
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")
LIMITS = {"cpu_ms": 60000, "wall_ms": 120000}


def call_names():
    """Number -> name, as the kernel's headers have them."""
    for header in map(Path, HEADERS):
        if header.exists():
            found = re.findall(r"#define __NR_(\w+) (\d+)", header.read_text(encoding="ascii"))
            return {number: name for name, number in found}
    return {}


def normalised(text):
    names = call_names()
    return {re.sub(r"^call (\d+)", lambda match: f"call {names.get(match[1], match[1])}", line) for line in text.splitlines()}


def assert_not_grown(level, text):
    found = normalised(text)
    assert "end" in found
    path = PROBE / f"permitted-{level}.txt"
    known = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    if os.environ.get("RUNWAVE_HOSTILE_RECORD"):
        path.write_text("".join(f"{line}\n" for line in sorted(known | found)), encoding="utf-8")
        return
    new = sorted(found - known)
    assert not new, "let through, and not in the reviewed list:\n" + "\n".join(new)


@pytest.fixture
def source():
    if platform.machine() != "x86_64":
        pytest.skip("the list of system calls is that of x86_64")
    return (PROBE / "probe.c").read_text(encoding="utf-8")


def test_what_is_permitted_does_not_grow(lab, target, source):
    result = lab.client.run(timeout_s=180, language="c", source=source, limits=LIMITS)
    check(result, {"verdict": "ok"})
    assert_not_grown(target.level, result["stdout"])


def test_what_the_container_strategy_permits_does_not_grow(source):
    """System calls and sockets only: files and devices are those of the pod, here one made by hand."""
    if "container" not in runner_pod.possible_modes():
        pytest.skip("making a pod by hand needs root")
    compiler = ["/usr/bin/gcc", "-O1", "-o", "probe", "probe.c"]
    stages = [make_stage([*argv], memory_bytes=512 << 20, **LIMITS) for argv in (compiler, ["/box/probe", "calls", "sockets"])]
    pod = runner_pod.Pod("container")
    try:
        result = pod.await_ready().run(make_job({"probe.c": source.encode()}, stages[1], compile_=stages[0]), 180)
    finally:
        pod.remove()
    assert result["verdict"] == "ok", result
    assert_not_grown("container", result["stdout"].decode("utf-8", "backslashreplace"))
