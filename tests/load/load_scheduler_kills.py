#!/usr/bin/python3
"""2,000 tasks by 32 clients while the scheduler is killed and started again five times: all done, all right, none twice.
Usage: load_scheduler_kills.py [TASKS] [CLIENTS] [KILLS]"""

import sys
import time

from scene import say, stack  # sets the path of the next ones

from client import wait_for
from crowd import Crowd
from history import assert_done_once


def main() -> int:
    tasks, clients, kills = (int(value) for value in (sys.argv[1:] + ["2000", "32", "5"][len(sys.argv) - 1 :]))
    with stack({"scheduler": {"lease_ms": 5000, "renew_ms": 1000}}) as running:
        started = time.monotonic()
        crowd = Crowd(running.url, tasks, clients, timeout_s=900).start()
        for number in range(1, kills + 1):
            share = number * tasks // (kills + 1)
            wait_for(lambda share=share: crowd.n_final >= share, 600, f"{share} tasks are done")
            running.scheduler.kill()
            running.scheduler.start()
            say(f"killed the scheduler ({number} of {kills}) after {crowd.n_final} results; it runs again")
        crowd.join().assert_right()
        seconds = time.monotonic() - started
        connection = running.postgres.connect()
        rows = assert_done_once(connection, crowd.accepted)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), (SELECT count(*) FROM results) FROM tasks")
            n_tasks, n_results = cursor.fetchone()
        connection.close()
        again = sum(attempts > 1 for _, attempts, _ in rows.values())
    assert n_tasks == n_results == tasks, f"{n_tasks} tasks and {n_results} results for {tasks} submissions"
    say(f"{tasks} tasks by {clients} clients in {seconds:.0f} s, scheduler killed {kills} times: all done and right, none twice;")
    say(f"{again} needed another attempt; refused and repeated submissions: {crowd.refusals or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
