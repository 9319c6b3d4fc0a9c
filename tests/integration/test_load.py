"""Many tasks at once: nothing is lost, nothing recorded twice, everybody gets what is theirs."""

from crowd import Crowd
from history import assert_done_once


def slow_source(number):
    return f"import time\ntime.sleep(0.5)\nprint({number} * {number})"


def test_200_tasks_at_once(stack, api, database, slowness):
    crowd = Crowd(stack.url, n_tasks=200, n_clients=200, timeout_s=120 * slowness).start().join()
    crowd.assert_right()
    rows = assert_done_once(database, crowd.accepted)
    assert all(attempts == 1 for _, attempts, _ in rows.values()), "an attempt was lost although nothing failed"


def test_a_burst_of_one_language_does_not_starve_another(stack, api, slowness):
    crowd = Crowd(stack.url, n_tasks=60, n_clients=60, source=slow_source, timeout_s=180 * slowness).start()
    result = api.run(language="bash", source="echo through", timeout_s=20 * slowness)
    still_running = crowd.n_final < 60
    crowd.join().assert_right()
    assert result["stdout"] == "through\n"
    assert still_running, "the burst was over before the other language's task: nothing was shown"
