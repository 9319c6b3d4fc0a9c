"""The sample of each language, submitted over HTTP and compared with what its case says."""

import json
import time
import urllib.error
import urllib.request
from typing import Dict, List, NamedTuple

from stack import cases, repository_root

WAIT_S = 60


class Sample(NamedTuple):
    language: str
    version: str
    verdict: str
    seconds: float
    problem: str  # "" when all was right


def submit(url: str, request: dict) -> dict:
    """Submit and wait for the result."""
    body = json.dumps(request).encode("utf-8")
    call = urllib.request.Request(f"{url}/submit?wait={WAIT_S}", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(call, timeout=WAIT_S + 10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        return {"problem": problem.read().decode("utf-8", "replace")}
    except OSError as problem:
        return {"problem": str(problem)}


def run_one(url: str, language: dict) -> Sample:
    folder = repository_root() / "runner-images" / language["id"] / "cases" / language["sample"]
    request = cases.request(language, folder)
    started = time.monotonic()
    answer = submit(url, request)
    seconds = time.monotonic() - started
    wrong = [answer["problem"]] if "problem" in answer else cases.mismatches(cases.load(folder)["expect"], answer)
    if wrong and answer.get("reason"):
        wrong.append(answer["reason"])
    verdict = answer.get("verdict") or answer.get("status", "-")
    return Sample(language["name"], answer.get("version", "-"), verdict, seconds, "; ".join(wrong))


def run_all(url: str, languages: Dict[str, dict]) -> List[Sample]:
    return [run_one(url, language) for language in languages.values()]
