"""The promise, in the database and in the answers of the API: an accepted task reaches exactly one final state, recorded once."""

from typing import Dict, Iterable, List, Optional, Tuple

from client import FINAL


def recorded(connection, task_ids: Iterable[str]) -> Dict[str, Tuple[str, int, int]]:
    """task id -> (state, attempts, number of results)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id::text, t.state, t.attempt, (SELECT count(*) FROM results r WHERE r.task_id = t.id) FROM tasks t"
            " WHERE t.id = ANY(%s::uuid[])",
            (list(task_ids),),
        )
        return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}


def assert_done_once(connection, task_ids: Iterable[str]) -> Dict[str, Tuple[str, int, int]]:
    wanted = list(task_ids)
    assert len(set(wanted)) == len(wanted), "two tasks were given the same id"
    rows = recorded(connection, wanted)
    wrong = {task: rows.get(task) for task in wanted if rows.get(task, ("missing", 0, 0))[0] != "done" or rows[task][2] != 1}
    assert not wrong, f"{len(wrong)} of {len(wanted)} tasks are not done once: {dict(list(wrong.items())[:5])}"
    return rows


# What must be the same whoever is asked, whenever: a task's end is recorded once.
END = ("task_id", "status", "verdict", "attempt", "exit_code", "signal", "stdout", "stderr", "reason")


def wrong_step(before: dict, after: dict) -> Optional[str]:
    """Why no task may have given these two answers of the API one after the other, None where it may."""
    if before["status"] in FINAL:
        changed = [key for key in END if before.get(key) != after.get(key)]
        return f"it had ended, and then differed in {', '.join(changed)}" if changed else None
    # An attempt that was handed back before it began does not count: its task is queued again, with one attempt less.
    if after["attempt"] < before["attempt"] - (1 if after["status"] == "queued" else 0):
        return f"{after['status']} in attempt {after['attempt']} after attempt {before['attempt']}"
    if (before["status"], after["status"]) == ("queued", "running") and after["attempt"] == before["attempt"]:
        return "it was begun again without a new attempt"
    return None


class Answers:
    """What the API said of each task, in the order in which it was said, as far as it changed."""

    def __init__(self) -> None:
        self.said: Dict[str, List[dict]] = {}

    def note(self, answer: dict) -> None:
        said = self.said.setdefault(answer["task_id"], [])
        if not said or self.differ(said[-1], answer):
            said.append(answer)

    @staticmethod
    def differ(one: dict, other: dict) -> bool:
        return any(one.get(key) != other.get(key) for key in END)

    def violations(self) -> List[str]:
        """Of every task: steps that are not of the state machine, and ends that did not come."""
        found = []
        for task, said in self.said.items():
            found += [f"{task}: {why}" for pair in zip(said, said[1:]) if (why := wrong_step(*pair))]
            if said[-1]["status"] not in FINAL:
                found.append(f"{task}: it has not ended, it is {said[-1]['status']}")
        return found
