"""A pod that serves many jobs, several at a time: nothing of one reaches another, and none is lost that need not be."""

import os
import signal
import socket
import threading
import time

import pytest
from runner_pod import new_pod, python, wait_for  # noqa: F401
from runner_speaker import Closed, ProtocolError

pytestmark = pytest.mark.parametrize("mode", ["root", "root-watch", "user"])

SLOTS = 2


class Started:
    """A job whose code runs (its first output is there) and is waited for later."""

    def __init__(self, pod, job):
        self.scheduler = pod.connect()
        self.scheduler.greet()
        self.scheduler.send_job(job)
        assert self.scheduler.expect("started", 30)["stage"] == "run"
        self.stdout = self.scheduler.expect("output", 30)["data"]

    def finish(self, timeout_s=60):
        while True:
            message = self.scheduler.receive(timeout_s)
            if message["type"] == "output":
                self.stdout += message["data"]
            elif message["type"] == "result":
                self.scheduler.close()
                return message


def side_by_side(*calls):
    """The calls' results, made at the same time."""
    results = [None] * len(calls)

    def keep(at):
        results[at] = calls[at]()

    threads = [threading.Thread(target=keep, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def sleeper(python, seconds=60, **limits):
    return python(f"import time; print('here', flush=True); time.sleep({seconds})", **{"wall_ms": 100_000, **limits})


def test_many_jobs_several_at_a_time(new_pod, python):
    pod = new_pod(slots=3, uses=0)

    def client(number):
        return [pod.run_one(python(f"print({number} * 1000 + {i})"))["stdout"] for i in range(8)]

    results = side_by_side(*[lambda number=number: client(number) for number in range(3)])
    assert results == [[b"%d\n" % (number * 1000 + i) for i in range(8)] for number in range(3)]
    pod.control.close()
    assert pod.process.wait(20) == 0


def test_each_has_namespaces_of_its_own(new_pod, python):
    code = """
import os, sys
kinds = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
print(os.getuid(), os.getpid() < 10, [os.readlink("/proc/self/ns/" + kind) for kind in kinds], flush=True)
sys.stdin.read()
import time; time.sleep(2)
"""
    pod = new_pod(slots=SLOTS, uses=0)
    running = [Started(pod, python(code)) for _ in range(SLOTS)]
    seen = [eval(one.stdout.decode().replace(" True ", ", True, ").replace("1000,", "1000,", 1)) for one in running]
    assert all(one[0] == 1000 and one[1] is True for one in seen), seen
    for kind in range(7):
        assert len({one[2][kind] for one in seen}) == SLOTS, seen
    for one in running:
        assert one.finish()["verdict"] == "ok"


# Everything that could outlast a program, left behind; then what the next one finds. Both print nothing but trouble.
LEAVE = """
import ctypes, os, resource, signal, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
for folder in ("/box", "/tmp", "/dev/shm"):
    open(folder + "/left", "w").write("x" * 100000)
    os.makedirs(folder + "/deep/er", exist_ok=True)
libc.shmget(4711, 4096, 0o1666); libc.semget(4711, 1, 0o1666); libc.msgget(4711, 0o1666)
queue = libc.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o666, None)
libc.syscall(248, b"user", b"left", b"secret", 6, -4)
libc.mount(b"none", b"/box/deep", b"tmpfs", 0, None)
for kind, address in ((socket.AF_UNIX, "\\0left"), (socket.AF_INET, ("127.0.0.1", 4711))):
    one = socket.socket(kind, socket.SOCK_STREAM)
    one.bind(address); one.listen(1)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            import time; time.sleep(600)
        import time; time.sleep(600)
os.nice(10); os.umask(0o777); resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
socket.sethostname("left") if os.geteuid() == 0 else None
os._exit(0)
"""
FIND = """
import ctypes, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
found = [folder for folder, names in (("/box", ["main.py"]), ("/tmp", []), ("/dev/shm", [])) if os.listdir(folder) != names]
found += ["processes %s" % pids for pids in [[p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]] if pids]
for name, got in (("shm", libc.shmget(4711, 1, 0)), ("sem", libc.semget(4711, 1, 0)), ("msg", libc.msgget(4711, 0)),
                  ("queue", libc.mq_open(b"/left", os.O_RDWR)), ("key", libc.syscall(249, b"user", b"left", None, 0))):
    if got >= 0: found.append(name)
if len([line for line in open("/proc/self/mountinfo") if "/deep" in line]): found.append("mount")
for kind, address in ((socket.AF_UNIX, "\\0left"), (socket.AF_INET, ("127.0.0.1", 4711))):
    try:
        socket.socket(kind, socket.SOCK_STREAM).connect(address)
        found.append("socket %s" % kind)
    except OSError:
        pass
if os.nice(0) != NICE: found.append("nice")
if os.umask(0) != 0o022: found.append("umask")
if resource.getrlimit(resource.RLIMIT_NOFILE) != (256, 256): found.append("files")
if socket.gethostname() != "sandbox": found.append("name")
print(found)
"""


def test_nothing_of_a_job_is_there_for_the_next(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    for _ in range(3 * SLOTS):  # each place is used again
        assert pod.run_one(python(LEAVE))["verdict"] == "ok"
        result = pod.run_one(python(FIND.replace("NICE", str(os.nice(0)))))
        assert (result["verdict"], result["stdout"]) == ("ok", b"[]\n"), result


def test_memory_and_time_are_counted_anew(new_pod, python):
    pod = new_pod(slots=1, uses=0)
    for _ in range(3):
        big = pod.run_one(python("x = bytearray(80 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1"))
        assert big["verdict"] == "ok" and big["run"]["memory_bytes"] > 80 << 20, big
        small = pod.run_one(python("print(1)"))
        assert small["run"]["memory_bytes"] < 40 << 20 and small["run"]["processes"] == 1, small


def test_a_neighbour_is_not_seen_and_cannot_be_signalled(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    calm = Started(pod, sleeper(python, 2))
    hunter = """
import os, signal
for target in [-1] + list(range(2, 70000)):
    try:
        if target != os.getpid(): os.kill(target, signal.SIGKILL)
    except OSError:
        pass
print([p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()])
"""
    assert pod.run_one(python(hunter))["stdout"] == b"[]\n"
    assert calm.finish()["verdict"] == "ok"


def test_a_bomb_next_door_costs_a_neighbour_its_share_only(new_pod, python):
    """Many busy processes against one: by processes it would get a ninth, by sandboxes it gets a half."""
    if open("/proc/sys/kernel/sched_autogroup_enabled").read().strip() != "1":
        pytest.skip("without autogroups and a cpu cgroup the kernel shares by process")
    burn = "import os, time\nos.sched_setaffinity(0, [0])\n%sprint('go', flush=True)\nwhile True: pass"
    crowd = "for _ in range(7):\n    if os.fork() == 0: break\n"
    limits = {"wall_ms": 4000, "cpu_ms": 60_000}
    pod = new_pod(slots=SLOTS, uses=0)
    many = Started(pod, python(burn % crowd, **limits))
    one = Started(pod, python(burn % "", **limits))
    alone, together = (run.finish()["run"] for run in (one, many))
    used = [run["cpu_user_us"] + run["cpu_system_us"] for run in (alone, together)]
    assert used[0] > 0.6 * used[1], used


def test_uses_are_counted_exactly(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=5)
    for i in range(5):
        assert pod.run_one(python(f"print({i})"))["stdout"] == b"%d\n" % i
    assert pod.process.wait(20) == 0
    with pytest.raises((Closed, OSError)):
        pod.run_one(python("print('one too many')"), timeout_s=5)


def test_the_last_use_lets_the_others_finish(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=2)
    slow = Started(pod, sleeper(python, 1.5))
    assert pod.run_one(python("print(1)"))["verdict"] == "ok"
    assert pod.process.poll() is None
    assert slow.finish()["verdict"] == "ok"
    assert pod.process.wait(20) == 0


def test_no_more_jobs_than_slots(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    running = [Started(pod, sleeper(python, 1.5)) for _ in range(SLOTS)]
    with pytest.raises(ProtocolError, match="taken"):
        pod.run_one(python("print(1)"))
    assert [one.finish()["verdict"] for one in running] == ["ok"] * SLOTS
    assert pod.run_one(python("print(1)"))["verdict"] == "ok"


def test_a_result_means_that_the_slot_is_free(new_pod, python):
    pod = new_pod(slots=1, uses=0)
    for _ in range(20):
        assert pod.run_one(python("print(1)"))["verdict"] == "ok"


def test_one_job_a_lease(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    lease = os.urandom(16)
    assert pod.run_one(python("print(1)"), lease_id=lease)["verdict"] == "ok"
    with pytest.raises(ProtocolError, match="taken"):
        pod.run_one(python("print(2)"), lease_id=lease)
    assert pod.run_one(python("print(3)"))["stdout"] == b"3\n"


def test_strangers_keep_nobody_out(new_pod, python):
    """Connections that say nothing, and one without the secret; each worker looks after one of them at a time."""
    pod = new_pod(slots=SLOTS, uses=0)
    silent = []
    for _ in range(2 * SLOTS):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(pod.address[len("unix:") :])
    with pytest.raises(ProtocolError):
        pod.connect(secret=b"x" * 32).run(python("print(1)"))
    began = time.monotonic()
    assert pod.run_one(python("print(1)"))["verdict"] == "ok"
    assert time.monotonic() - began < 4
    for one in silent:
        one.close()


def test_a_killed_worker_costs_its_own_job_only(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    idle = set(pod.workers())
    first = Started(pod, sleeper(python, 60))
    second = Started(pod, sleeper(python, 2))
    # The one that serves the first: it holds the connection, and no other worker does.
    taken = [pid for pid in idle | set(pod.workers()) if is_busy(pid)]
    assert len(taken) == SLOTS
    os.kill(taken[0], signal.SIGKILL)
    ends = []
    for one in (first, second):
        try:
            ends.append(one.finish(10)["verdict"] if one is second else one.finish(3)["verdict"])
        except (Closed, OSError):
            ends.append("lost")
    assert "lost" in ends, ends
    for _ in range(3 * SLOTS):
        try:
            assert pod.run_one(python("print(1)"))["verdict"] == "ok"
        except ProtocolError:  # the other is still at it
            time.sleep(0.3)
    assert "a worker was killed" in pod.errors()


def is_busy(pid):
    """Whether a worker has left the listening socket to the others, as it does when it takes a job."""
    try:
        sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return False
    listening = {f"socket:[{line.split()[6]}]" for line in open("/proc/net/unix").readlines()[1:] if line.split()[3] == "00010000"}
    return bool(sockets) and not sockets & listening


def test_idle_workers_that_are_killed_are_replaced(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    for _ in range(3):
        for pid in pod.workers():
            os.kill(pid, signal.SIGKILL)
        assert pod.run_one(python("print(1)"), timeout_s=20)["verdict"] == "ok"


def test_when_the_steward_is_killed_nothing_is_left(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    one = Started(pod, sleeper(python, 60))
    pod.process.kill()
    with pytest.raises((Closed, OSError)):
        one.finish(10)
    if mode_has_cgroup(pod):
        pod.stop()  # sweeps, as a pod-manager does
    wait_for(lambda: not pod.leftovers(), "the pod's remains")


def mode_has_cgroup(pod):
    return pod.mode == "root"


@pytest.mark.parametrize("how", ["control", "SIGTERM"])
def test_draining_lets_jobs_finish(new_pod, python, how):
    pod = new_pod(slots=SLOTS, uses=0)
    one = Started(pod, sleeper(python, 2))
    if how == "control":
        pod.control.close()
    else:
        pod.process.send_signal(signal.SIGTERM)
    wait_for(lambda: len(pod.workers()) == 1, "idle workers")
    assert pod.process.poll() is None
    assert one.finish()["verdict"] == "ok"
    assert pod.process.wait(20) == 0


def test_a_second_signal_ends_jobs(new_pod, python):
    pod = new_pod(slots=SLOTS, uses=0)
    one = Started(pod, sleeper(python, 60))
    pod.process.send_signal(signal.SIGTERM)
    wait_for(lambda: len(pod.workers()) == 1, "idle workers")
    pod.process.send_signal(signal.SIGTERM)
    with pytest.raises((Closed, OSError)):
        one.finish(10)
    assert pod.process.wait(20) == 0


def test_limits_hold_side_by_side(new_pod, python, mode):
    pod = new_pod(slots=3, uses=0)
    eater = python("x = []\nwhile True: x.append(bytearray(1 << 20))", memory_bytes=64 << 20)
    bomb = python("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", processes=16, wall_ms=1500)
    honest = [lambda: pod.run_one(python("print(sum(range(1000000)))"))]
    results = side_by_side(lambda: pod.run_one(eater), lambda: pod.run_one(bomb), *honest)
    assert [one["verdict"] for one in results] == ["memory_limit", "time_limit", "ok"], results
    assert results[2]["stdout"] == b"499999500000\n"
