"""The runner alone, over its protocol and without daemons: what it runs, what it measures, what it judges. Each test runs in every mode
of sandbox that this machine can make; afterwards nothing of the pod may be left. Attacks are in test_runner_hostile.py."""

import os
import signal
import socket
import struct
import time

import msgpack
import pytest
from runner_pod import MODES, c_program, new_pod, pod, python, run  # noqa: F401
from runner_speaker import Closed, ProtocolError, make_job, make_stage

pytestmark = pytest.mark.parametrize("mode", MODES)
MIB = 1 << 20


def test_output_input_arguments_environment_and_files(run):
    code = """
import os, sys
print(sys.argv[1:], os.environ["GREETING"], os.getcwd(), open("data/deep/er.txt").read())
sys.stdout.flush()
sys.stderr.buffer.write(b"\\xff\\x00\\xfe")
sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])
"""
    stage = make_stage(["/usr/bin/python3", "main.py", "a b", "c\u00e9"], ["PATH=/usr/bin:/bin", "LANG=C.UTF-8", "GREETING=hi there"])
    result = run(make_job({"main.py": code.encode(), "data/deep/er.txt": b"inner"}, stage, stdin=b"\x00abc" * 100_000))
    assert result["verdict"] == "ok" and result["exit_code"] == 0 and result["stages"] == ["run"], result
    assert result["stdout"] == "['a b', 'c\u00e9'] hi there /box inner\n".encode() + b"cba\x00" * 100_000
    assert result["stderr"] == b"\xff\x00\xfe"
    assert not result["stdout_truncated"] and not result["stderr_truncated"]


@pytest.mark.parametrize("code", [1, 42, 255])
def test_exit_codes(run, python, code):
    result = run(python(f"import sys; sys.exit({code})"))
    assert (result["verdict"], result["exit_code"], result["signal"]) == ("runtime_error", code, 0)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGXCPU, signal.SIGTERM])
def test_signals(run, python, number):
    result = run(python(f"import os; os.kill(os.getpid(), {int(number)})"))
    assert (result["verdict"], result["signal"]) == ("signalled", number) and "exit_code" not in result


def test_input_that_nobody_reads(run, python):
    assert run({**python("print(1)"), "stdin": b"x" * MIB})["verdict"] == "ok"


def test_no_input_is_end_of_file(run, python):
    assert run(python("import sys; print(len(sys.stdin.read()))"))["stdout"] == b"0\n"


def test_standard_streams_can_be_opened_by_name(run):
    script = b"echo out > /dev/stdout; echo err > /dev/stderr; echo again > /proc/self/fd/1; cat < /dev/stdin"
    result = run(make_job({"main.sh": script}, make_stage(["/bin/bash", "main.sh"]), stdin=b"in"))
    assert (result["verdict"], result["stdout"], result["stderr"]) == ("ok", b"out\nagain\nin", b"err\n")


def test_missing_interpreter_is_our_error(run):
    result = run(make_job({"main": b"x"}, make_stage(["/usr/bin/no-such-program"])))
    assert result["verdict"] == "internal_error" and "execute" in result["reason"], result
    assert "exit_code" not in result and result["stages"] == []


def test_missing_own_program_is_a_runtime_error(run):
    result = run(make_job({"main": b"not executable"}, make_stage(["/box/main"])))
    assert result["verdict"] == "runtime_error" and "execute" in result["reason"], result


@pytest.mark.parametrize("name", ["main.py", "main.py/x", "../x", "/x", "a//b", "a/./b", ".."])
def test_bad_file_names_are_refused(pod, python, name):
    job = python("print(1)")
    job["files"].append({"name": name, "content": b""})
    with pytest.raises(ProtocolError, match="'job'"):
        pod.connect().run(job)


# --- compiling ----------------------------------------------------------------------------------------------------------------------


