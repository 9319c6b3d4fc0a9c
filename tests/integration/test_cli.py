"""The command line client against the real stack: bytes, names of files, exit statuses (docs/cli.md)."""

import json
import subprocess
import uuid

import pytest

DEADLINE_S = 90


@pytest.fixture
def cli(stack, tmp_path):
    """Run the client in a folder of its own; returns the completed process with bytes."""

    def run(*arguments, stdin=b"", server=None):
        return subprocess.run(
            [str(stack.paths["cli"]), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={"RUNWAVE_SERVER": server or stack.url},
            timeout=DEADLINE_S,
            check=False,
        )

    return run


@pytest.fixture
def write(tmp_path):
    """Make a file in the client's folder; returns its name."""

    def make(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return name

    return make


def test_submits_a_file_and_prints_what_it_printed(cli, write):
    done = cli("submit", write("hello.py", "import sys\nprint('hello')\nprint('oops', file=sys.stderr)\n"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"hello\n"
    program, verdict = done.stderr.splitlines()
    assert program == b"oops"
    assert verdict.startswith(b"runwave: ok, exit code 0, ")
    assert b"(python 3." in verdict


@pytest.mark.parametrize(
    "source, options, status",
    [
        ("pass", [], 0),
        ("raise SystemExit(3)", [], 1),
        ("import os; os.kill(os.getpid(), 9)", [], 4),
        ("while True: pass", ["--limit", "wall_ms=300", "--limit", "cpu_ms=5000"], 5),
    ],
)
def test_exit_status_tells_the_verdict(cli, write, source, options, status):
    done = cli("submit", write("main.py", source), *options)
    assert done.returncode == status, done.stderr


def test_a_compile_error_goes_to_stderr(cli, write, stack):
    if "c" not in stack.languages:
        pytest.skip("no C compiler on this machine")
    done = cli("submit", write("main.c", "int main(void) { return }\n"))
    assert done.returncode == 2, done.stderr
    assert b"main.c:1" in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("data", [b"", b"plain\n", b"a\0b\0", bytes(range(256)), "\ue000\u20ac".encode()])
def test_bytes_pass_unchanged(cli, write, data):
    echo = write("echo.py", "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n")
    done = cli("submit", echo, "--stdin", "-", stdin=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data


def test_files_arguments_and_environment(cli, write):
    write("src/lib/util.py", "def text():\n    return open('data.bin', 'rb').read()\n")
    write("elsewhere/data.bin", b"\xff\x00")
    main = write(
        "src/main.py", "import os, sys\nfrom lib import util\nprint(util.text(), sys.argv[1:], os.environ['GREETING'])\n"
    )
    done = cli("submit", main, "src/lib/util.py", "elsewhere/data.bin", "-a", "--x", "-a", "", "-e", "GREETING=hi=ho")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"b'\\xff\\x00' ['--x', ''] hi=ho\n"


def test_source_from_standard_input(cli):
    done = cli("submit", "--language", "python", "-", stdin=b"print(6*7)\n")
    assert (done.returncode, done.stdout) == (0, b"42\n"), done.stderr


def test_submit_now_and_ask_later(cli, write):
    submitted = cli("submit", "--wait", "0", write("main.py", "import time; time.sleep(0.5); print('late')"))
    assert submitted.returncode == 0, submitted.stderr
    task_id = str(uuid.UUID(submitted.stdout.decode().strip()))
    early = cli("result", task_id)
    assert early.returncode == 75, early.stderr
    late = cli("result", task_id, "--wait", "60")
    assert (late.returncode, late.stdout) == (0, b"late\n"), late.stderr
    whole = json.loads(cli("result", task_id, "--json").stdout)
    assert (whole["task_id"], whole["verdict"], whole["stdout"]) == (task_id, "ok", "late\n")


def test_faults_of_the_request_are_listed(cli, write):
    done = cli("submit", write("main.py", "pass"), "--limit", "wall_ms=999999999", "--limit", "speed=1")
    assert done.returncode == 65
    assert b"limits.wall_ms" in done.stderr
    assert b"limits.speed" in done.stderr


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["submit", "missing.py"], 66),
        (["result", "018f0000-0000-7000-8000-000000000000"], 66),
        (["result", "nonsense"], 65),
        (["submit"], 64),
        (["fetch"], 64),
    ],
)
def test_exit_status_of_errors(cli, arguments, status):
    done = cli(*arguments)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(b"runwave: ")


def test_an_unknown_extension_asks_for_the_language(cli, write):
    done = cli("submit", write("main.xyz", "?"))
    assert done.returncode == 66
    assert b"--language" in done.stderr


def test_a_server_that_is_not_there(cli, write):
    done = cli("submit", write("main.py", "pass"), server="http://127.0.0.1:1")
    assert done.returncode == 69


def test_languages_and_health(cli, stack):
    listed = cli("languages")
    assert listed.returncode == 0, listed.stderr
    assert {line.split()[0] for line in listed.stdout.decode().splitlines()} == set(stack.languages)
    assert cli("health").stdout == b"ready\n"
    assert cli("--version").stdout.startswith(b"runwave ")
    assert b"runwave submit" in cli("help").stdout
