"""Attacks as folders: cases/<row>-<name>/ with attack.yaml and the programs.

    row: H01
    what: "while (1) fork();"                 # one line
    holds: the processes limit, ...           # what must hold, for readers
    needs: [cgroup_pids]                      # defences without which it is skipped (Target.lacks)
    steps:                                    # one after the other; each is one of
      - program: main.c                       # a task; the language by the file's ending
        language: c                           # or said
        files: [other.py]                     # further files of the task
        request: {limits: {wall_ms: 1000}}    # as in POST /submit; "{ports}" in args: the daemons' ports
        expect: {verdict: [ok, signalled]}    # as tools/stack/cases.py, and lists of what may be; without it: ok, "held\\n"
        absent: "root:x"                      # a regular expression that no output may match
        times: 3                              # how often
        beside: true                          # another task has to succeed while it runs
      - http: {path: /submit, body: "..."}    # a POST, without body a GET; path and body may be {before, repeat, times, after}
        expect: {status: [400, 422]}
        absent: "..."                         # matched with headers and body
      - drive: drive.py                       # a client's program: attack(lab) with what the catalogue's words cannot say

Programs say "ESCAPED: what" for everything that must fail and did not, and "held" at their end.
"""

import http.client
import importlib.util
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import yaml
from client import Api, wait_for
from stack import cases
from target import Target

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"
LANGUAGES = {".c": "c", ".cpp": "cpp", ".java": "java", ".js": "javascript", ".py": "python", ".sh": "bash"}
BESIDE_S = 10  # an undisturbed one takes less than a tenth of a second
STEP_KEYS = {"program", "language", "files", "request", "expect", "absent", "times", "beside", "http", "drive"}
ATTACK_KEYS = {"row", "what", "holds", "needs", "steps"}


class Attack(NamedTuple):
    name: str
    folder: Path
    about: dict

    @property
    def row(self) -> str:
        return self.about["row"]

    def languages(self) -> List[str]:
        """Of its programs; those of drives are in Python, and requests have none."""
        return sorted({language_of(step) if "program" in step else "python" for step in self.about["steps"]})


def load(folder: Path) -> Attack:
    about = yaml.safe_load((folder / "attack.yaml").read_text(encoding="utf-8"))
    assert not set(about) - ATTACK_KEYS, f"{folder}: {set(about) - ATTACK_KEYS}"
    assert about["what"] and about["holds"] and about["steps"], folder
    for step in about["steps"]:
        assert not set(step) - STEP_KEYS, f"{folder}: {set(step) - STEP_KEYS}"
    return Attack(folder.name, folder, about)


def all_attacks() -> List[Attack]:
    return [load(path.parent) for path in sorted(CASES.glob("*/attack.yaml"))]


