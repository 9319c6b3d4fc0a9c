"""Runtimes that are started ahead of their job: every byte of every result is as cold, whatever the code looks at; and what does not fit
is run cold. Without any daemon: a plan as a pod-manager gives it, a job as an api-server makes it."""

import base64
import os
import re
import struct
import time

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

OBSERVED = {
    "python": {
        "names": "print(__name__, __file__, __doc__, __spec__, __package__, __loader__.__class__, __builtins__, sorted(globals()))",
        "sys": "import sys\nprint(sys.argv, sys.path, sys.flags, sys.executable, sys.orig_argv, sys.warnoptions, sys._xoptions, "
        "sys.getrecursionlimit(), sys.dont_write_bytecode, sys.prefix, sys.exec_prefix, sys.stdin, sys.stdout, sys.stderr, "
        "sys.getswitchinterval(), sys.path_importer_cache.keys(), sys.meta_path, sys.path_hooks, sys.version, sys.float_info)",
        "modules": "import sys\nprint(list(sys.modules))\nprint(list(sys.builtin_module_names))",
        "gc": "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.get_stats(), len(gc.get_objects()))",
        "traceback": "def f(n):\n    return 1 // n\n\ndef g():\n    try:\n        f(0)\n    except ZeroDivisionError as e:\n"
        "        raise ValueError('x') from e\n\ng()",
        "recursion": "def f(n):\n    return f(n + 1)\nf(0)",
        "deep_traceback": "import traceback\ntraceback.print_stack()\nimport sys\nprint(sys._getframe().f_back)",
        "exit_text": "import sys\nsys.exit('last words')",
        "exit_number": "raise SystemExit(300)",
        "atexit": "import atexit\natexit.register(print, 'bye')\nprint('hello', end='')",
        "threads_at_exit": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()\n"
        "print(threading.main_thread().name, threading.active_count(), threading.get_native_id())",
        "daemon_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint(1)",
        "thread_exception": "import threading\nthreading.Thread(target=lambda: 1 // 0, name='t').start()",
        "stdin": "import sys\nprint(repr(sys.stdin.read()), repr(sys.stdin.read()), sys.stdin.encoding, sys.stdin.errors)",
        "buffering": "import os, sys\nprint('a', end='')\nos.write(1, b'b')\nsys.stderr.write('c')\nos.write(2, b'd')\n"
        "print(sys.stdout.line_buffering, sys.stdout.buffer, sys.stderr.line_buffering)\nos._exit(3)",
        "descriptors": "import os\nprint(sorted(os.listdir('/proc/self/fd')), os.open('/dev/null', 0), os.get_inheritable(0))\n"
        "print([oct(os.stat(f'/proc/self/fd/{n}').st_mode) for n in range(3)])",
        "environment": "import os\nprint(dict(os.environ), open('/proc/self/environ').read(), os.getcwd(), os.listdir())",
        "child": "import subprocess\nprint(subprocess.run(['env'], capture_output=True), subprocess.run(['ls', '/proc/self/fd'], capture_output=True))",
        "process": "import os\nprint(os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0), os.umask(0), os.nice(0), os.getuid(), os.getgroups())\n"
        "print(open('/proc/self/comm').read(), open('/proc/self/cmdline').read(), os.readlink('/proc/self/exe'))\n"
        "print([os.listdir(p) for p in ('/box', '/tmp', '/dev/shm')], open('/proc/self/oom_score_adj').read())",
        "status": "import re\nprint([line for line in open('/proc/self/status') if re.match('Name|Umask|State|.id|FDSize|Groups|NS|Threads|Sig|Shd|"
        "Cap|NoNew|Seccomp|Spec|Cpus|Mems', line)])",
        "limits": "import resource\nprint(open('/proc/self/limits').read(), resource.getrlimit(resource.RLIMIT_STACK))",
        "signals": "import signal\nprint([(s, signal.getsignal(s)) for s in signal.valid_signals()], signal.pthread_sigmask(0, []), "
        "signal.getitimer(0))",
        "interrupt": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)",
        "killed": "import os, signal\nprint(1, flush=True)\nos.kill(os.getpid(), signal.SIGUSR1)",
        "locale": "import locale, sys\nprint(locale.getlocale(), locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.stdout.encoding, "
        "locale.localeconv())",
        "warnings": "import warnings\nwarnings.warn('look')\nprint(warnings.filters)\nassert (1, 'x')",
        "imports_beside_it": "import json, random, uuid, decimal, collections\nprint(json.dumps({}), json.__file__, json.__cached__)",
        "faulthandler": "import faulthandler, tracemalloc\nprint(faulthandler.is_enabled(), tracemalloc.is_tracing())",
        "segfault": "import ctypes\nctypes.string_at(0)",
        "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    raise KeyError('x')\nasyncio.run(f())",
        "unraisable": "class A:\n    def __del__(self):\n        raise RuntimeError('in del')\na = A()",
        "hash_of_numbers": "print(hash(1.5), hash(2**70), hash((1, 2)))",
    },
    "javascript": {
        "names": "console.log(__filename, __dirname, require.main === module, module.paths, Object.keys(require.cache))",
        "process": "console.log(process.argv, process.execArgv, process.execPath, process.pid, process.ppid, process.title, process.cwd(), "
        "process.umask(), process.versions, process.config.variables.napi_build_version, process.release.name)",
        "environment": "console.log(process.env, require('fs').readFileSync('/proc/self/environ', 'latin1'))",
        "globals": "console.log(Object.getOwnPropertyNames(globalThis).sort().join(), process.moduleLoadList.join())",
        "descriptors": "const fs = require('fs'); console.log(fs.readdirSync('/proc/self/fd').join(), fs.openSync('/dev/null'))",
        "exception": "function f() { throw new TypeError('x') }\nfunction g() { f() }\ng()",
        "rejection": "Promise.reject(new Error('no'))",
        "exit": "process.on('exit', c => console.log('exit', c)); process.exitCode = 5; setTimeout(() => console.log('later'), 5)",
        "stack": "Error.stackTraceLimit = 50; console.log(new Error('x').stack)",
        "recursion": "function f(n) { return f(n + 1) + 1 }\nf(0)",
        "stdin": "let n = 0; process.stdin.on('data', d => n += d.length).on('end', () => console.log('end', n, process.stdin.isTTY))",
        "stdin_sync": "console.log(JSON.stringify(require('fs').readFileSync(0, 'utf8')))",
        "order": "setImmediate(() => console.log(4)); process.nextTick(() => console.log(2)); Promise.resolve().then(() => console.log(3)); console.log(1)",
        "modules": "import('os').then(m => console.log(typeof m.cpus)); console.log(require('module').builtinModules.join())",
        "child": "console.log(String(require('child_process').execFileSync('env')), String(require('child_process').execFileSync('ls', ['/proc/self/fd'])))",
        "worker": "const w = require('worker_threads'); if (w.isMainThread) new w.Worker(__filename).on('message', m => console.log(m)); "
        "else w.parentPort.postMessage(w.threadId)",
        "locale": "console.log(Intl.DateTimeFormat().resolvedOptions().locale, new Intl.NumberFormat().format(1234.5), 'ä'.localeCompare('z'))",
        "signal": "process.on('SIGTERM', () => { console.log('term'); process.exit(7) }); setTimeout(() => {}, 3000); process.kill(process.pid, 'SIGTERM')",
        "killed": "process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 3000)",
        "heap": "console.log(require('v8').getHeapStatistics().heap_size_limit, process.memoryUsage().arrayBuffers)",
        "limits": "console.log(require('fs').readFileSync('/proc/self/limits', 'latin1'), process.getuid(), process.getgroups())",
        "status": "console.log(require('fs').readFileSync('/proc/self/status', 'latin1').split('\\n').filter(l => /^(Name|Umask|.id|FDSize|NS|Shd|Sig[BI]|"
        "Cap|NoNew|Seccomp)/.test(l)), require('fs').readFileSync('/proc/self/cmdline', 'latin1'), require('fs').readlinkSync('/proc/self/exe'))",
        "package": "console.log(require('fs').existsSync('package.json'), require.extensions)",
        "segfault": "process.abort()",
    },
    "bash": {
        "variables": "declare -p | grep -v -E 'BASHPID|RANDOM|SRANDOM|SECONDS|EPOCH|BASH_ARG|_=|COLUMNS|LINES'; echo $0 $# $- $$ $PPID $BASHOPTS $SHLVL",
        "environment": "env; tr '\\0' '\\n' < /proc/self/environ; tr '\\0' ' ' < /proc/$$/environ",
        "descriptors": "ls -l /proc/$$/fd | sed 's/.* //; s/[0-9]//g'; exec {fd}</dev/null; echo $fd",
        "process": "cat /proc/$$/comm /proc/$$/cmdline; readlink /proc/$$/exe; ulimit -a; umask; trap; jobs; pwd; set -o",
        "exit": "trap 'echo bye' EXIT; (exit 3); echo $?; false | true; echo ${PIPESTATUS[@]}; exit 300",
        "stdin": "read -r line; echo \"$? [$line]\"; cat",
        "error": "echo one\nif then\n",
        "missing": "nosuchcommand; echo $?; . ./nothing; ./main.sh",
        "killed": "kill -USR1 $$; sleep 2",
        "background": "sleep 60 & echo $!; disown; echo ${BASH_SOURCE[0]} $LINENO",
    },
    "java": {
        "names": "public class Main { public static void main(String[] a) throws Exception { System.out.println(a.length + \" \" + "
        "Main.class.getClassLoader().getClass() + Main.class.getProtectionDomain().getCodeSource() + Main.class.getResource(\"Main.class\") + "
        "Thread.currentThread() + Thread.currentThread().getStackTrace().length + Thread.activeCount()); } }",
        "properties": "public class Main { public static void main(String[] a) { System.getProperties().forEach((k, v) -> System.out.println(k + \"=\" + v)); "
        "System.out.println(System.getenv()); } }",
        "uncaught": "public class Main { static void f() { throw new IllegalStateException(\"x\", new RuntimeException(\"y\")); } "
        "public static void main(String[] a) throws Exception { Thread t = new Thread(Main::f); t.start(); t.join(); f(); } }",
        "exit": "public class Main { public static void main(String[] a) { Runtime.getRuntime().addShutdownHook(new Thread(() -> "
        "System.out.println(\"bye\"))); System.out.print(\"x\"); System.exit(9); } }",
        "files": "import java.nio.file.*; public class Main { public static void main(String[] a) throws Exception { for (String p : new String[] {\".\", "
        "\"/tmp\", \"/dev/shm\", \"/proc/self/fd\"}) try (var s = Files.list(Path.of(p))) { System.out.println(p + s.map(x -> x.getFileName().toString()).sorted().toList()); } "
        "System.out.print(Files.readString(Path.of(\"/proc/self/cmdline\")) + Files.readString(Path.of(\"/proc/self/environ\")) + Files.readString(Path.of(\"/proc/self/limits\"))); } }",
        "stack_overflow": "public class Main { static int f(int n) { return f(n + 1) + 1; } public static void main(String[] a) { try { f(0); } "
        "catch (StackOverflowError e) { System.out.println(\"deep\"); } } }",
        "stdin": "public class Main { public static void main(String[] a) throws Exception { System.out.println(System.in.read() + \" \" + System.in.available() + System.console()); } }",
        "memory": "public class Main { public static void main(String[] a) { System.out.println(Runtime.getRuntime().maxMemory() + \" \" + Runtime.getRuntime().availableProcessors() "
        "+ java.nio.charset.Charset.defaultCharset() + java.util.Locale.getDefault() + java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()); } }",
        "classes": "public class Main { record P(int x) {} enum E { A } sealed interface S permits T {} static final class T implements S {} public static void main(String[] a) throws Exception { "
        "for (var f : new java.io.File(\".\").listFiles()) { var d = java.security.MessageDigest.getInstance(\"SHA-256\").digest(java.nio.file.Files.readAllBytes(f.toPath())); "
        "System.out.println(f + java.util.HexFormat.of().formatHex(d)); } Runnable r = () -> System.out.println(new P(1)); r.run(); } }",
        "warning": "import java.util.*; public class Main { public static void main(String[] a) { List l = new ArrayList(); l.add(1); new Integer(3); Thread.currentThread().stop(); } }",
        "errors": "public class Main { void f() { int x = \"a\"; undefined(); return 1; } class }",
        "wrong_name": "public class Other { public static void main(String[] a) { } }",
        "no_main": "class Main { }",
        "compiler_crash_options": "class Main { int a = ; } class \u00e4 { }",
    },
}
PROGRAMS = [(language, name) for language in LANGUAGES for name in OBSERVED.get(language, {})]


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
    if any(key in request for key in ("args", "env", "compile_options", "entry")):
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
@pytest.mark.parametrize("name, program", PROGRAMS, ids=[f"{name}-{program}" for name, program in PROGRAMS])
def test_nothing_that_code_can_look_at_differs(name, program):
    language = LANGUAGES[name]
    assert_same(language, {"source": OBSERVED[name][program]}, expects_warm=True)


