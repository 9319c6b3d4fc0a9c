"""The programs that are measured, and the same started without RunWave: bare, in a fresh bubblewrap, by `docker run`."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

Command = List[str]


class Program(NamedTuple):
    language: str  # its id
    title: str
    file: str
    source: str
    bare: List[Command]  # one after the other, in a folder with the file


PROGRAMS = [
    Program("python", "Python", "main.py", "print(1)\n", [["/usr/bin/python3", "-c", "print(1)"]]),
    Program("javascript", "Node", "main.js", "console.log(1)\n", [["/usr/bin/node", "main.js"]]),
    Program("bash", "Bash", "main.sh", "echo 1\n", [["/usr/bin/bash", "main.sh"]]),
    Program(
        "java",
        "Java",
        "Main.java",
        "public class Main { public static void main(String[] args) { System.out.println(1); } }\n",
        [["/usr/bin/java", "Main.java"]],
    ),
    Program(
        "c",
        "C",
        "main.c",
        '#include <stdio.h>\nint main(void) { puts("1"); return 0; }\n',
        [["/usr/bin/gcc", "-O2", "-std=gnu17", "-pipe", "-o", ".program", "main.c", "-lm"], ["./.program"]],
    ),
    Program(
        "cpp",
        "C++",
        "main.cpp",
        "#include <iostream>\nint main() { std::cout << 1 << std::endl; }\n",
        [["/usr/bin/g++", "-O2", "-std=gnu++20", "-pipe", "-o", ".program", "main.cpp"], ["./.program"]],
    ),
]

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
SANDBOX_ROOT = ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--symlink", "usr/bin", "/bin"]
SANDBOX_ROOT += ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
SANDBOX_ROOT += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]


def write(program: Program, folder: Path) -> Path:
    """The program's own folder, with its source and, as request.json, what is submitted."""
    home = folder / program.language
    home.mkdir(parents=True, exist_ok=True)
    (home / program.file).write_text(program.source, encoding="utf-8")
    request = {"language": program.language, "source": program.source}
    (home / "request.json").write_text(json.dumps(request), encoding="utf-8")
    return home


def one_command(program: Program, folder: str) -> Command:
    """All of it as one command that reads from the folder and writes to the working folder."""
    if len(program.bare) == 1:
        return [f"{folder}/{part}" if part == program.file else part for part in program.bare[0]]
    steps = [shlex.join(f"{folder}/{part}" if part == program.file else part for part in step) for step in program.bare]
    return ["/bin/sh", "-c", " && ".join(steps)]


def bubblewrap(program: Program, home: Path) -> Command:
    argv = ["/usr/bin/bwrap", "--unshare-all", "--die-with-parent", *SANDBOX_ROOT]
    return argv + ["--ro-bind", str(home), "/src", "--chdir", "/tmp"] + one_command(program, "/src")


def docker(program: Program, home: Path, images: Dict[str, str]) -> Optional[Command]:
    image = images.get(program.language)
    if image is None:
        return None
    command = one_command(program, "/src")
    argv = ["docker", "run", "--rm", "--network", "none", "--tmpfs", "/tmp:exec", "-w", "/tmp", "-v", f"{home}:/src:ro"]
    return argv + ["--entrypoint", command[0], image] + command[1:]


def docker_images() -> Dict[str, str]:
    """Language -> the image of its runner, where an Engine answers that has it."""
    try:
        argv = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
        listed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    names = set(listed.stdout.split()) if listed.returncode == 0 else set()
    wanted = {program.language: f"runwave/runner-{program.language}:dev" for program in PROGRAMS}
    return {language: image for language, image in wanted.items() if image in names}
