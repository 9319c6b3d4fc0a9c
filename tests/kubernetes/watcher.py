"""Looks at an installation again and again while things break: what runner pods there were, and what the API said of each task."""

import threading
from typing import Dict, Set

import requests
from cluster_under_test import LANGUAGE, ClusterUnderTest, name_of
from crowd import Crowd
from history import assert_same_end

PERIOD_S = 0.5


class Watcher:
    def __init__(self, installed: ClusterUnderTest) -> None:
        self.installed = installed
        self.pods: Dict[str, Set[str]] = {}  # name -> uids
        self.most: Dict[str, int] = {}  # language -> pods at a time
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> "Watcher":
        self._thread.start()
        return self

    def stop(self) -> "Watcher":
        self._is_over.set()
        self._thread.join(30)
        return self

    def _look(self) -> None:
        while not self._is_over.wait(PERIOD_S):
            try:
                pods = self.installed.runners()
            except Exception:  # pylint: disable=broad-except  # the API server may be away
                continue
            counts: Dict[str, int] = {}
            for pod in pods:
                self.pods.setdefault(name_of(pod), set()).add(pod["metadata"]["uid"])
                language = pod["metadata"]["labels"][LANGUAGE]
                counts[language] = counts.get(language, 0) + 1
            for language, count in counts.items():
                self.most[language] = max(self.most.get(language, 0), count)

    def assert_history(self, crowd: Crowd) -> None:
        """Every accepted task has one end and keeps it, through every api-server; every pod had a name of its own; pools kept their bounds."""
        answers = [self._answers(crowd) for _ in range(2)]
        assert_same_end(crowd.results, *answers)
        assert all(len(uids) == 1 for uids in self.pods.values()), "a name was used twice"
        total = sum(self.most.values())
        assert total <= 64 + len(self.most), f"more pods than pods_max: {self.most}"

    def _answers(self, crowd: Crowd) -> Dict[str, dict]:
        """Asked anew on a connection each time, so that every api-server is asked."""
        return {task: requests.get(f"{self.installed.url}/result/{task}", timeout=20).json() for task in crowd.accepted}
