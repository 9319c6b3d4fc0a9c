#!/usr/bin/python3
"""From submit to result, 200 calls in a row on an idle machine: p50 under 40 ms. Usage: load_latency.py [CALLS] [P50_MAX_MS]"""

import sys
import time

from scene import say, stack  # sets the path of the next ones

from client import Api, percentile


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    p50_max_ms = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0
    times_ms = []
    with stack() as running:
        api = Api(running.url)
        for _ in range(10):  # connections are made, pools are at their size
            api.python("print(6*7)")
        for _ in range(calls):
            started = time.perf_counter()
            result = api.python("print(6*7)")
            times_ms.append((time.perf_counter() - started) * 1000)
            assert result["stdout"] == "42\n", result
        api.close()
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    figures = ", ".join(f"{name} {percentile(times_ms, share):.1f} ms" for name, share in shares.items())
    p50 = percentile(times_ms, 0.5)
    say(f"latency over {calls} calls: {figures}: {'right' if p50 < p50_max_ms else f'FAILED, p50 must be under {p50_max_ms:g} ms'}")
    return 0 if p50 < p50_max_ms else 1


if __name__ == "__main__":
    sys.exit(main())
