"""The measurements: each gives a dict of numbers, its yardsticks among them, all of the same run of the same machine.

What is compared is run in turns, a few of each at a time, so that whatever else the machine does meets all of them alike."""

import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from stack import Stack

from . import programs, stages, usage
from .load import Load, Loader, Sample
from .programs import Program

MATCH = '"verdict":"ok"'
WAIT = "/submit?wait=60"
CLIENTS = (1, 4, 16, 64)
SUBMIT_CLIENTS = 32
WARM_UP_TASKS = 4


class Plan(NamedTuple):
    """How much of each."""

    rounds: int
    tasks: int  # a round
    compiled_tasks: int  # of languages that take long
    throughput_s: float
    submit_s: float
    backlog: int
    stage_tasks: int


FULL = Plan(rounds=8, tasks=25, compiled_tasks=6, throughput_s=10, submit_s=60, backlog=100_000, stage_tasks=300)
SHORT = Plan(rounds=1, tasks=3, compiled_tasks=1, throughput_s=1, submit_s=1, backlog=2000, stage_tasks=10)
SLOW = ("java", "c", "cpp")


class Bench(NamedTuple):
    stack: Stack
    loader: Loader
    folder: Path
    plan: Plan
    say: Callable[[str], None]


def _right(load: Load, what: str) -> Load:
    if load.wrong:
        raise RuntimeError(f"{what}: {load.wrong} wrong answers; the first: {load.first_wrong}")
    return load


def submit(bench: Bench, into: Load, program: Program, **how: object) -> Load:
    """Clients that wait for their results."""
    body = bench.folder / program.language / "request.json"
    return _right(bench.loader.http(into, bench.stack.url + WAIT, body, how, MATCH), program.title)


def prepare(bench: Bench) -> None:
    for program in programs.PROGRAMS:
        programs.write(program, bench.folder)
    submit(bench, Load(), programs.PROGRAMS[0], count=WARM_UP_TASKS)


def _available(bench: Bench) -> List[Program]:
    return [program for program in programs.PROGRAMS if program.language in bench.stack.languages]


def _yardsticks(program: Program, home: Path, images: Dict[str, str]) -> "Dict[str, List[programs.Command]]":
    result = {"bare": program.bare, "bubblewrap": [programs.bubblewrap(program, home)]}
    run = programs.docker(program, home, images)
    if run:
        result["docker run"] = [run]
    return result


