"""The hostile suite's target: RUNWAVE_HOSTILE_TARGET names it, `local` without it. Every test leaves it as it found it."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in (ROOT / "tests" / "integration", ROOT / "tools", ROOT / "tests" / "support", HERE):
    sys.path.insert(0, str(folder))

from attacks import Lab  # noqa: E402
from stack import DaemonPaths  # noqa: E402
from target import TARGETS  # noqa: E402

PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
TARGET = os.environ.get("RUNWAVE_HOSTILE_TARGET") or "local"
SLOWNESS = {"asan": 3, "tsan": 5}.get(PRESET, 1)


@pytest.fixture(scope="session")
def target(request):
    paths = DaemonPaths.of_preset(PRESET)
    if missing := paths.missing():
        pytest.fail(f"not built in build/{PRESET}: {', '.join(missing)}; run ./dev build {PRESET}", pytrace=False)
    state = Path(tempfile.mkdtemp(prefix="runwave-hostile-", dir="/tmp"))
    made = TARGETS[TARGET](state, paths, SLOWNESS, SLOWNESS > 1)
    statuses = {}
    try:
        made.start()
        yield made
    finally:
        statuses = made.stop()
        if request.session.testsfailed == 0:
            shutil.rmtree(state, ignore_errors=True)
        else:
            sys.stderr.write(f"\nstate and logs are kept in {state}\n")
    assert all(status in (0, None) for status in statuses.values()), f"exit statuses at the end: {statuses}"


@pytest.fixture
def lab(target):
    """Runs attacks; afterwards nothing of them may be left."""
    made = Lab(target)
    yield made
    made.close()
    left = target.settle()
    assert not left, "\n".join(left)


@pytest.fixture(scope="session")
def language_ids(target):
    return [language["id"] for language in target.languages()]
