"""The checker of histories itself: it has to find what must not be."""

import pytest
from history import Answers

QUEUED = {"task_id": "t", "status": "queued", "verdict": None, "attempt": 0, "stdout": None}
FIRST = {**QUEUED, "status": "running", "attempt": 1}
AGAIN = {**QUEUED, "attempt": 1}
SECOND = {**FIRST, "attempt": 2}
DONE = {**SECOND, "status": "done", "verdict": "ok", "stdout": "1\n"}

RIGHT = [
    [QUEUED, FIRST, AGAIN, SECOND, DONE, DONE],
    [QUEUED, FIRST, QUEUED, FIRST, SECOND, DONE],  # handed back before it began
    [QUEUED, QUEUED, SECOND, DONE],  # not everything is seen
    [QUEUED, {**QUEUED, "status": "cancelled"}],
    [FIRST, SECOND, {**SECOND, "status": "dead"}],
]
WRONG = {
    "never": [QUEUED, FIRST],
    "twice": [FIRST, DONE, {**DONE, "attempt": 3}],
    "differently": [FIRST, DONE, {**DONE, "stdout": "2\n"}],
    "revived": [SECOND, DONE, AGAIN, DONE],
    "backwards": [SECOND, FIRST, DONE],
    "unfenced": [AGAIN, FIRST, DONE],
}


def violations(said):
    answers = Answers()
    for answer in said:
        answers.note(answer)
    return answers.violations()


@pytest.mark.parametrize("said", RIGHT)
def test_what_may_be_is_right(said):
    assert not violations(said)


@pytest.mark.parametrize("how", WRONG)
def test_what_must_not_be_is_found(how):
    assert violations(WRONG[how])
