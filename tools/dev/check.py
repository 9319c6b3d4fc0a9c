"""`./dev check`: everything that looks at the sources without running them; `./dev fmt` mends what can be mended."""

import argparse
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, List, Sequence

from stack import repository_root

from . import build
from .say import Failure, say

# gcc -fanalyzer and LeakSanitizer look for leaks; cppcheck takes every variable with a cleanup attribute for one.
CPPCHECK = [
    "cppcheck",
    "--quiet",
    "--error-exitcode=1",
    "--inline-suppr",
    "--std=c11",
    "--enable=warning,performance,portability",
    "--suppress=memleak",
    "--suppress=resourceLeak",
    "--suppress=missingIncludeSystem",
    "-D__GNUC__=12",
    "--include=/usr/include/uthash.h",  # without their macros it takes loops over lists for uninitialised reads
    "--include=/usr/include/utlist.h",
    "--suppress=varFuncNullUB",  # NULL is a pointer in every C library we build with
]
# What a stranger sends goes through rw_json_parse, which is bounded and strict; common/src/json.c is its home.
FORBIDDEN = [(re.compile(r"\bcJSON_Parse\w*\s*\("), {"common/src/json.c"}, "use rw_json_parse")]


def sources(*suffixes: str) -> List[str]:
    """Files of the repository, those not yet committed included."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={repository_root()}", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repository_root(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if name.endswith(suffixes) and (repository_root() / name).exists()]


def _c_sources() -> List[str]:
    """The project's own C: the programs of the languages' cases are wrong on purpose."""
    return [name for name in sources(".c", ".h") if "/cases/" not in name]


def _run(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, cwd=repository_root(), check=False).returncode == 0


def format_() -> bool:
    return _run(["clang-format", "--dry-run", "-Werror", *_c_sources()])


def tidy() -> bool:
    folder = build.preset("debug", ["-DBUILD_TESTING=ON"], ["help"])
    compiled = {entry["file"] for entry in json.loads((folder / "compile_commands.json").read_text(encoding="utf-8"))}
    files = [str(repository_root() / name) for name in _c_sources() if str(repository_root() / name) in compiled]

    def one(path: str) -> bool:
        argv = ["clang-tidy", "--quiet", "-p", str(folder), path]
        done = subprocess.run(
            argv, cwd=repository_root(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        if done.stdout.strip():
            print(done.stdout.strip(), flush=True)
        return done.returncode == 0 and "warning:" not in done.stdout

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(one, files)))


def cppcheck() -> bool:
    files = [name for name in _c_sources() if name.endswith(".c")]
    return _run([*CPPCHECK, f"-j{os.cpu_count()}", "-Icommon/include", *files])


def shell() -> bool:
    scripts = [name for name in ("dev", ".ci/run") if (repository_root() / name).exists()]
    scripts += [name for name in sources(".sh") if "/cases/" not in name and "/observed/" not in name]
    return _run(["shellcheck", *scripts])


def yaml() -> bool:
    return _run(["yamllint", "--strict", *sources(".yaml", ".yml")])


def rules() -> bool:
    """Rules of the project that no tool knows."""
    found = []
    for name in _c_sources():
        for number, line in enumerate((repository_root() / name).read_text(encoding="utf-8").splitlines(), 1):
            for pattern, allowed, instead in FORBIDDEN:
                if name not in allowed and not name.startswith("tests/") and pattern.search(line):
                    found.append(f"{name}:{number}: {line.strip()} ({instead})")
    print("\n".join(found) if found else "no forbidden calls")
    return not found


def analyze() -> bool:
    try:
        build.preset("analyze", ["-DBUILD_TESTING=OFF"])
    except Failure as problem:
        say(str(problem))
        return False
    return True


CHECKS: Dict[str, Callable[[], bool]] = {
    "format": format_,
    "shell": shell,
    "yaml": yaml,
    "rules": rules,
    "cppcheck": cppcheck,
    "tidy": tidy,
    "analyze": analyze,
}


def run(options: argparse.Namespace) -> int:
    names = options.names or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        raise Failure(f"no check '{unknown[0]}'; there are: {', '.join(CHECKS)}")
    failed = []
    for name in names:
        started = time.monotonic()
        say(f"checking: {name}")
        if not CHECKS[name]():
            failed.append(name)
        say(f"{name}: {'FAILED' if failed and failed[-1] == name else 'right'} ({time.monotonic() - started:.0f} s)")
    if failed:
        say("FAILED: " + ", ".join(failed))
    return 1 if failed else 0


def fmt(_options: argparse.Namespace) -> int:
    return 0 if _run(["clang-format", "-i", *_c_sources()]) else 1

