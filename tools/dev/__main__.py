"""Entry of ./dev's Python half: `python3 tools/dev VERB ...`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dev.cli import main  # noqa: E402  # the path has to be set first

sys.exit(main(sys.argv[1:]))
