#!/usr/bin/python3
"""Memory of each daemon over 20,000 tasks: after a warm-up, what is resident must not grow with the tasks.
Usage: load_memory.py [TASKS] [CLIENTS]"""

import sys
import time

from scene import say, stack  # sets the path of the next ones

from crowd import Crowd

GROWTH_MAX_BYTES = 4 << 20  # what an allocator may still be settling; 20,000 tasks that leaked 300 bytes each are past it
ROUNDS = 10


def main() -> int:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    with stack() as running:

        def resident():
            return {name: daemon.rss_bytes() for name, daemon in running.daemons.items()}

        def run(n_tasks):
            Crowd(running.url, n_tasks, clients, timeout_s=1800).start().join().assert_right()

        run(max(200, tasks // ROUNDS))  # pools, caches and buffers reach their size
        before = resident()
        started = time.monotonic()
        for number in range(1, ROUNDS + 1):
            run(tasks // ROUNDS)
            sizes = ", ".join(f"{name} {size >> 10} KiB" for name, size in resident().items())
            say(f"{number * tasks // ROUNDS} tasks, {time.monotonic() - started:.0f} s: {sizes}")
        after = resident()
    growth = {name: after[name] - before[name] for name in before}
    figures = ", ".join(f"{name} {before[name] >> 10} -> {after[name] >> 10} KiB" for name in before)
    is_flat = all(size <= GROWTH_MAX_BYTES for size in growth.values())
    say(f"memory over {tasks} tasks: {figures}: {'flat' if is_flat else 'FAILED, it grows'}")
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