def test_compile_and_run(run, c_program):
    result = run(c_program('#include <stdio.h>\nint main(void) { puts("built"); return 3; }'))
    assert (result["verdict"], result["exit_code"], result["stdout"]) == ("runtime_error", 3, b"built\n")
    assert result["stages"] == ["compile", "run"] and result["compile"]["wall_us"] > 5000


def test_compile_error(run, c_program):
    result = run(c_program("int main(void) { return missing; }"))
    assert result["verdict"] == "compile_error" and b"missing" in result["compile_output"], result
    assert result["stages"] == ["compile"] and "exit_code" not in result and result["run"]["wall_us"] == 0


@pytest.mark.parametrize(
    "limits, word",
    [
        ({"wall_ms": 300}, "wall"),
        ({"cpu_ms": 200}, "cpu"),
        ({"memory_bytes": 64 * MIB}, "memory"),
        ({"output_bytes": 1000}, "output"),
    ],
)
def test_stopped_compilers_are_compile_errors(run, limits, word):
    script = {
        "wall": "sleep 20",
        "cpu": "while :; do :; done",
        "memory": "exec /usr/bin/python3 -c 'x = bytearray(200 << 20); import time; time.sleep(5)'",
        "output": "yes",
    }[word]
    stage = make_stage(["/bin/bash", "build.sh"], **limits)
    result = run(make_job({"build.sh": script.encode()}, make_stage(["/box/program"]), compile_=stage))
    assert result["verdict"] == "compile_error" and word in result["reason"], result
    assert result["stages"] == ["compile"]
    assert result["compile_truncated"] == (word == "output")
    assert len(result["compile_output"]) == (1000 if word == "output" else 0)


# --- limits at their edges ----------------------------------------------------------------------------------------------------------


def test_wall_time(run, python, slowness):
    assert run(python("import time; time.sleep(0.5)", wall_ms=1000 * slowness))["verdict"] == "ok"
    result = run(python("import time; print('before', flush=True); time.sleep(60)", wall_ms=1000 * slowness))
    assert (result["verdict"], result["stdout"]) == ("time_limit", b"before\n")
    assert 1_000_000 * slowness <= result["run"]["wall_us"] < 1_500_000 * slowness and "wall" in result["reason"]


def test_cpu_time(run, python, slowness):
    burn = "import time\nwhile time.process_time() < {}: pass\nprint('done')"
    assert run(python(burn.format(0.4), cpu_ms=500))["verdict"] == "ok"
    result = run(python(burn.format(10), cpu_ms=500))
    assert result["verdict"] == "time_limit" and "cpu" in result["reason"], result
    used = result["run"]["cpu_user_us"] + result["run"]["cpu_system_us"]
    assert 500_000 <= used < 500_000 + 150_000 * slowness


def test_cpu_time_of_children_counts(run, python):
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        while True: pass
time.sleep(60)
"""
    result = run(python(code, cpu_ms=500, wall_ms=60_000))
    assert result["verdict"] == "time_limit" and "cpu" in result["reason"], result


def test_cpu_time_of_reaped_children_counts(run, python):
    code = """
import os, time
while True:
    if os.fork() == 0:
        while time.process_time() < 0.05: pass
        os._exit(0)
    os.wait()
"""
    result = run(python(code, cpu_ms=400, wall_ms=60_000))
    assert result["verdict"] == "time_limit" and "cpu" in result["reason"], result


def test_memory(run, python):
    fill = "x = bytearray({} << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('filled')"
    assert run(python(fill.format(100), memory_bytes=128 * MIB))["verdict"] == "ok"
    result = run(python(fill.format(1000) + "\nimport time; time.sleep(5)", memory_bytes=128 * MIB))
    assert result["verdict"] == "memory_limit", result


def test_memory_of_children_counts(run, python):
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        x = bytearray(50 << 20)
        for i in range(0, len(x), 4096): x[i] = 1
        time.sleep(60)
time.sleep(60)
"""
    result = run(python(code, memory_bytes=128 * MIB, wall_ms=5000))
    assert result["verdict"] == "memory_limit", result