def latency_of(bench: Bench, program: Program, images: Dict[str, str]) -> Dict[str, object]:
    """One client, against the same program started in the other ways."""
    home = programs.write(program, bench.folder)
    tasks = bench.plan.compiled_tasks if program.language in SLOW else bench.plan.tasks
    yardsticks = _yardsticks(program, home, images)
    loads = {name: Load() for name in ["RunWave", *yardsticks]}
    submit(bench, Load(), program, count=min(WARM_UP_TASKS, tasks))
    for _ in range(bench.plan.rounds):
        submit(bench, loads["RunWave"], program, count=tasks)
        for name, commands in yardsticks.items():
            how = {"count": max(1, tasks // 5) if name == "docker run" else tasks}
            _right(bench.loader.commands(loads[name], commands, how, home, programs.ENVIRONMENT), f"{program.title}, {name}")
    result: Dict[str, object] = {name: load.latency() for name, load in loads.items()}
    p50 = {name: load.latency()["p50_ms"] for name, load in loads.items()}
    result["p50 of RunWave to bare"] = round(p50["RunWave"] / p50["bare"], 3)
    result["p99 to p50 of RunWave"] = round(loads["RunWave"].latency()["p99_ms"] / p50["RunWave"], 3)
    return result


def latency(bench: Bench) -> Dict[str, object]:
    images = programs.docker_images()
    result = {}
    for program in _available(bench):
        bench.say(f"latency of one client: {program.title}")
        result[program.title] = latency_of(bench, program, images)
    return result


def way_of_a_task(bench: Bench) -> Dict[str, object]:
    """Stages of Python tasks, one at a time."""
    bench.say("stages of the way of a task")
    load = submit(bench, Load(), programs.PROGRAMS[0], count=bench.plan.stage_tasks)
    return stages.measure(bench.stack, load.samples)


def _bare_starts(bench: Bench, clients: int) -> float:
    """Interpreters started per second with that many at a time."""
    python = programs.PROGRAMS[0]
    how = {"clients": clients, "seconds": bench.plan.throughput_s / 2}
    load = bench.loader.commands(Load(), python.bare, how, bench.folder, programs.ENVIRONMENT)
    return _right(load, "bare starts").per_second


def throughput(bench: Bench) -> Dict[str, object]:
    """Python tasks per second, their latency, and the processor time of each program."""
    result: Dict[str, object] = {}
    for clients in CLIENTS:
        bench.say(f"throughput with {clients} clients")
        bare_before = _bare_starts(bench, 2)
        before = usage.cpu_s(bench.stack)
        load = submit(bench, Load(), programs.PROGRAMS[0], clients=clients, seconds=bench.plan.throughput_s)
        cpu = usage.cpu_ms_per_task(before, usage.cpu_s(bench.stack), len(load.samples))
        bare = (bare_before + _bare_starts(bench, 2)) / 2
        result[str(clients)] = {
            "tasks per second": round(load.per_second, 1),
            "bare starts per second": round(bare, 1),
            "ratio to bare": round(load.per_second / bare, 3),
            **load.latency(),
            "cpu ms per task": cpu,
        }
    return result


# ---- submitting without waiting ----


def _ends(samples: List[Sample]) -> List[int]:
    return sorted(one.start_us + one.took_us for one in samples)


def _rate(ends: List[int], begin: int, count: int) -> float:
    """Submits per second while the queue grew from begin by count."""
    part = ends[begin : begin + count + 1]
    return round((len(part) - 1) / max((part[-1] - part[0]) / 1e6, 1e-6), 1) if len(part) > 1 else 0.0


def _submit_only(bench: Bench, how: Dict[str, object]) -> Load:
    body = bench.folder / programs.PROGRAMS[0].language / "request.json"
    return _right(bench.loader.http(Load(), bench.stack.url + "/submit", body, {"clients": SUBMIT_CLIENTS, **how}), "submits")


def _wait_published(stack: Stack, timeout_s: float = 60) -> float:
    """Until the broker has confirmed everything; returns how long that took."""
    began = time.monotonic()
    while stack.api.metric("runwave_broker_publish_queue_length") > 0 and time.monotonic() - began < timeout_s:
        time.sleep(0.05)
    return time.monotonic() - began


def backlog(bench: Bench) -> Dict[str, object]:
    """With the scheduler stopped, so that all that is submitted stays queued: the rate for as long as asked for, and on until there
    are enough; memory before and after; then what the scheduler holds when it meets them all. The stack is of no use afterwards."""
    stack, plan = bench.stack, bench.plan
    programs.write(programs.PROGRAMS[0], bench.folder)
    bench.say(f"submits without waiting, {plan.submit_s:g} s")
    stack.scheduler.stop()
    _submit_only(bench, {"count": 200})
    memory_before = usage.memory_mb(stack)
    cpu_before = usage.cpu_s(stack)
    load = _submit_only(bench, {"seconds": plan.submit_s})
    sustained = load.per_second
    late_s = _wait_published(stack)
    cpu = usage.cpu_ms_per_task(cpu_before, usage.cpu_s(stack), len(load.samples))
    ends = _ends(load.samples)
    if len(ends) < plan.backlog:
        bench.say(f"and on to a backlog of {plan.backlog}")
        ends += _ends(_submit_only(bench, {"count": plan.backlog + plan.backlog // 5 - len(ends)}).samples)
        late_s = _wait_published(stack)
    memory_after = usage.memory_mb(stack)
    window = min(plan.backlog // 5, len(ends) // 3)
    first, last = _rate(ends, 0, window), _rate(ends, len(ends) - window, window)
    return {
        "submits per second": round(sustained, 1),
        "latency": load.latency(),
        "cpu ms per submit": cpu,
        "cpu ms per submit of the load program": round(load.own_cpu_s * 1000 / len(load.samples), 3),
        "queued at the end": len(ends),
        "rate at an empty queue": first,
        "rate at the full queue": last,
        "ratio of full to empty": round(last / first, 3) if first else 0,
        "seconds until all was confirmed": round(late_s, 2),
        "publishes left to the sweep": stack.api.metric("runwave_api_publishes_not_sent_total"),
        "memory mb": {"before": memory_before, "after": memory_after, "scheduler that meets it": _scheduler_memory(bench)},
    }


def _scheduler_memory(bench: Bench, seconds: float = 3) -> float:
    bench.stack.scheduler.start()
    time.sleep(min(seconds, bench.plan.submit_s))
    return usage.memory_mb(bench.stack)["scheduler"]


def submit_while_running(bench: Bench) -> Dict[str, object]:
    """As people meet it: tasks run while others are submitted, and share the processors with them."""
    bench.say("submits without waiting, with the scheduler at work")
    load = _submit_only(bench, {"seconds": min(bench.plan.submit_s, 15)})
    return {"submits per second": round(load.per_second, 1), "latency": load.latency()}


def cold(bench: Bench, titles: List[str], warm: Dict[str, object]) -> Dict[str, object]:
    """The languages that have a warm runtime, without it."""
    result = {}
    for program in _available(bench):
        if program.title in titles:
            bench.say(f"cold: {program.title}")
            measured = latency_of(bench, program, {})
            p50 = measured["RunWave"]["p50_ms"]  # type: ignore[index]
            warm_p50 = warm[program.title]["RunWave"]["p50_ms"]  # type: ignore[index]
            result[program.title] = {"cold": measured["RunWave"], "warm p50 to cold p50": round(warm_p50 / p50, 3)}
    return result


def warm_titles(languages: Dict[str, dict]) -> List[str]:
    titles = {program.language: program.title for program in programs.PROGRAMS}
    warm = [name for name, language in languages.items() if any("warm" in version for version in language["versions"])]
    return [titles[name] for name in warm if name in titles]


def without_warm(languages: Dict[str, dict]) -> Optional[Dict[str, dict]]:
    """Overrides of the catalogue that start every runtime cold; None where none is warm."""
    if not warm_titles(languages):
        return None
    cold_versions = {
        name: [{key: value for key, value in version.items() if key != "warm"} for version in language["versions"]]
        for name, language in languages.items()
    }
    return {name: {"versions": versions} for name, versions in cold_versions.items()}


