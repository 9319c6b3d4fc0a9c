"""RunWave's HTTP interface for tests and load scripts."""

import time
from typing import List, Optional

import requests

FINAL = ("done", "cancelled", "dead")


class Api:
    """One client: a connection that is kept open. Not for several threads at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def get(self, path: str, **options) -> requests.Response:
        return self.session.get(self.url + path, timeout=options.pop("timeout", 75), **options)

    def post(self, path: str, **options) -> requests.Response:
        return self.session.post(self.url + path, timeout=options.pop("timeout", 75), **options)

    def submit(self, wait: Optional[float] = None, **request) -> requests.Response:
        return self.post("/submit", json=request, params={} if wait is None else {"wait": wait})

    def accepted(self, **request) -> str:
        """Submit without waiting; returns the task's id."""
        answer = self.submit(**request)
        assert answer.status_code == 202, answer.text
        return answer.json()["task_id"]

    def result(self, task_id: str, timeout_s: float = 60) -> dict:
        """The final result, waited for through connection errors and restarts of the daemons."""
        deadline = time.monotonic() + timeout_s
        last = "never asked"
        while time.monotonic() < deadline:
            wait_s = max(0, min(20, int(deadline - time.monotonic())))
            try:
                answer = self.get(f"/result/{task_id}", params={"wait": wait_s})
            except requests.RequestException as problem:
                last = str(problem)
                time.sleep(0.1)
                continue
            last = f"{answer.status_code} {answer.text[:2000]}"
            if answer.status_code == 200 and answer.json()["status"] in FINAL:
                return answer.json()
            if answer.status_code not in (200, 202):
                assert answer.status_code in (502, 503, 504), last
                time.sleep(0.1)
        raise TimeoutError(f"task {task_id} was not final within {timeout_s:g} s; last answer: {last}")

    def run(self, timeout_s: float = 60, **request) -> dict:
        """Submit and wait for the result."""
        answer = self.submit(wait=min(60, timeout_s), **request)
        assert answer.status_code in (200, 202), answer.text
        if answer.status_code == 200:
            return answer.json()
        return self.result(answer.json()["task_id"], timeout_s)

    def python(self, source: str, **request) -> dict:
        return self.run(language="python", source=source, **request)

    def close(self) -> None:
        self.session.close()


def wait_for(condition, timeout_s: float, what: str, interval_s: float = 0.02):
    """The condition's first true value; for things of which no event tells."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(interval_s)


def percentile(values: List[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
