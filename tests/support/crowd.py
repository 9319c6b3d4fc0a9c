"""Many clients at once: each submits its share, takes refusals as they come, and waits for every task that was accepted."""

import queue
import threading
import time
from typing import Callable, Dict, List

import requests
from client import Api


def source_of(number: int) -> str:
    return f"print({number} * {number})"


class Crowd:
    """n_tasks tasks by n_clients clients. After run(): results by task id, numbers by task id, refusals counted by kind."""

    def __init__(
        self, url: str, n_tasks: int, n_clients: int, source: Callable[[int], str] = source_of, timeout_s: float = 300
    ) -> None:
        self.url = url
        self.n_tasks = n_tasks
        self.timeout_s = timeout_s
        self.source = source
        self.accepted: Dict[str, int] = {}
        self.results: Dict[str, dict] = {}
        self.refusals: Dict[str, int] = {}
        self.failures: List[str] = []
        self._lock = threading.Lock()
        self._todo: "queue.Queue[int]" = queue.Queue()
        for number in range(n_tasks):
            self._todo.put(number)
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(n_clients)]

    def start(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def join(self) -> "Crowd":
        deadline = time.monotonic() + self.timeout_s
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in self._threads), f"clients are still waiting after {self.timeout_s:g} s"
        assert not self.failures, "\n".join(self.failures[:5])
        return self

    @property
    def n_final(self) -> int:
        with self._lock:
            return len(self.results)

    def assert_right(self) -> None:
        """Every task was accepted once and has the output of its own source."""
        assert len(self.accepted) == len(self.results) == self.n_tasks
        wrong = {}
        for task, number in self.accepted.items():
            result = self.results[task]
            if (result["status"], result["verdict"], result["stdout"]) != ("done", "ok", f"{number * number}\n"):
                wrong[task] = {key: result.get(key) for key in ("status", "verdict", "stdout", "stderr", "reason", "attempt")}
        assert not wrong, f"{len(wrong)} wrong results: {dict(list(wrong.items())[:3])}"

    def _client(self) -> None:
        api = Api(self.url)
        try:
            while True:
                try:
                    number = self._todo.get_nowait()
                except queue.Empty:
                    return
                task = self._submit(api, number)
                result = api.result(task, timeout_s=self.timeout_s)
                with self._lock:
                    self.results[task] = result
        except Exception as problem:  # pylint: disable=broad-except  # told by join
            with self._lock:
                self.failures.append(repr(problem))
        finally:
            api.close()

    def _submit(self, api: Api, number: int) -> str:
        """Until it is accepted. A submit whose answer was lost may have been stored: it then is a task nobody waits for."""
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            try:
                answer = api.submit(language="python", source=self.source(number))
            except requests.RequestException as problem:
                self._refused(type(problem).__name__)
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                task = answer.json()["task_id"]
                with self._lock:
                    assert task not in self.accepted
                    self.accepted[task] = number
                return task
            if answer.status_code not in (429, 503):
                raise AssertionError(f"submit: {answer.status_code} {answer.text[:500]}")
            self._refused(str(answer.status_code))
            time.sleep(min(1.0, float(answer.headers.get("Retry-After", "0.1"))))
        raise TimeoutError(f"task {number} was not accepted")

    def _refused(self, kind: str) -> None:
        with self._lock:
            self.refusals[kind] = self.refusals.get(kind, 0) + 1