@needs_root
@pytest.mark.parametrize(
    "more",
    [
        {"args": ["a b", "--", "-x"]},
        {"env": {"PYTHONHASHSEED": "7", "A": "b"}},
        {"limits": {"memory_bytes": 1 << 30}},
        {"limits": {"cpu_ms": 20000}},
        {"files": [{"name": "main.py", "content": "import other"}, {"name": ".local/lib/python3.11/site-packages/x.pth", "content": "import os"}]},
    ],
    ids=["args", "env", "memory", "cpu", "settings"],
)
def test_what_does_not_fit_is_run_cold(more):
    language = LANGUAGES["python"]
    request = {"source": OBSERVED["python"]["sys"] + "\nimport os\nprint(os.environ.get('A'))", **more}
    if "files" in more:
        del request["source"]
    assert_same(language, request, expects_warm=False)


@needs_root
def test_tighter_limits_fit():
    language = LANGUAGES["python"]
    limits = {"cpu_ms": 1000, "wall_ms": 60000, "memory_bytes": 100 << 20, "processes": 9, "file_bytes": 5000}
    result = assert_same(language, {"source": OBSERVED["python"]["limits"], "limits": limits}, expects_warm=True)
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
@pytest.mark.parametrize("argv", [["/usr/bin/env", "false"], ["/nonexistent"], ["/usr/bin/env", "sh", "-c", "echo noise; echo noise >&2"]])
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
