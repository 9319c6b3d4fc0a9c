"""The verbs of ./dev and their options (the help text stands in the script itself, where it needs no Python)."""

import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List, Protocol

from stack import StartError, repository_root

from . import bench, build, check, cluster, control, fuzz, images, suites, up
from .say import Failure, say


class Verb(Protocol):
    def __call__(self, options: argparse.Namespace) -> int:
        ...


VERBS: Dict[str, Verb] = {
    "up": up.run,
    "down": control.down,
    "status": control.status,
    "logs": control.logs,
    "test": suites.run,
    "fuzz": fuzz.run,
    "check": check.run,
    "fmt": check.fmt,
    "build": build.run,
    "bench": bench.run,
    "images": images.run,
    "cluster": cluster.run,
}


def state_dir() -> Path:
    return Path(os.environ.get("RUNWAVE_STATE") or repository_root() / ".runwave").absolute()


def parse(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true")
    how.add_argument("--detach", action="store_true")
    verb.add_argument("--port", type=int, default=8080)
    verbs.add_parser("down")
    verbs.add_parser("status")
    verb = verbs.add_parser("logs")
    verb.add_argument("name", nargs="?")
    verb.add_argument("-f", "--follow", action="store_true")
    verb = verbs.add_parser("test")
    verb.add_argument("suites", nargs="*")
    verb = verbs.add_parser("fuzz")
    verb.add_argument("targets", nargs="*")
    verb.add_argument("--seconds", type=int, default=fuzz.SECONDS)
    verb = verbs.add_parser("check")
    verb.add_argument("names", nargs="*")
    verbs.add_parser("fmt")
    verb = verbs.add_parser("build")
    verb.add_argument("preset", nargs="?", default="debug")
    verb = verbs.add_parser("bench")
    verb.add_argument("parts", nargs="*")
    verb.add_argument("--short", action="store_true")
    verb.add_argument("--compare")
    verb.add_argument("--output")
    verb.add_argument("--build")
    verb = verbs.add_parser("cluster")
    verb.add_argument("action", choices=list(cluster.ACTIONS))
    verb = verbs.add_parser("images")
    verb.add_argument("names", nargs="*")

    own, _, extra = (argv, "", []) if "--" not in argv else (argv[: argv.index("--")], "--", argv[argv.index("--") + 1 :])
    options = parser.parse_args(own)
    if extra and options.verb != "test":
        parser.error(f"unexpected arguments: {' '.join(extra)}")
    options.extra = extra
    options.state = state_dir()
    return options


def main(argv: List[str]) -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # progress must show in a pipe, too
    options = parse(argv)
    try:
        return VERBS[options.verb](options)
    except (Failure, StartError) as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        return 130
