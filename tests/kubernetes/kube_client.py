"""The API server without kubectl's weight: one connection, JSON, and a record of everything that happens to pods."""

import json
import threading
from pathlib import Path
from typing import Any, Dict, List, Set

import requests
import yaml


class KubeClient:
    """As the cluster's administrator, by the certificates of a kubeconfig, or with a token as somebody else. Not for several threads."""

    def __init__(self, kubeconfig: Path, token: str = "") -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.kubeconfig = kubeconfig
        self.url = cluster["server"]
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy, or an authority, of the environment is not for this
        self.session.verify = cluster["certificate-authority"]
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        else:
            self.session.cert = (user["client-certificate"], user["client-key"])

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        return self.session.request(
            method, self.url + path, data=data, headers={"Content-Type": kind}, timeout=options.pop("timeout", 30), **options
        )

    def call(self, method: str, path: str, body: Any = None) -> dict:
        answer = self.ask(method, path, body)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()

    def items(self, path: str, **labels: str) -> List[dict]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        answer = self.ask("GET", path, params={"labelSelector": selector} if selector else {})
        assert answer.ok, f"GET {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()["items"]

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False


class PodRecord:
    """Every pod of a namespace that was ever seen, by uid, with the states it went through; a thread of its own keeps the book."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.states: Dict[str, List[str]] = {}
        self.names: Dict[str, str] = {}
        self.gone: Set[str] = set()
        self.most_by_language: Dict[str, int] = {}
        self.n_lists = 0
        self._alive: Dict[str, str] = {}
        self._kube = KubeClient(kubeconfig)
        self._is_over = threading.Event()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "PodRecord":
        self._thread.start()
        assert self._began.wait(30), "the pods could not be listed"
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(30)

    def violations(self) -> List[str]:
        """What single-use pods must never do: serve again, or be there after their lease."""
        served = [uid for uid, states in self.states.items() if "leased" in states]
        again = [uid for uid in served if states_after_lease(self.states[uid])]
        left = [uid for uid in served if uid not in self.gone]
        return [f"{self.names[uid]} was leased and then {self.states[uid]}" for uid in again] + [
            f"{self.names[uid]} is left over, leased" for uid in left
        ]

    # ---- inside ----

    def _follow(self) -> None:
        while not self._is_over.is_set():
            try:
                found = self._kube.call("GET", self.path)
                self.n_lists += 1
                present = {pod["metadata"]["uid"] for pod in found["items"]}
                for pod in found["items"]:
                    self._note("ADDED", pod)
                for uid in set(self.states) - present:
                    self._forget(uid)
                self._began.set()
                self._watch(found["metadata"]["resourceVersion"])
            except (requests.RequestException, AssertionError, ValueError, KeyError):
                self._is_over.wait(0.2)  # the API server is away, or has forgotten that version

    def _watch(self, version: str) -> None:
        # Streams are short, so that the end of a record is noticed.
        while not self._is_over.is_set():
            params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "2", "allowWatchBookmarks": "true"}
            with self._kube.ask("GET", self.path, params=params, stream=True, timeout=10) as answer:
                for line in answer.iter_lines():
                    event = json.loads(line)
                    version = event["object"]["metadata"]["resourceVersion"]  # KeyError: 410, list again
                    if event["type"] != "BOOKMARK":
                        self._note(event["type"], event["object"])

    def _note(self, event: str, pod: dict) -> None:
        uid, labels = pod["metadata"]["uid"], pod["metadata"].get("labels", {})
        self.names[uid] = pod["metadata"]["name"]
        if event == "DELETED":
            self._forget(uid)
            return
        state = labels.get("runwave.dev/state", "")
        seen = self.states.setdefault(uid, [])
        if not seen or seen[-1] != state:
            seen.append(state)
        language = labels.get("runwave.dev/language", "")
        self._alive[uid] = language
        n_alive = sum(1 for one in self._alive.values() if one == language)
        self.most_by_language[language] = max(n_alive, self.most_by_language.get(language, 0))

    def _forget(self, uid: str) -> None:
        self.gone.add(uid)
        self._alive.pop(uid, None)


def states_after_lease(states: List[str]) -> List[str]:
    return states[states.index("leased") + 1 :]
