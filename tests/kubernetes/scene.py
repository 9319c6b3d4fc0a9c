"""The path of the scripts measure_*.py; what pytest sets for the tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1] / "tools", HERE.parents[1] / "tests" / "support", HERE):
    sys.path.insert(0, str(folder))
