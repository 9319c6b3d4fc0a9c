"""CPU time and memory of the stack's programs, from /proc.

A tree of processes has used what its living members used and what they inherited from those that ended; the pod-manager's own
share is told apart from that of the pods below it."""

import os
from pathlib import Path
from typing import Dict, List, NamedTuple

from stack import Stack

TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
SERVERS = ("api", "scheduler", "pod-manager", "PostgreSQL", "RabbitMQ")  # all there is outside of the sandboxes
PODS = "runners and sandboxes"


class Stat(NamedTuple):
    parent: int
    own_s: float
    ended_s: float  # of children that were waited for


def read_stat(pid: int) -> Stat:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(int(fields[1]), (int(fields[11]) + int(fields[12])) * TICKS_S, (int(fields[13]) + int(fields[14])) * TICKS_S)


def all_stats() -> Dict[int, Stat]:
    stats = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stats[int(entry)] = read_stat(int(entry))
            except (OSError, ValueError):
                continue
    return stats


def tree(root: int, stats: Dict[int, Stat]) -> List[int]:
    found, left = [], [root]
    children: Dict[int, List[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    while left:
        pid = left.pop()
        found.append(pid)
        left += children.get(pid, [])
    return found


def roots(stack: Stack) -> Dict[str, int]:
    """Of what runs."""
    assert stack.postgres.process and stack.rabbitmq.process
    processes = {name: daemon.process for name, daemon in stack.daemons.items()}
    processes.update({"PostgreSQL": stack.postgres.process, "RabbitMQ": stack.rabbitmq.process})
    return {name: process.pid for name, process in processes.items() if process.is_alive()}


def cpu_s(stack: Stack) -> Dict[str, float]:
    """By program, since its start."""
    stats = all_stats()
    result = {}
    for name, root in roots(stack).items():
        if root not in stats:
            continue
        total = sum(stats[pid].own_s + stats[pid].ended_s for pid in tree(root, stats) if pid in stats)
        if name == "pod-manager":
            result[PODS] = total - stats[root].own_s
            total = stats[root].own_s
        result[name] = total
    return result


def cpu_ms_per_task(before: Dict[str, float], after: Dict[str, float], tasks: int) -> Dict[str, float]:
    result = {name: round((after[name] - before.get(name, 0)) * 1000 / max(tasks, 1), 3) for name in after}
    result["outside the sandbox"] = round(sum(result.get(name, 0) for name in SERVERS), 3)
    return result


def memory_mb(stack: Stack) -> Dict[str, float]:
    """Proportional set size, so that what PostgreSQL's processes share counts once; of the pod-manager, without its pods."""
    stats = all_stats()
    result = {}
    for name, root in roots(stack).items():
        pids = [root] if name == "pod-manager" else tree(root, stats)
        result[name] = round(sum(_pss_bytes(pid) for pid in pids) / 1e6, 1)
    return result


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
