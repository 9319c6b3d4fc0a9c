"""A report: one dict, written as JSON and as Markdown; and the ratios of two of them."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from stack import repository_root

LATENCY_COLUMNS = ("p50_ms", "p90_ms", "p99_ms")


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, cwd=repository_root(), capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def machine() -> Dict[str, object]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _cpu_model(),
        "processors": os.cpu_count(),
        "memory_mb": pages // 1_000_000,
        "kernel": platform.release(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def versions() -> Dict[str, str]:
    packages = ("postgresql-15", "rabbitmq-server", "libmicrohttpd12", "libpq5", "libcurl4", "bubblewrap")
    found = {name: _output("dpkg-query", "-W", "-f", "${Version}", name) for name in packages}
    tools = {"python": ["/usr/bin/python3", "-V"], "node": ["/usr/bin/node", "-v"], "gcc": ["/usr/bin/gcc", "-dumpfullversion"]}
    found.update({name: _output(*argv) for name, argv in tools.items()})
    return {name: version for name, version in found.items() if version}


def commit() -> str:
    name = _output("git", "rev-parse", "--short=12", "HEAD")
    return name + (" and changes" if name and _output("git", "status", "--porcelain", "--untracked-files=no") else "")


# ---- Markdown ----


def table(header: List[str], rows: List[List[object]]) -> List[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows] + [""]


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _latency(results: dict) -> List[str]:
    lines = ["## Latency of one client, ms", "", "Submit to result, and the same program started otherwise, in turns.", ""]
    rows: List[List[object]] = []
    for title, one in results.items():
        for way in ("RunWave", "bare", "bubblewrap", "docker run"):
            if way in one:
                ratio = round(one["RunWave"]["p50_ms"] / one[way]["p50_ms"], 3)
                rows.append([title, way, *(one[way][name] for name in LATENCY_COLUMNS), "" if way == "RunWave" else ratio])
    return lines + table(["program", "started by", "p50", "p90", "p99", "p50 of RunWave to it"], rows)


def _spreads(title: str, first: str, results: dict) -> List[str]:
    rows = [[name, *(one.get(column, "") for column in LATENCY_COLUMNS)] for name, one in results.items()]
    return [f"## {title}", ""] + table([first, "p50", "p90", "p99"], rows)


def _throughput(results: dict) -> List[str]:
    rows = [
        [clients, one["tasks per second"], one["bare starts per second"], one["ratio to bare"], one["p50_ms"], one["p99_ms"]]
        for clients, one in results.items()
    ]
    header = ["clients", "tasks per second", "bare starts per second (2 at a time)", "ratio", "p50 ms", "p99 ms"]
    lines = ["## Throughput of Python's `print(1)`", ""] + table(header, rows)
    programs = list(next(iter(results.values()))["cpu ms per task"])
    cpu = [[name, *(one["cpu ms per task"].get(name, "") for one in results.values())] for name in programs]
    return lines + ["## Processor time per task, ms", ""] + table(["program", *(f"{clients} clients" for clients in results)], cpu)


def _backlog(results: dict) -> List[str]:
    rows: List[List[object]] = [[name, value] for name, value in results.items() if not isinstance(value, dict)]
    rows += [[f"latency {name}", results["latency"][name]] for name in LATENCY_COLUMNS]
    lines = ["## Submits without waiting, and a backlog", ""] + table(["", ""], rows)
    cpu: List[List[object]] = [[*item] for item in results["cpu ms per submit"].items()]
    lines += ["### Processor time per submit, ms", ""] + table(["program", "ms"], cpu)
    memory = results["memory mb"]
    rows = [[name, memory["before"].get(name, ""), after] for name, after in memory["after"].items()]
    rows.append(["scheduler that meets it", "", memory["scheduler that meets it"]])
    return lines + ["### Memory, MB", ""] + table(["program", "before", "with the backlog"], rows)


def markdown(report: dict) -> str:
    lines = ["# RunWave, measured", ""]
    lines += table(["", ""], [[name, value] for name, value in {"commit": report["commit"], **report["machine"]}.items()])
    lines += ["Versions: " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()), ""]
    if "latency" in report:
        lines += _latency(report["latency"])
    if "stages" in report:
        lines += _spreads("The way of a task, ms (Python, one client)", "stage", report["stages"])
    if "cold" in report:
        colds = {name: one["cold"] for name, one in report["cold"].items()}
        lines += _spreads("Cold starts of what has a warm runtime, ms", "program", colds)
    if "throughput" in report:
        lines += _throughput(report["throughput"])
    if "backlog" in report:
        lines += _backlog(report["backlog"])
    if "submit while running" in report:
        one = report["submit while running"]
        lines += [f"With the scheduler at work on what was submitted before: {one['submits per second']} submits per second.", ""]
    return "\n".join(lines)


def write(report: dict, folder: Path) -> Tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_markdown = folder / "report.json", folder / "report.md"
    as_json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    as_markdown.write_text(markdown(report), encoding="utf-8")
    return as_json, as_markdown


# ---- comparing ----


def _leaves(value: object, path: str = "") -> Iterator[Tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path} / {key}" if path else str(key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value)


def compare(old: dict, new: dict) -> str:
    """Every number that both have, and the new one's ratio to the old one."""
    before = dict(_leaves(old))
    rows: List[List[object]] = []
    for path, value in _leaves(new):
        if path in before and not path.startswith("machine") and not path.endswith("/ n"):
            ratio = f"{value / before[path]:.2f}" if before[path] else "-"
            rows.append([path, before[path], value, ratio])
    return "\n".join(table(["figure", "before", "now", "now to before"], rows))
