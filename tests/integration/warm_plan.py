"""What an api-server makes of a case's request, and what a pod-manager gives a runner to start ahead: the job and the plan, by the
text of docs/adding-a-language.md and docs/warm.md."""

import base64
import re
import struct
from typing import Any, Dict, List, Optional

import msgpack

LIST_PLACES = {"{sources}": "sources", "{options}": "options", "{args}": "args"}


def default_version(language: Dict[str, Any]) -> Dict[str, Any]:
    return next(version for version in language["versions"] if version.get("default"))


def _guarded(name: str) -> str:
    return f"./{name}" if name[:1] in ("-", "@") else name


def _expand(template: List[str], inputs: Dict[str, Any]) -> List[str]:
    argv: List[str] = []
    for element in template:
        if element in LIST_PLACES:
            argv += inputs[LIST_PLACES[element]]
        else:
            argv.append(re.sub(r"{(entry|entry_stem|memory_bytes)}", lambda found: str(inputs[found.group(1)]), element))
    return argv


def _stage(template: List[str], env: List[str], limits: Dict[str, int], inputs: Dict[str, Any]) -> Dict[str, Any]:
    return {"argv": _expand(template, {**inputs, "memory_bytes": limits["memory_bytes"]}), "env": env, "limits": limits}


def _content(file: Dict[str, str]) -> bytes:
    return base64.b64decode(file["content"]) if file.get("encoding") == "base64" else file["content"].encode()


def make_job(language: Dict[str, Any], request: Dict[str, Any], compile_: Optional[List[str]] = None) -> Dict[str, Any]:
    """request: as in POST /submit. compile_: in place of the version's; [] for none."""
    version = default_version(language)
    files = {file["name"]: _content(file) for file in request.get("files", [])}
    if "source" in request:
        files[language["source_file"]] = request["source"].encode()
    entry = request.get("entry") or (language["source_file"] if language["source_file"] in files else next(iter(files)))
    inputs = {
        "entry": _guarded(entry),
        "entry_stem": _guarded(entry.rsplit(".", 1)[0]),
        "sources": [_guarded(name) for name in files if name.endswith(tuple(language["source_extensions"]))],
        "options": request.get("compile", {}).get("options", []),
        "args": request.get("args", []),
    }
    env = language["environment"]
    stdin = request.get("stdin", "").encode()
    if request.get("stdin_encoding") == "base64":
        stdin = base64.b64decode(stdin)
    limits = {**language["limits"]["default"], **request.get("limits", {})}
    job = {
        "language": language["id"],
        "version": version["version"],
        "files": [{"name": name, "content": content} for name, content in files.items()],
        "stdin": stdin,
        "run": _stage(version["run"], env + [f"{name}={value}" for name, value in request.get("env", {}).items()], limits, inputs),
    }
    template = version.get("compile") if compile_ is None else compile_
    if template:
        job["compile"] = _stage(template, env, language["limits"]["compile"], inputs)
    return job


def make_plan(language: Dict[str, Any]) -> str:
    """For --warm."""
    warm = default_version(language)["warm"]
    fits = msgpack.packb(make_job(language, {"source": ""}), use_bin_type=True)
    starts = msgpack.packb(make_job(language, {"source": warm.get("host", "")}, warm.get("compile", [])), use_bin_type=True)
    return base64.b64encode(struct.pack(">I", len(fits)) + fits + starts).decode()