def test_reserved_memory_does_not_count(run, python):
    code = "import mmap; m = mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000); m[0] = 1; print('fine')"
    assert run(python(code, memory_bytes=64 * MIB))["stdout"] == b"fine\n"


@pytest.mark.parametrize("stream, number", [("stdout", 1), ("stderr", 2)])
def test_output_size(run, python, stream, number):
    write = "import os\nfor _ in range({}): os.write(" + str(number) + ", b'x' * 1000)"
    exact = run(python(write.format(100), output_bytes=100_000))
    assert (exact["verdict"], len(exact[stream])) == ("ok", 100_000) and not exact[f"{stream}_truncated"]
    over = run(python(write.format(100) + f"\nos.write({number}, b'y')", output_bytes=100_000))
    assert (over["verdict"], over[stream]) == ("output_limit", b"x" * 100_000) and over[f"{stream}_truncated"], over["verdict"]


def test_file_size(run, python):
    write = "with open('/tmp/f', 'wb') as f: f.write(b'x' * {})\nprint('written')"
    assert run(python(write.format(MIB), file_bytes=MIB))["stdout"] == b"written\n"
    # Python ignores SIGXFSZ, so that it sees an error; who does not is ended by the signal.
    assert run(python(write.format(MIB + 1), file_bytes=MIB))["verdict"] == "runtime_error"
    script = make_job({"main.sh": b"exec head -c 2000000 /dev/zero > f"}, make_stage(["/bin/bash", "main.sh"], file_bytes=MIB))
    result = run(script)
    assert (result["verdict"], result["signal"]) == ("signalled", signal.SIGXFSZ)


def test_open_files(run, python):
    code = "files = []\ntry:\n    while True: files.append(open('/dev/null'))\nexcept OSError: print(len(files) + 3)"
    assert abs(int(run(python(code, open_files=50))["stdout"]) - 50) <= 1


def test_processes(run, python):
    code = """
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(20)
        n += 1
except BlockingIOError:
    print(n + 1)
    time.sleep(0.3)
"""
    result = run(python(code, processes=20, memory_bytes=512 * MIB))
    assert result["verdict"] == "ok" and int(result["stdout"]) == 20, result
    assert 15 <= result["run"]["processes"] <= 20


def test_threads_count_as_processes(run, python):
    code = """
import threading, time
n = 1
try:
    while True:
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
        n += 1
except RuntimeError:
    print(n)
"""
    assert int(run(python(code, processes=20))["stdout"]) == 20


def test_disk(run, python, mode):
    if mode == "container":
        pytest.skip("the size of a pod's own folders is the pod's")
    code = """
n = 0
try:
    for where in "/box", "/tmp", "/dev/shm":
        with open(where + "/f", "wb", 0) as f:
            for _ in range(40):
                n += f.write(bytes(1 << 20))
except OSError as problem:
    print(n >> 20, problem.errno)
"""
    result = run(python(code, disk_bytes=64 * MIB, file_bytes=128 * MIB))
    size, errno = result["stdout"].split()
    assert 62 <= int(size) <= 64 and int(errno) == 28, result


def test_number_of_files(run, python, mode):
    if mode == "container":
        pytest.skip("the number of files in a pod's own folders is the pod's")
    code = "n = 0\ntry:\n    while n < 200_000:\n        open(f'/tmp/{n}', 'w').close(); n += 1\nexcept OSError: pass\nprint(n)"
    assert 1000 < int(run(python(code, disk_bytes=16 * MIB, memory_bytes=512 * MIB))["stdout"]) < 70_000


# --- usage --------------------------------------------------------------------------------------------------------------------------


