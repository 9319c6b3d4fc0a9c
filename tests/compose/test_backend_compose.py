"""The docker backend alone, on the private engine: its contract, and what it says when pods cannot be made."""

import os
import subprocess

import pytest
from stack import repository_root

BUILD = repository_root() / "build" / (os.environ.get("RUNWAVE_PRESET") or "debug")


def test_the_contract(engine):
    runner = BUILD / "runner-images" / "runner" / "runwave-runner"
    suite = BUILD / "tests" / "conformance" / "backend_conformance"
    if not runner.exists() or not suite.exists():
        pytest.skip(f"not built: {suite}")
    subprocess.run([repository_root() / "tests" / "compose" / "runner_image", runner], env=engine.env, check=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([suite, "docker"], env=engine.env, text=True, timeout=280, check=False, **pipes)
    assert done.returncode == 0, done.stdout[-6000:]
