"""Runtimes that are started ahead of their job: every byte of every result is as cold, whatever the code looks at; what does not
fit is run cold. Without any daemon: a plan as a pod-manager gives it, a job as an api-server makes it."""

import base64
import os
import re
import struct
import time
from pathlib import Path

import msgpack
import pytest
from runner_pod import Pod, possible_modes, wait_for
from stack import cases, languages_on_machine
from warm_plan import default_version, make_job, make_plan

LANGUAGES = {name: language for name, language in languages_on_machine().items() if "warm" in default_version(language)}
CASES = [(language, folder) for language in LANGUAGES.values() for folder in cases.folders(language["id"])]
COMPARED = ["verdict", "exit_code", "signal", "stdout_truncated", "stderr_truncated", "compile_truncated", "reason"]
COMPARED += ["stdout", "stderr", "compile_output", "stages"]
COLD = "a cold start"

# Programs that look at what a language lets them see: observed/<language>/<what>.<extension>
OBSERVED = Path(__file__).with_name("observed")
PROGRAMS = [(name, path) for name in LANGUAGES for path in sorted((OBSERVED / name).glob("*"))]


def _wait_until_up(pod, language):
    """A compiler's host is not waited for by the runner."""
    if "compile" not in default_version(language)["warm"]:
        return
    # It is up when it waits and no longer computes.
    def ticks():
        total = 0
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                        fields = file.read().rpartition(")")[2].split()
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        if b"/proc/self/fd/63" in file.read() and os.stat(f"/proc/{name}").st_uid == pod.uid_base + 1:
                            total += int(fields[11]) + int(fields[12])
                except OSError:
                    pass
        return total

    before, deadline = -1, time.monotonic() + 60
    while (now := ticks()) != before or now == 0:
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.5)


def run(language, request, plan=None, mode="root", wait=True):
    """(result, log)"""
    pod = Pod(mode, arguments=["--warm", plan] if plan else [])
    try:
        pod.await_ready()
        if plan and wait:
            _wait_until_up(pod, language)
        result = pod.run(make_job(language, request))
        wait_for(lambda: not pod.leftovers(), "of a pod")
        return result, pod.errors()
    finally:
        pod.remove()


def compared(result):
    """Addresses are random in any start."""
    found = {key: result.get(key) for key in COMPARED}
    return {key: re.sub(rb"0x[0-9a-f]{8,}", b"0x", value) if isinstance(value, bytes) else value for key, value in found.items()}


def assert_same(language, request, expects_warm):
    cold, _ = run(language, request)
    warm, log = run(language, request, make_plan(language))
    assert compared(warm) == compared(cold)
    assert (COLD not in log) == expects_warm, log
    return warm


def is_plain(language, request, folder=None):
    """Whether a request gets what was started ahead."""
    if any(key in request for key in ("args", "env", "compile", "entry")):
        return False
    default = language["limits"]["default"]
    own = ("cpu_ms", "memory_bytes", "processes", "file_bytes")
    if any(request.get("limits", {}).get(key, 0) > default[key] for key in own):
        return False
    stages = [default_version(language)["run"]] + [default_version(language).get("compile", [])]
    if "memory_bytes" in request.get("limits", {}) and any("{memory_bytes}" in element for element in stages[0]):
        return False
    names = [file["name"] for file in request.get("files", [])]
    if len([name for name in names if name.endswith(tuple(language["source_extensions"]))]) > 1 and stages[1]:
        return False
    return not names or language["source_file"] in names


needs_root = pytest.mark.skipif("root" not in possible_modes(), reason="root pods need root")


@needs_root
@pytest.mark.parametrize("language, folder", CASES, ids=[f"{language['id']}-{folder.name}" for language, folder in CASES])
def test_every_case_is_the_same_warm(language, folder):
    request = cases.request(language, folder)
    cold, _ = run(language, request)
    warm, log = run(language, request, make_plan(language))
    assert compared(warm) == compared(cold)
    if is_plain(language, request):
        assert COLD not in log


@needs_root
@pytest.mark.parametrize("name, path", PROGRAMS, ids=[f"{name}-{path.stem}" for name, path in PROGRAMS])
def test_nothing_that_code_can_look_at_differs(name, path):
    assert_same(LANGUAGES[name], {"source": path.read_text(encoding="utf-8")}, expects_warm=True)


