"""A language's cases: programs with what running them must give. runner-images/<language>/cases/<case>/case.yaml:

    request:            # as in POST /submit, without language and files; may be left out
      stdin: "3 4\\n"
      limits: {cpu_ms: 500}
    expect:             # what the result must show; every key but those below is compared for equality with the result's
      verdict: ok
      stdout: "7\\n"
      stderr_match: "Traceback"        # a regular expression found somewhere in stdout, stderr or compile_output
      stdout_bytes: 1048576            # length after decoding
      wall_ms_max: 3000                # upper bounds, and lower ones (_min), of a number

Every other file of the folder is submitted. A single file with the language's own source name goes as `source`, else all as `files`.
"""

import base64
import re
from pathlib import Path
from typing import Dict, List

import yaml

from .files import repository_root

OUTPUTS = ("stdout", "stderr", "compile_output")


def folders(language: str) -> List[Path]:
    return sorted(path.parent for path in (repository_root() / "runner-images" / language / "cases").glob("*/case.yaml"))


def load(folder: Path) -> dict:
    return yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))


def request(language: Dict, folder: Path) -> dict:
    """The submission of a case. language: its language.yaml."""
    body = {"language": language["id"], **(load(folder).get("request") or {})}
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "case.yaml")
    if names == [language["source_file"]]:
        return {**body, "source": (folder / names[0]).read_text(encoding="utf-8")}
    return {**body, "files": [_file(folder, name) for name in names]}


def _file(folder: Path, name: str) -> dict:
    """Base64 where the content is not text."""
    content = (folder / name).read_bytes()
    try:
        return {"name": name, "content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"name": name, "content": base64.b64encode(content).decode("ascii"), "encoding": "base64"}


def output_bytes(result: dict, stream: str) -> bytes:
    if result.get(f"{stream}_encoding") == "base64":
        return base64.b64decode(result[stream], validate=True)
    return (result.get(stream) or "").encode("utf-8")


def mismatches(expect: dict, result: dict) -> List[str]:
    """What in the result is not as the case says, one line each."""
    wrong = []
    for key, wanted in expect.items():
        stem, _, kind = key.rpartition("_")
        if kind == "match" and stem in OUTPUTS:
            actual = output_bytes(result, stem).decode("utf-8", "backslashreplace")
            is_right = re.search(wanted, actual) is not None
        elif kind == "bytes" and stem in OUTPUTS:
            actual = len(output_bytes(result, stem))
            is_right = actual == wanted
        elif kind in ("max", "min") and stem in result:
            actual = result[stem]
            is_right = actual is not None and (actual <= wanted if kind == "max" else actual >= wanted)
        else:
            actual = result.get(key)
            is_right = actual == wanted
        if not is_right:
            wrong.append(f"{key}: expected {wanted!r}, got {str(actual)[:500]!r}")
    return wrong
