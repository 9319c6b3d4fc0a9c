"""What the load scripts share: a stack of their own of RUNWAVE_PRESET (release), and a way to say what came out."""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Mapping, Optional

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tools", ROOT / "tests" / "support"):
    sys.path.insert(0, str(folder))

from stack import DaemonPaths, Stack  # noqa: E402


@contextlib.contextmanager
def stack(overrides: Optional[Mapping[str, Mapping]] = None) -> Iterator[Stack]:
    """Started, stopped at the end; its folder is kept when something went wrong."""
    preset = os.environ.get("RUNWAVE_PRESET") or "release"
    state = Path(tempfile.mkdtemp(prefix="runwave-load-", dir="/tmp"))
    one = Stack(state, DaemonPaths.of_preset(preset), overrides=overrides)
    try:
        one.start()
        yield one
        statuses = one.stop()
        assert all(status == 0 for status in statuses.values()), f"exit statuses at the end: {statuses}"
        assert not one.sanitizer_reports(), f"sanitizer reports: {one.sanitizer_reports()}"
    except BaseException:
        one.stop()
        print(f"state and logs are kept in {state}", flush=True)
        raise
    shutil.rmtree(state, ignore_errors=True)


def say(text: str) -> None:
    print(text, flush=True)
