"""`./dev down`, `status` and `logs`: looking at, and ending, what `./dev up` runs in a state folder."""

import argparse
import os
import signal
from typing import List

from stack import process
from stack.daemon import http_get
from stack.files import remove_run_dir
from stack.guard import end_process, process_identity

from .say import Failure, say, table
from .up import read_state

STOP_TIMEOUT_S = 90.0
STOP_ORDER = ("api", "scheduler", "pod-manager", "rabbitmq", "epmd", "postgres")


def down(options: argparse.Namespace) -> int:
    known = read_state(options.state)
    if known is not None:
        end_process(known["pid"], known["identity"], signal.SIGTERM, STOP_TIMEOUT_S)
        say(f"stopped the stack in {options.state}")
    elif not options.state.exists():
        say(f"nothing runs in {options.state}")
        return 0
    # Of an `up` that was killed together with its guard.
    left = [name for name in STOP_ORDER if process.Process.of_state(name, options.state).stop_leftover()]
    if left:
        say(f"stopped what an earlier run had left over: {', '.join(left)}")
    elif known is None:
        say(f"nothing runs in {options.state}")
    remove_run_dir(options.state)
    return 0


def _health(listen: str) -> str:
    try:
        status, body = http_get(listen, "/readyz", timeout_s=3)
    except OSError as problem:
        return f"does not answer ({problem.strerror or problem})"
    return "ready" if status == 200 else f"not ready: {body.decode('utf-8', 'replace').strip()}"


def status(options: argparse.Namespace) -> int:
    """Exit 0 when the stack is up and every daemon is ready, 3 otherwise (as init scripts have it)."""
    known = read_state(options.state)
    if known is None:
        say(f"nothing runs in {options.state}")
        return 3
    rows: List[List[str]] = []
    all_ready = True
    for name in STOP_ORDER:
        pid, identity = process.read_pid_file(options.state / "pid" / f"{name}.pid")
        is_alive = bool(pid) and process_identity(pid) == identity
        health = "runs" if is_alive else "down"
        if is_alive and name in known["daemons"]:
            health = _health(known["daemons"][name])
        all_ready = all_ready and health in ("runs", "ready")
        rows.append([name, str(pid) if is_alive else "-", health])
    print(table(["process", "pid", "state"], rows))
    say(f"{known['url']}; languages: {', '.join(known['languages'])}; state: {options.state}")
    return 0 if all_ready else 3


def logs(options: argparse.Namespace) -> int:
    folder = options.state / "log"
    names = sorted(path.stem for path in folder.glob("*.log")) if folder.is_dir() else []
    if options.name and options.name not in names:
        raise Failure(f"no log of '{options.name}' in {folder}; there are: {', '.join(names) or 'none'}")
    chosen = [options.name] if options.name else [name for name in names if name != "epmd"]
    if not chosen:
        raise Failure(f"no logs in {folder}")
    argv = ["tail", "-n", "200"] + (["-F"] if options.follow else []) + [str(folder / f"{name}.log") for name in chosen]
    os.execvp(argv[0], argv)