def test_usage_is_true(run, python, slowness):
    """Against what the program itself sees of its time since it was forked, and against the memory that it is known to fill."""
    code = """
import os, time
began = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
x = bytearray(100 << 20)
for i in range(0, len(x), 4096): x[i] = 1
while time.process_time() < 1: pass
time.sleep(0.5)
print(time.process_time(), time.clock_gettime(time.CLOCK_BOOTTIME) - began)
"""
    result = run(python(code, wall_ms=30_000))
    usage, (cpu_s, wall_s) = result["run"], map(float, result["stdout"].split())
    cpu_us = usage["cpu_user_us"] + usage["cpu_system_us"]
    # Its end it does not see itself, nor its start to less than a tick; and from the fork to the exec a sanitized runner takes long.
    assert cpu_s * 1e6 <= cpu_us < cpu_s * 1.1e6 + 50_000, (usage, cpu_s)
    assert wall_s * 1e6 - 100_000 * slowness <= usage["wall_us"] < wall_s * 1.1e6 + 100_000 * slowness, (usage, wall_s)
    assert 105 * MIB <= usage["memory_bytes"] < 121 * MIB, usage
    assert usage["processes"] == 1


def test_code_starts_within_milliseconds(run, python, slowness):
    result = run(python("pass"))
    assert 0 < result["run_started_after_us"] < 100_000 * slowness


# --- the connection -----------------------------------------------------------------------------------------------------------------


def test_wrong_proofs_do_not_use_the_pod_up(pod, python):
    with pytest.raises(ProtocolError, match="secret"):
        pod.connect(secret=b"x" * 32).run(python("print(1)"))
    impostor = pod.connect()
    impostor.greet()
    impostor.send_job(python("print('stolen')"), secret=b"x" * 32)
    assert impostor.expect("refused")["reason"] == "proof"
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 0),
        struct.pack(">I", 0xFFFFFFFF) + b"x" * 100,
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 600) + b"x" * 600,
    ],
)
def test_garbage_is_refused(pod, python, data):
    stranger = pod.connect()
    stranger.send_bytes(data)
    assert stranger.expect("refused")["reason"] == "protocol"
    with pytest.raises(Closed):
        stranger.receive()
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"


def test_a_job_before_the_hello_is_refused(pod, python):
    stranger = pod.connect()
    stranger.other_nonce = bytes(32)
    stranger.send_job(b"")
    assert stranger.expect("refused")["reason"] == "protocol"
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"


def test_idle_connections_do_not_starve_the_real_one(pod, python):
    idle = [pod.connect() for _ in range(14)]
    began = time.monotonic()
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"
    assert time.monotonic() - began < 5
    for one in idle:
        one.close()


def test_silent_connections_are_closed(pod, python):
    stranger = pod.connect()
    began = time.monotonic()
    with pytest.raises(Closed):
        stranger.receive(timeout_s=30)
    assert 4 < time.monotonic() - began < 15
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"


def test_the_second_comer_is_refused(pod, python):
    early = pod.connect()
    first, second = pod.connect(), pod.connect()
    first.greet()
    second.greet()
    first.send_job(python("import time; time.sleep(1); print('mine')"))
    first.expect("started")
    second.send_job(python("print('stolen')"))
    late = pod.connect()
    for other in (second, early, late):
        assert other.expect("refused")["reason"] == "taken"
    assert first.expect("output")["data"] == b"mine\n"
    assert first.expect("result")["verdict"] == "ok"


@pytest.mark.parametrize("job", [b"\x80", b"", msgpack.packb({"language": "x"})])
def test_a_malformed_job_is_refused(pod, job):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(job)
    assert scheduler.expect("refused")["reason"] in ("job", "protocol")
    scheduler.close()


