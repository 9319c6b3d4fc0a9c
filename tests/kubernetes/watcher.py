"""Looks at an installation without a pause while things break: what runner pods there were, and what the API said of each task."""

import threading
import time
from typing import List

import requests
from client import FINAL, Api
from cluster_under_test import ClusterUnderTest
from crowd import Crowd
from dev.cluster import RUNNERS_NAMESPACE
from history import Answers
from kube_client import PodRecord

PERIOD_S = 0.02  # between two questions to the API


class Watcher:
    """To be used `with`, around the crowd's work and until the pools are at rest again."""

    def __init__(self, installed: ClusterUnderTest, crowd: Crowd) -> None:
        self.installed = installed
        self.crowd = crowd
        self.answers = Answers()
        self.pods = PodRecord(installed.kubeconfig, RUNNERS_NAMESPACE)
        self.n_answers = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Watcher":
        self.pods.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(60)
        self.pods.__exit__()

    def violations(self) -> List[str]:
        """To be asked after the watch is over. Every api-server is asked once more for every task."""
        for _ in range(2):
            for task in self.crowd.accepted:
                self._note(requests.get(f"{self.installed.url}/result/{task}", timeout=20))  # a connection of its own each
        ends = [
            f"{task}: whoever submitted it was told otherwise"
            for task, result in self.crowd.results.items()
            if Answers.differ(result, self.answers.said[task][-1])
        ]
        bounds = {language: each["pool"]["max"] for language, each in self.installed.languages.items()}
        return ends + self.answers.violations() + self.pods.violations(bounds)

    # ---- inside ----

    def _ask(self) -> None:
        """All tasks that have not ended, in turn."""
        api = Api(self.installed.url)
        ended = set()
        while not self._is_over.is_set():
            time.sleep(PERIOD_S)
            for task in [task for task in list(self.crowd.accepted) if task not in ended]:
                if self._is_over.wait(PERIOD_S):
                    return
                try:
                    answer = api.get(f"/result/{task}", timeout=10)
                except requests.RequestException:
                    continue  # its api-server was just killed
                if self._note(answer) in FINAL:
                    ended.add(task)

    def _note(self, answer: requests.Response) -> str:
        if answer.status_code != 200:
            return ""
        self.n_answers += 1
        self.answers.note(answer.json())
        return answer.json()["status"]
