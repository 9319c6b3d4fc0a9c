"""The language catalogue as this machine has it: languages whose tools are missing are left out, versions are the tools' own."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import yaml

from .files import private_dir, repository_root

PROBE_TIMEOUT_S = 20
VERSION = re.compile(r"\d+(?:\.\d+)+")


def _probe(argv: List[str]) -> str:
    """The version that a tool prints, "" when it is missing or prints none."""
    if not os.access(argv[0], os.X_OK):
        return ""
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(argv, env=env, timeout=PROBE_TIMEOUT_S, check=False, **pipes)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = VERSION.search(done.stdout.decode("utf-8", "replace"))
    return found.group(0) if done.returncode == 0 and found else ""


def languages_on_machine() -> Dict[str, dict]:
    """Language id -> its language.yaml as a dict, with the versions that are here; languages with none are left out."""
    found = {}
    for path in sorted((repository_root() / "runner-images").glob("*/language.yaml")):
        language = yaml.safe_load(path.read_text(encoding="utf-8"))
        versions = []
        for version in language["versions"]:
            actual = _probe(version["probe"])
            if actual:
                versions.append({**version, "version": actual})
        if not versions:
            continue
        if not any(version.get("default") for version in versions):
            versions[0]["default"] = True
        found[language["id"]] = {**language, "versions": versions}
    return found


def render_catalogue(target: Path, overrides: "Dict[str, dict] | None" = None) -> Dict[str, dict]:
    """Write <target>/<id>/language.yaml for each language of the machine; overrides: id -> keys that replace the file's."""
    languages = languages_on_machine()
    if target.exists():
        shutil.rmtree(target)
    private_dir(target)
    for name, language in languages.items():
        language.update((overrides or {}).get(name, {}))
        folder = private_dir(target / name)
        (folder / "language.yaml").write_text(yaml.safe_dump(language, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return languages
