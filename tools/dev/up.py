"""`./dev up`: build, start, run the samples, and keep everything running until told to stop."""

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

from stack import DaemonPaths, Process, Stack, StartError
from stack.files import private_dir, write_private
from stack.guard import process_identity

from . import build, samples, userns
from .say import Failure, say, table

PRESET = "release"
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0  # who ran this long starts with a short back-off again


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            raise Failure(f"port {port} cannot be used ({problem.strerror}); choose another with --port") from problem


def run_samples(stack: Stack) -> bool:
    """Print the table; True when every language was right."""
    results = samples.run_all(stack.url, stack.languages)
    rows = []
    for result in results:
        took = f"{result.seconds * 1000:.0f} ms"
        rows.append([result.language, result.version, result.verdict, took, "wrong" if result.problem else "right"])
    print(table(["language", "version", "verdict", "submit to result", "sample"], rows), flush=True)
    for result in results:
        if result.problem:
            say(f"{result.language}: {result.problem}")
    return all(not result.problem for result in results)


class Supervised:
    """One process and when to start it again."""

    def __init__(self, process: Process, start: Callable[[], None]) -> None:
        self.process = process
        self.start = start
        self.delay_s = BACKOFF_FIRST_S
        self.started_at = time.monotonic()
        self.due_at: Optional[float] = None

    def look(self, now: float) -> None:
        if self.process.is_alive():
            return
        if self.due_at is None:
            if now - self.started_at > STEADY_S:
                self.delay_s = BACKOFF_FIRST_S
            status = self.process.exit_status
            how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
            say(f"{self.process.name} ended with {how}; starting it again in {self.delay_s:g} s (log: {self.process.log_path})")
            self.due_at = now + self.delay_s
            self.delay_s = min(self.delay_s * 2, BACKOFF_MAX_S)
        elif now >= self.due_at:
            self.due_at, self.started_at = None, now
            try:
                self.start()
                say(f"{self.process.name} runs again as process {self.process.pid}")
            except (StartError, OSError) as problem:
                say(f"{self.process.name} could not be started: {problem}")


def supervised(stack: Stack) -> List[Supervised]:
    watched = [Supervised(daemon.process, lambda daemon=daemon: daemon.start(wait=False)) for daemon in stack.daemons.values()]
    for server in (stack.postgres, stack.rabbitmq):
        watched.append(Supervised(server.process, server.launch))
    watched.append(Supervised(stack.rabbitmq.epmd, stack.rabbitmq.epmd.start))
    return watched


class Signals:
    """SIGINT, SIGTERM and the end of children as readable bytes, so that waiting needs no polling."""

    def __init__(self) -> None:
        self.stop = False
        self._read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _stop(self, number: int, _frame: object) -> None:
        if self.stop:  # asked twice: do not insist on a clean end
            raise KeyboardInterrupt
        self.stop = True

    def wait(self, timeout_s: Optional[float]) -> None:
        if select.select([self._read_fd], [], [], timeout_s)[0]:
            os.read(self._read_fd, 4096)


def supervise(stack: Stack, signals: Signals) -> None:
    watched = supervised(stack)
    while not signals.stop:
        now = time.monotonic()
        for one in watched:
            one.look(now)
        due = [one.due_at for one in watched if one.due_at is not None]
        signals.wait(max(0.0, min(due) - time.monotonic()) if due else None)


def earlier_tasks(stack: Stack) -> int:
    connection = stack.postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tasks")
            return cursor.fetchone()[0]
    finally:
        connection.close()


def stop(stack: Stack) -> None:
    say("stopping")
    statuses = stack.stop()
    bad = {name: status for name, status in statuses.items() if status not in (0, None)}
    if bad:
        say("did not stop cleanly: " + ", ".join(f"{name} (status {status})" for name, status in bad.items()))


def start(options: argparse.Namespace) -> Stack:
    if problem := userns.problem():
        raise Failure(problem)
    paths = DaemonPaths.of_preset(PRESET)
    stack = Stack(options.state, paths, api_port=options.port)
    stack.lock()
    for name in stack.stop_leftovers():
        say(f"stopped {name}, left over by an earlier run")
    check_port(options.port)
    build.preset(PRESET, ["-DBUILD_TESTING=OFF"])
    if problem := userns.runner_problem(paths):
        raise Failure(problem)
    say(f"starting PostgreSQL and RabbitMQ in {options.state}")
    try:
        stack.start_servers()
        stack.prepare_daemons()
        say(f"starting the daemons; languages: {', '.join(stack.languages) or 'none'}")
        stack.start_daemons()
    except BaseException:
        stack.stop()
        raise
    return stack


def write_state(stack: Stack) -> Path:
    """What `./dev status` reads."""
    own = {"pid": os.getpid(), "identity": process_identity(os.getpid())}
    daemons = {name: daemon.listen for name, daemon in stack.daemons.items()}
    text = json.dumps({**own, "url": stack.url, "daemons": daemons, "languages": list(stack.languages)}, indent=2)
    return write_private(stack.state / "up.json", text + "\n")


def foreground(options: argparse.Namespace, on_ready: Callable[[bool], None] = lambda all_right: None) -> int:
    signals = Signals()
    stack = start(options)
    state_file = write_state(stack)
    try:
        earlier = earlier_tasks(stack)
        if earlier:
            say(f"{earlier} earlier tasks are kept in {options.state}")
        all_right = run_samples(stack)
        if not options.once and not signals.stop:
            say(f"up at {stack.url}; try:")
            print(f"curl -d '{{\"language\":\"python\",\"source\":\"print(6*7)\"}}' '{stack.url}/submit?wait=10'", flush=True)
            on_ready(all_right)
            supervise(stack, signals)
    finally:
        state_file.unlink(missing_ok=True)
        stop(stack)
    return 0 if all_right else 1


def detached(options: argparse.Namespace) -> int:
    """Go on in a process of its own; come back when it is ready, with what it said so far."""
    log_path = private_dir(private_dir(options.state) / "log") / "up.log"
    read_fd, write_fd = os.pipe()
    with open(log_path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        begin = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__).parent), "up", "--port", str(options.port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(write_fd,),
            env={**os.environ, "RUNWAVE_STATE": str(options.state), "RUNWAVE_READY_FD": str(write_fd)},
        )
    os.close(write_fd)
    with open(log_path, "rb") as log:
        log.seek(begin)
        while True:
            is_over = bool(select.select([read_fd], [], [], 0.2)[0])
            sys.stdout.write(log.read().decode("utf-8", "replace"))
            sys.stdout.flush()
            if is_over:
                break
    verdict = os.read(read_fd, 1)
    os.close(read_fd)
    if not verdict:
        return child.wait() or 1
    say(f"goes on as process {child.pid}; `./dev down` stops it, `./dev logs up` shows what it says")
    return 0 if verdict == b"1" else 1


def run(options: argparse.Namespace) -> int:
    if options.detach:
        return detached(options)
    ready_fd = int(os.environ.pop("RUNWAVE_READY_FD", "-1"))

    def tell_ready(all_right: bool) -> None:
        if ready_fd >= 0:
            os.write(ready_fd, b"1" if all_right else b"0")
            os.close(ready_fd)

    if ready_fd >= 0:
        os.set_inheritable(ready_fd, False)
    return foreground(options, tell_ready)


def read_state(state: Path) -> Optional[Dict]:
    """The running `up` of a state folder; None when there is none."""
    try:
        known = json.loads((state / "up.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if process_identity(known["pid"]) == known["identity"] else None
