"""The API server without kubectl's weight: one connection, JSON, and a record of everything that happens to pods."""

import json
import threading
from pathlib import Path
from typing import Any, Dict, List

import requests
import yaml


class KubeClient:
    """As the cluster's administrator, by the certificates of a kubeconfig, or with a token as somebody else. For one thread."""

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


class PodRecord:
    """Every single-use pod of a namespace that was there, with the states it went through; a thread of its own keeps the book."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.states: Dict[str, List[str]] = {}  # by uid: values of the label runwave.dev/state
        self.names: Dict[str, str] = {}  # by uid
        self.most: Dict[str, int] = {}  # by language: pods at a time
        self._alive: Dict[str, str] = {}  # uid -> language
        self._kube = KubeClient(kubeconfig)
        self._is_over = threading.Event()
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "PodRecord":
        self._thread.start()
        assert self._has_begun.wait(30), "the pods could not be listed"
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(30)
        self._list()

    def violations(self, bounds: Dict[str, int]) -> List[str]:
        """What must not have been: a second life, a leased pod that is left, a name used twice, more pods than bounds permits."""
        shown = {uid: f"{self.names[uid]} ({', '.join(states)})" for uid, states in self.states.items()}
        leased = {uid: states for uid, states in self.states.items() if "leased" in states}
        again = [uid for uid, states in leased.items() if states[-1] != "leased" or states.count("leased") > 1]
        too_many = {language: n_pods for language, n_pods in self.most.items() if n_pods > bounds[language]}
        found = [f"it served again: {shown[uid]}" for uid in again]
        found += [f"it is left over: {shown[uid]}" for uid in leased if uid in self._alive]
        found += [f"{n_pods} pods of {language}, {bounds[language]} may be" for language, n_pods in too_many.items()]
        if len(set(self.names.values())) != len(self.names):
            found.append("a name was used twice")
        return found

    # ---- inside ----

    def _follow(self) -> None:
        while not self._is_over.is_set():
            try:
                version = self._list()
                self._has_begun.set()
                while not self._is_over.is_set():
                    version = self._watch(version)
            except (requests.RequestException, AssertionError, ValueError, KeyError):
                self._is_over.wait(0.2)  # the API server is away, or has forgotten that version

    def _list(self) -> str:
        found = self._kube.call("GET", self.path)
        present = {pod["metadata"]["uid"] for pod in found["items"]}
        for uid in set(self._alive) - present:
            del self._alive[uid]
        for pod in found["items"]:
            self._note(pod)
        return found["metadata"]["resourceVersion"]

    def _watch(self, version: str) -> str:
        """For a moment, so that the end of the record is noticed; the version it came to. KeyError when that is too old."""
        params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "2", "allowWatchBookmarks": "true"}
        with self._kube.ask("GET", self.path, params=params, stream=True, timeout=10) as answer:
            for line in answer.iter_lines(chunk_size=1):
                event = json.loads(line)
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._alive.pop(event["object"]["metadata"]["uid"], None)
                elif event["type"] != "BOOKMARK":
                    self._note(event["object"])
        return version

    def _note(self, pod: dict) -> None:
        uid, labels = pod["metadata"]["uid"], pod["metadata"]["labels"]
        if labels.get("runwave.dev/isolation") == "sandbox":
            return  # serves many
        self.names[uid] = pod["metadata"]["name"]
        states = self.states.setdefault(uid, [])
        if states[-1:] != [labels["runwave.dev/state"]]:
            states.append(labels["runwave.dev/state"])
        language = self._alive[uid] = labels["runwave.dev/language"]
        self.most[language] = max(self.most.get(language, 0), list(self._alive.values()).count(language))