@needs_root
@pytest.mark.parametrize(
    "more",
    [
        {"args": ["a b", "--", "-x"]},
        {"env": {"PYTHONHASHSEED": "7", "A": "b"}},
        {"limits": {"memory_bytes": 1 << 30}},
        {"limits": {"cpu_ms": 20000}},
        {"files": [{"name": "main.py", "content": "import x"}, {"name": ".local/lib/x.py", "content": ""}]},
    ],
    ids=["args", "env", "memory", "cpu", "settings"],
)
def test_what_does_not_fit_is_run_cold(more):
    language = LANGUAGES["python"]
    request = {"source": (OBSERVED / "python/sys.py").read_text() + "\nimport os\nprint(os.environ.get('A'))", **more}
    if "files" in more:
        del request["source"]
    assert_same(language, request, expects_warm=False)


@needs_root
def test_tighter_limits_fit():
    language = LANGUAGES["python"]
    limits = {"cpu_ms": 1000, "wall_ms": 60000, "memory_bytes": 100 << 20, "processes": 9, "file_bytes": 5000}
    result = assert_same(language, {"source": (OBSERVED / "python/limits.py").read_text(), "limits": limits}, expects_warm=True)
    assert b"Max file size             5000" in result["stdout"]


@pytest.mark.parametrize("mode", possible_modes())
@pytest.mark.parametrize("name", ["python", "bash"])
def test_in_every_kind_of_sandbox(mode, name):
    language = LANGUAGES[name]
    source = "print(1)" if name == "python" else "echo 1"
    result, log = run(language, {"source": source}, make_plan(language), mode)
    assert (result["verdict"], result["stdout"], result["stderr"]) == ("ok", b"1\n", b"")
    assert COLD not in log


@needs_root
@pytest.mark.parametrize("argv", [["/usr/bin/env", "false"], ["/nonexistent"], ["/usr/bin/bash", "-c", "echo x; echo x >&2"]])
def test_a_runtime_that_ends_before_its_job_is_replaced_by_a_cold_one(argv):
    """Whatever it has said is nobody's."""
    language = LANGUAGES["python"]
    job = make_job(language, {"source": ""})
    starts = {**job, "run": {**job["run"], "argv": argv}}
    fits, starts = msgpack.packb(job, use_bin_type=True), msgpack.packb(starts, use_bin_type=True)
    plan = base64.b64encode(struct.pack(">I", len(fits)) + fits + starts).decode()
    result, log = run(language, {"source": "print(1)"}, plan)
    assert (result["verdict"], result["stdout"], result["stderr"]) == ("ok", b"1\n", b"")
    assert COLD in log and "no warm start" in log


@needs_root
def test_a_job_before_the_compilers_host_is_up_is_compiled_cold():
    if "java" not in LANGUAGES:
        pytest.skip("no Java here")
    language = LANGUAGES["java"]
    source = "public class Main { public static void main(String[] a) { System.out.println(1); } }"
    result, log = run(language, {"source": source}, make_plan(language), wait=False)
    assert (result["verdict"], result["stdout"], result["stderr"], result["compile_output"]) == ("ok", b"1\n", b"", b"")
    assert COLD in log


@needs_root
def test_each_job_of_a_pod_for_many_has_a_runtime_of_its_own():
    language = LANGUAGES["python"]
    pod = Pod("root", arguments=["--warm", make_plan(language)], slots=2, uses=0)
    try:
        pod.await_ready()
        source = "import os\nprint(os.listdir('/tmp'), os.getpid(), hash('a'))\nopen('/tmp/mine', 'w')"
        seen = [pod.run_one(make_job(language, {"source": source}))["stdout"] for _ in range(5)]
        assert len(set(seen)) == 5 and all(line.startswith(b"[] 2 ") for line in seen), seen
        assert COLD not in pod.errors()
    finally:
        pod.remove()


@needs_root
def test_the_plan_may_stand_in_the_environment(monkeypatch):
    language = LANGUAGES["python"]
    monkeypatch.setenv("RUNWAVE_WARM", make_plan(language))
    result, log = run(language, {"source": "import os\nprint(dict(os.environ))", "args": ["x"]})
    assert b"RUNWAVE" not in result["stdout"] and COLD in log


@needs_root
def test_two_runs_of_one_program_have_different_hash_seeds():
    language = LANGUAGES["python"]
    seeds = {run(language, {"source": "print(hash('a'))"}, make_plan(language))[0]["stdout"] for _ in range(3)}
    assert len(seeds) == 3


@needs_root
@pytest.mark.parametrize("plan", ["", "####", "AAAA", "AAAAAA==", "/////w=="])
def test_a_plan_that_is_none_keeps_the_runner_from_starting(plan):
    pod = Pod("root-watch", arguments=["--warm", plan])
    try:
        assert pod.process.wait(30) != 0
        assert "plan" in pod.errors()
    finally:
        pod.remove()
