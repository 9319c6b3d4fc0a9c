"""The promise, checked in the database: an accepted task reaches exactly one final state, and its result is recorded once."""

from typing import Dict, Iterable, Tuple


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


def assert_same_end(first: Dict[str, dict], *later: Dict[str, dict]) -> None:
    """Answers of the API, task id -> result: every task of the first has one end, and it is the same in all later ones."""
    for answers in later:
        missing = set(first) - set(answers)
        assert not missing, f"{len(missing)} tasks are not known any more: {sorted(missing)[:5]}"
        wrong = {
            task: [{key: result.get(key) for key in END} for result in (first[task], answers[task])]
            for task in first
            if any(first[task].get(key) != answers[task].get(key) for key in END)
        }
        assert not wrong, f"{len(wrong)} tasks have ended twice, differently: {dict(list(wrong.items())[:3])}"
