"""The way of a task, stage by stage: the client's times of requests that came one after the other, and those in the rows."""

from typing import Dict, List, Sequence

from stack import Stack

from .load import Sample, spread

# What each stage ends with, in order; the first begins with the request.
STAGES = (
    ("request to row", "submitted_at"),
    ("row to claim (publish, deliver, claim)", "claimed_at"),
    ("claim to lease", "leased_at"),
    ("lease to job sent (connect, prove)", "job_sent_at"),
    ("job sent to code started", "started_at"),
    ("code started to result", "finished_at"),
    ("result to recorded", "ended_at"),
    ("recorded to answer", "answer"),
)
IN_SANDBOX = ("job sent to code started", "code started to result")

QUERY = """
SELECT {columns} FROM tasks t JOIN results r ON r.task_id = t.id WHERE t.submitted_at >= to_timestamp(%s) ORDER BY t.submitted_at
"""


def _rows(stack: Stack, since_us: int) -> List[Sequence[int]]:
    names = [name for _, name in STAGES if name != "answer"]
    columns = ", ".join(f"(extract(epoch FROM {name}) * 1000000)::int8" for name in names)
    connection = stack.postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(QUERY.format(columns=columns), (since_us / 1e6,))
            return cursor.fetchall()
    finally:
        connection.close()


def measure(stack: Stack, samples: Sequence[Sample]) -> Dict[str, Dict[str, float]]:
    """samples: all requests since the first of them, of one client. The row's clock is that of the statement's begin: what the
    commit takes is part of the next stage."""
    rows = _rows(stack, samples[0].start_us)
    if len(rows) != len(samples):
        raise RuntimeError(f"{len(samples)} requests, {len(rows)} tasks")
    times: Dict[str, List[float]] = {name: [] for name, _ in STAGES}
    outside: List[float] = []
    for sample, row in zip(samples, rows):
        points = [sample.start_us, *row, sample.start_us + sample.took_us]
        took = {name: points[i + 1] - points[i] for i, (name, _) in enumerate(STAGES)}
        for name, value in took.items():
            times[name].append(value)
        outside.append(sum(value for name, value in took.items() if name not in IN_SANDBOX))
    result = {name: spread(values) for name, values in times.items()}
    result["all outside the sandbox"] = spread(outside)
    result["all"] = spread([sample.took_us for sample in samples])
    return result