class Lab:
    """Runs the steps of attacks against a target. Every method raises AssertionError with what did not hold."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.url = target.url
        self.client = target.api()

    def close(self) -> None:
        self.client.close()

    def run(self, attack: Attack) -> None:
        with self.target.neighbours(attack.languages()):
            for number, step in enumerate(attack.about["steps"]):
                for _ in range(step.get("times", 1)):
                    try:
                        self._step(attack, step)
                    except AssertionError as problem:
                        raise AssertionError(f"{attack.name}, step {number + 1}: {problem}") from problem

    def _step(self, attack: Attack, step: dict) -> None:
        if "drive" in step:
            spec = importlib.util.spec_from_file_location(f"drive_{attack.name}", attack.folder / step["drive"])
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.attack(self)
        elif "http" in step:
            self._http(step)
        else:
            self._task(attack.folder, step)

    def _task(self, folder: Path, step: dict) -> None:
        body = request_of(folder, step, self.target)
        result = self.beside(body) if step.get("beside") else self.client.run(timeout_s=120, **body)
        print(f"{step['program']}: {result['verdict']} ({result['reason']}), {result['wall_ms']} ms")
        check(result, step.get("expect") or {"verdict": "ok", "stdout": "held\n"}, step.get("absent"))

    def beside(self, body: dict) -> dict:
        """The result of a task during which another one of the same language, and one of Python, had to succeed."""
        task = self.client.accepted(**body)
        wait_for(lambda: self.client.get(f"/result/{task}").json()["status"] != "queued", 30, "the attack is running")
        other = self.target.api()
        for language in sorted({"python", body["language"]}):
            result = other.run(timeout_s=60, **honest_request(language))
            assert_honest(language, result)
            assert result["stages"]["total_ms"] < BESIDE_S * 1000, f"{language} beside the attack took {result['stages']}"
        other.close()
        return self.client.result(task, timeout_s=120)

    def _http(self, step: dict) -> None:
        what = step["http"]
        path, body = _text(what["path"]), _text(what.get("body", ""))
        status, headers, content = self.send("POST" if body else "GET", path, body.encode("utf-8"), what.get("headers"))
        wanted = step["expect"]["status"]
        assert status in (wanted if isinstance(wanted, list) else [wanted]), f"{status} {content[:300]!r}"
        if step.get("absent"):
            text = str(headers) + content.decode("utf-8", "backslashreplace")
            assert not re.search(step["absent"], text), f"{step['absent']!r} is in the answer: {text[:500]}"

    def send(self, method: str, path: str, body: bytes = b"", headers: Optional[Dict[str, str]] = None):
        """One request with its path as it is; (status, headers, content). When the server just hangs up the status is 0."""
        connection = http.client.HTTPConnection(self.url.partition("//")[2], timeout=30)
        try:
            try:
                connection.request(method, path, body=body, headers=headers or {})
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of it was sent; the answer may be there all the same
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            return 0, {}, b""
        finally:
            connection.close()


def _text(value) -> str:
    if isinstance(value, dict):
        return value.get("before", "") + value["repeat"] * value["times"] + value.get("after", "")
    return value


def language_of(step: dict) -> str:
    return step.get("language") or LANGUAGES[Path(step["program"]).suffix]


def request_of(folder: Path, step: dict, target: Target) -> dict:
    program = folder / step["program"]
    source = program.read_text(encoding="utf-8")
    body = {"language": language_of(step), **(step.get("request") or {})}
    if "args" in body:
        ports = " ".join(map(str, target.ports()))
        body["args"] = [argument.replace("{ports}", ports) for argument in body["args"]]
    further = [folder / name for name in step.get("files", [])]
    if '#include "attack.h"' in source:
        further.append(HERE / "attack.h")
    if not further:
        return {**body, "source": source}
    files = [{"name": path.name, "content": path.read_text(encoding="utf-8")} for path in (program, *further)]
    return {**body, "entry": program.name, "files": files}


def check(result: dict, expect: dict, absent: Optional[str] = None) -> None:
    keys = ("status", "verdict", "reason", "exit_code", "signal", "attempt", "stdout", "stderr", "compile_output")
    shown = {key: str(result.get(key))[:600] for key in keys}
    assert (result["status"], result["attempt"]) == ("done", 1), shown
    assert result["verdict"] != "internal_error", shown
    plain = {}
    for key, wanted in expect.items():
        if key == "reason_match":
            assert re.search(wanted, result["reason"] or ""), shown
        elif isinstance(wanted, list):
            assert result.get(key) in wanted, f"{key} is not one of {wanted}: {shown}"
        else:
            plain[key] = wanted
    wrong = cases.mismatches(plain, result)
    assert not wrong, f"{wrong}: {shown}"
    for stream in cases.OUTPUTS:
        text = cases.output_bytes(result, stream).decode("utf-8", "backslashreplace")
        assert "ESCAPED" not in text, f"{stream}: {text[:2000]}"
        assert not absent or not re.search(absent, text), f"{absent!r} is in {stream}: {text[:2000]}"


HONEST = {
    "bash": "echo $((6 * 7))",
    "c": '#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); }',
    "cpp": "#include <cstdio>\nint main() { std::printf(\"%d\\n\", 6 * 7); }",
    "java": 'public class Main { public static void main(String[] args) { System.out.println(6 * 7); } }',
    "javascript": "console.log(6 * 7)",
    "python": "print(6 * 7)",
}


def honest_request(language: str) -> dict:
    return {"language": language, "source": HONEST[language]}


def assert_honest(language: str, result: dict) -> None:
    found = (result["status"], result["verdict"], result["stdout"], result["attempt"])
    assert found == ("done", "ok", "42\n", 1), f"an honest task of {language}: {found} {result['reason']} {result['stderr']}"


def assert_languages_work(api: Api, languages: List[str]) -> None:
    """A task of each, all at once."""
    tasks = {language: api.accepted(**honest_request(language)) for language in languages}
    for language, task in tasks.items():
        assert_honest(language, api.result(task, timeout_s=90))
