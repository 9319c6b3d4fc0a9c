"""runwave-load, and what its samples say."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence


class Sample(NamedTuple):
    start_us: int  # real time
    took_us: int


class Load:
    """The samples of one or several runs of runwave-load."""

    def __init__(self) -> None:
        self.samples: List[Sample] = []
        self.elapsed_s = 0.0
        self.wrong = 0
        self.first_wrong = ""
        self.own_cpu_s = 0.0
        self.children_cpu_s = 0.0

    def add(self, answer: dict) -> None:
        self.samples += [Sample(*one) for one in answer["samples"]]
        self.elapsed_s += answer["elapsed_us"] / 1e6
        self.wrong += answer["wrong"]
        self.first_wrong = self.first_wrong or answer["first_wrong"] or ""
        self.own_cpu_s += answer["own_cpu_us"] / 1e6
        self.children_cpu_s += answer["children_cpu_us"] / 1e6

    @property
    def per_second(self) -> float:
        return len(self.samples) / self.elapsed_s if self.elapsed_s else 0.0

    def latency(self) -> Dict[str, float]:
        return spread([one.took_us for one in self.samples])


def spread(values_us: Sequence[float]) -> Dict[str, float]:
    """Percentiles in milliseconds, of values in microseconds: the nearest rank."""
    ordered = sorted(values_us)
    if not ordered:
        return {"n": 0}
    result: Dict[str, float] = {"n": len(ordered)}
    for percent in (50, 90, 99):
        rank = max(1, math.ceil(len(ordered) * percent / 100))
        result[f"p{percent}_ms"] = round(ordered[rank - 1] / 1000, 3)
    return result


class Loader:
    """program: runwave-load."""

    def __init__(self, program: Path) -> None:
        self.program = Path(program)

    def http(self, into: Load, url: str, body: Path, how: Mapping[str, object], match: Optional[str] = None) -> Load:
        """how: clients, count, seconds."""
        argv = [str(self.program), "http", "--url", url, "--body", str(body), *_options(how)]
        return self._run(into, argv + (["--match", match] if match else []))

    def commands(
        self, into: Load, commands: Sequence[Sequence[str]], how: Mapping[str, object], cwd: Path, env: Mapping[str, str]
    ) -> Load:
        argv = [str(self.program), "exec", *_options(how)]
        for command in commands:
            argv += ["--", *command]
        return self._run(into, argv, cwd, env)

    def _run(self, into: Load, argv: List[str], cwd: Optional[Path] = None, env: Optional[Mapping[str, str]] = None) -> Load:
        done = subprocess.run(argv, cwd=cwd, env=dict(env or os.environ), stdout=subprocess.PIPE, check=True)
        into.add(json.loads(done.stdout))
        return into


def _options(how: Mapping[str, object]) -> List[str]:
    return [part for name, value in how.items() for part in (f"--{name}", str(value))]