def test_a_job_in_small_pieces(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    sent = []
    scheduler.send_bytes = sent.append
    scheduler.send_job(python("print('whole')"))
    for byte in sent[0]:
        scheduler.connection.sendall(bytes([byte]))
    scheduler.expect("started")
    assert scheduler.expect("output")["data"] == b"whole\n"


def test_a_large_job(run, python):
    job = python("import os; print(os.path.getsize('big'))")
    job["files"].append({"name": "big", "content": os.urandom(12 * MIB)})
    assert run(job)["stdout"] == b"12582912\n"


def test_a_lost_scheduler_ends_everything(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(python("import time; time.sleep(100)"))
    scheduler.expect("started")
    scheduler.close()
    assert pod.process.wait(10) == 75


def test_a_broken_frame_in_mid_job_ends_everything(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(python("import time; time.sleep(100)"))
    scheduler.expect("started")
    scheduler.send("hello", nonce=bytes(32), lease_id=bytes(16))
    assert scheduler.expect("refused")["reason"] == "protocol"
    assert pod.process.wait(10) == 75


def test_cancel(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(python("import time; print('begun', flush=True); time.sleep(100)"))
    scheduler.expect("started")
    assert scheduler.expect("output")["data"] == b"begun\n"
    scheduler.send("stdin", data=b"late", eof=True)
    scheduler.send("cancel")
    result = scheduler.expect("result")
    assert (result["verdict"], result["signal"], result["reason"]) == ("signalled", 9, "cancelled")
    scheduler.close()
    assert pod.process.wait(10) == 0


def test_end_of_control_before_a_job(pod):
    pod.control.close()
    assert pod.process.wait(10) == 0


def test_end_of_control_in_mid_job(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(python("import time; time.sleep(1); print('still')"))
    scheduler.expect("started")
    pod.control.shutdown(socket.SHUT_RDWR)
    pod.control.close()
    assert scheduler.expect("output")["data"] == b"still\n"
    assert scheduler.expect("result")["verdict"] == "ok"
    scheduler.close()
    assert pod.process.wait(10) == 0


def test_a_killed_runner_takes_everything_along(pod, python):
    scheduler = pod.connect()
    scheduler.greet()
    scheduler.send_job(python("import time; time.sleep(100)"))
    scheduler.expect("started")
    pod.process.kill()
    pod.process.wait(10)


def test_termination(pod, mode):
    if mode == "container":
        pytest.skip("there the signal is for a process inside")
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(10) == 0


def test_tcp(new_pod, python, mode):
    if mode == "container":
        pytest.skip("that pod's network is its own")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
    pod = new_pod(listen=address)
    assert pod.run(python("print(2)"))["stdout"] == b"2\n"


# --- languages ----------------------------------------------------------------------------------------------------------------------

JAVA = (
    b'public class Main { public static void main(String[] a) throws Exception { System.out.println("java " + Runtime.version().feature()); '
    b'Thread t = new Thread(() -> System.out.println("thread")); t.start(); t.join(); } }'
)


@pytest.mark.parametrize("memory", [256 * MIB, 512 * MIB])
def test_java(run, memory):
    options = ["-XX:+UseSerialGC", f"-XX:MaxRAM={memory}", "-XX:MaxRAMPercentage=50"]
    compile_ = make_stage(["/usr/bin/javac", *[f"-J{option}" for option in options], "Main.java"], processes=128, memory_bytes=512 * MIB, wall_ms=60_000, cpu_ms=60_000)
    stage = make_stage(["/usr/bin/java", *options, "Main"], processes=128, memory_bytes=memory, wall_ms=60_000, cpu_ms=60_000)
    result = run(make_job({"Main.java": JAVA}, stage, compile_=compile_))
    assert (result["verdict"], result["stdout"]) == ("ok", b"java 17\nthread\n"), result


def test_plain_java(run):
    stage = make_stage(["/usr/bin/java", "Main.java"], processes=256, memory_bytes=512 * MIB, wall_ms=60_000, cpu_ms=60_000)
    result = run(make_job({"Main.java": JAVA}, stage))
    assert (result["verdict"], result["stdout"]) == ("ok", b"java 17\nthread\n"), result


def test_node(run):
    code = b"""
const os = require('os'), fs = require('fs'), { Worker } = require('worker_threads');
fs.writeFileSync('/tmp/x', 'file');
console.log('node', fs.readFileSync('/tmp/x', 'utf8'), os.tmpdir(), require('crypto').createHash('sha256').update('x').digest('hex').length);
new Worker("require('worker_threads').parentPort.postMessage(1)", { eval: true }).on('message', (m) => console.log('worker', m));
"""
    result = run(make_job({"main.js": code}, make_stage(["/usr/bin/node", "main.js"])))
    assert (result["verdict"], result["stdout"]) == ("ok", b"node file /tmp 64\nworker 1\n"), result


def test_cpp_with_threads(run):
    code = b"""
#include <iostream>
#include <thread>
#include <vector>
int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) threads.emplace_back([] {});
    for (auto &t : threads) t.join();
    std::cout << "c++ " << threads.size() << std::endl;
}
"""
    compile_ = make_stage(["/usr/bin/g++", "-O2", "-pipe", "-o", "program", "main.cpp", "-pthread"], wall_ms=60_000, cpu_ms=60_000)
    result = run(make_job({"main.cpp": code}, make_stage(["/box/program"]), compile_=compile_))
    assert (result["verdict"], result["stdout"]) == ("ok", b"c++ 4\n"), result


def test_bash(run):
    script = b'echo "$BASH_VERSION" | cut -c1-2; printf "%s\\n" "$@" | sort -r; (exit 7) || echo $?; cat <<< here; echo $(id -u)'
    result = run(make_job({"main.sh": script}, make_stage(["/bin/bash", "main.sh", "a", "b c"])))
    assert result["stdout"].split(b"\n")[1:5] == [b"b c", b"a", b"7", b"here"], result


def test_python_with_processes_and_modules(run, python, mode):
    code = """
import multiprocessing, sqlite3, ssl, ctypes, tempfile, decimal, socket
def square(x): return x * x
if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool: print(pool.map(square, range(5)))
    print(sqlite3.connect("x.db").execute("select 6 * 7").fetchone(), tempfile.gettempdir())
"""
    result = run(python(code))
    assert (result["verdict"], result["stdout"]) == ("ok", b"[0, 1, 4, 9, 16]\n(42,) /tmp\n"), result


def test_probe_and_usage(mode, new_pod):
    """What the command line answers by itself."""
    import json
    import subprocess

    from runner_pod import RUNNER

    if mode != "root":
        pytest.skip("once is enough")
    answer = subprocess.run([RUNNER, "--probe"], capture_output=True, check=False)
    assert json.loads(answer.stdout)["works"] is (answer.returncode == 0)
    for wrong in (["--nonsense"], ["--listen", "fd:0"], [], ["--cgroup", "../x", "--listen", "fd:0"], ["--listen", "ftp:x"]):
        assert subprocess.run([RUNNER, *wrong], capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 78
    failing = subprocess.run([RUNNER, "--probe", "--sandbox", "container"], capture_output=True, check=False)
    if not os.path.isdir("/box"):
        assert failing.returncode == 69 and b"/box" in failing.stderr and failing.stderr.count(b"\n") == 1


def test_nothing_is_left_of_many(new_pod, python, mode):
    """Several at once, each with a sandbox of its own."""
    pods = [new_pod() for _ in range(4)]
    jobs = []
    for number, pod in enumerate(pods):
        scheduler = pod.connect()
        scheduler.greet()
        scheduler.send_job(python(f"import os; open('/tmp/mine', 'x').close(); print({number}, len(os.listdir('/proc')))"))
        jobs.append(scheduler)
    for number, scheduler in enumerate(jobs):
        scheduler.expect("started")
        assert scheduler.expect("output")["data"].split()[0] == str(number).encode()
        assert scheduler.expect("result")["verdict"] == "ok"
        scheduler.close()
    assert [pod.process.wait(10) for pod in pods] == [0] * 4
