#!/usr/bin/python3
"""From submit to result of print(1) with a warm pool, and how long the lease took, one call at a time.
Usage: measure_latency.py [CALLS]"""

import sys
import time
from typing import List

import scene  # noqa: F401  # sets the path of the next ones
from client import percentile
from cluster_under_test import ClusterUnderTest

PAUSE_S = 0.4  # a pod a call: time for the next one, so that the pool stays warm


def line(name: str, values: List[float]) -> str:
    shares = ", ".join(f"p{share} {percentile(values, share / 100):.1f} ms" for share in (50, 90, 100))
    return f"{name}: {shares} ({len(values)} calls)"


def figures(installed: ClusterUnderTest, calls: int = 60) -> List[str]:
    api = installed.api()
    total, leasing = [], []
    for number in range(calls + 5):
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        result = api.python("print(1)")
        took_ms = (time.perf_counter() - began) * 1000
        assert result["stdout"] == "1\n", result
        if number >= 5:  # connections are made
            total.append(took_ms)
            leasing.append(result["stages"]["leasing_ms"])
    api.close()
    return [line("submit to result of print(1), isolation pod", total), line("lease", leasing)]


if __name__ == "__main__":
    print("\n".join(figures(ClusterUnderTest(), *(int(each) for each in sys.argv[1:]))))
