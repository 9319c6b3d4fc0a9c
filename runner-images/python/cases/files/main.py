from pathlib import Path

from tools.sums import add

print(Path("data/words.txt").read_text(encoding="utf-8").strip(), add(40, 2))
