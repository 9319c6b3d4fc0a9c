"""Attacks on the runner and its sandbox, by the rows of the catalogue in docs/sandbox.md (H01 to H56). Each must end in the verdict named,
in time, with nothing left; and the next pod must work."""

import json
import os
import signal
import subprocess

import pytest
from runner_pod import MODES, c_program, new_pod, pod, python, run  # noqa: F401
from runner_speaker import make_job, make_stage

pytestmark = pytest.mark.parametrize("mode", MODES)
MIB = 1 << 20


@pytest.fixture
def found(run, python):
    """Run code that leaves what it found in `found`."""

    def look(code, **limits):
        result = run(python("found = {}\n" + code + "\nimport json\nprint(json.dumps(found))", **limits))
        assert result["verdict"] == "ok", result
        return json.loads(result["stdout"])

    return look


def assert_stopped_in_time(result, seconds):
    assert result["run"]["wall_us"] < seconds * 1_000_000, result["run"]


# --- exhaustion (H01 to H20) --------------------------------------------------------------------------------------------------------

BOMBS = {
    "H01 fork": "int main(void) { for (;;) fork(); }",
    "H02 fork and setsid": "int main(void) { for (;;) if (fork() == 0) { setsid(); } }",
    "H01 fork that dies": "int main(void) { pid_t first = getpid(); for (;;) { fork(); if (getpid() != first && getpid() % 3 == 0) _exit(0); } }",
    "H03 threads": "static void *f(void *a) { pause(); return a; } int main(void) { pthread_t t; for (;;) pthread_create(&t, 0, f, 0); }",
    "H29 SIGCHLD storm": "int main(void) { signal(SIGCHLD, SIG_IGN); for (;;) if (fork() == 0) _exit(0); }",
    "H15 children spin": "int main(void) { for (int i = 0; i < 20; i++) if (fork() == 0) for (;;); pause(); }",
    "H14 sleep": "int main(void) { for (;;) pause(); }",
    "H14 stop": "int main(void) { raise(SIGSTOP); }",
    "H16 ignored signals": "int main(void) { for (int i = 1; i < 65; i++) signal(i, SIG_IGN); for (;;); }",
    "H19 descriptors": 'int main(void) { while (open("/dev/null", 0) >= 0); for (;;) pause(); }',
    "H28 zombie farm": "int main(void) { for (;;) { if (fork() == 0) _exit(0); } }",
    "signals to the neighbours": "int main(void) { for (;;) for (int s = 1; s < 65; s++) { if (s != 9 && s != 19) signal(s, SIG_IGN); kill(1, s); kill(getppid(), s); } }",
    "H18 writing": 'int main(void) { static char b[1 << 20]; for (;;) { int f = open("/tmp/f", O_CREAT | O_TRUNC | O_WRONLY, 0600); write(f, b, sizeof b); fsync(f); close(f); } }',
    "pipes": "int main(void) { int p[2]; for (int i = 0; i < 2000; i++) if (pipe(p) == 0) { fcntl(p[1], F_SETPIPE_SZ, 1 << 20); fcntl(p[1], F_SETFL, O_NONBLOCK); static char b[1 << 20]; write(p[1], b, sizeof b); } pause(); }",
}
PRELUDE = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_at_the_wall(run, c_program, bomb, slowness):
    result = run(c_program(PRELUDE + BOMBS[bomb], "-pthread", "-w", wall_ms=700, cpu_ms=60_000, processes=64, memory_bytes=512 * MIB))
    assert result["verdict"] == "time_limit", result
    assert_stopped_in_time(result, 4 * slowness)


def test_two_bombs_at_once_do_not_harm_a_third(new_pod, c_program, python):
    bombs = [new_pod().connect() for _ in range(2)]
    for bomb in bombs:
        bomb.greet()
        bomb.send_job(c_program(PRELUDE + BOMBS["H01 fork"], "-w", wall_ms=5000, cpu_ms=60_000))
        assert bomb.expect("started")["stage"] == "compile"
        assert bomb.expect("started")["stage"] == "run"
    honest = new_pod().run(python("import os\nfor _ in range(20):\n    if os.fork() == 0: os._exit(0)\n    os.wait()\nprint('fine')", wall_ms=60_000))
    assert (honest["verdict"], honest["stdout"]) == ("ok", b"fine\n"), honest
    for bomb in bombs:
        assert bomb.expect("result")["verdict"] == "time_limit"
        bomb.close()


MEMORY_BOMBS = {
    "H04 heap": "int main(void) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }",
    "H04 many processes": "int main(void) { for (int i = 0; i < 30; i++) if (fork() == 0) { memset(malloc(16 << 20), 1, 16 << 20); pause(); } pause(); }",
    "shared mapping": "int main(void) { for (;;) memset(mmap(0, 8 << 20, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 1, 8 << 20); }",
    "private stack": "static int f(int n) { volatile char b[65536]; b[0] = n; return f(n + 1) + b[0]; } int main(void) { return f(0); }",
}


@pytest.mark.parametrize("bomb", MEMORY_BOMBS)
def test_memory_bombs(run, c_program, bomb):
    result = run(c_program(PRELUDE + MEMORY_BOMBS[bomb], "-w", "-O0", memory_bytes=128 * MIB, wall_ms=20_000, cpu_ms=20_000))
    if bomb == "private stack":
        assert (result["verdict"], result["signal"]) == ("signalled", signal.SIGSEGV), result
    else:
        assert result["verdict"] == "memory_limit", result


def test_memory_that_no_process_shows(run, c_program):
    """memfd, SysV segments: counted where a cgroup counts, refused where none does."""
    source = PRELUDE + """
    #include <sys/shm.h>
    static char b[1 << 20];
    int main(void) {
        int refused = 0;
        for (int i = 0; i < 60; i++) {
            int f = memfd_create("x", 0);
            if (f < 0) { refused++; break; }
            for (int j = 0; j < 8; j++) write(f, b, sizeof b);
        }
        for (int i = 0; i < 60; i++) {
            int id = shmget(IPC_PRIVATE, 8 << 20, 0600);
            if (id < 0) { refused++; break; }
            void *p = shmat(id, 0, 0); memset(p, 1, 8 << 20); shmdt(p);
        }
        printf("%d\\n", refused);
        sleep(2);
    }
    """
    result = run(c_program(source, "-w", memory_bytes=128 * MIB))
    assert result["verdict"] == "memory_limit" or result["stdout"] == b"2\n", result


def test_static_bomb(run, c_program):
    """H05, H07: reserving is not using."""
    result = run(c_program("char a[8UL << 30]; int main(void) { return 0; }", memory_bytes=64 * MIB))
    assert result["verdict"] in ("ok", "runtime_error", "signalled", "compile_error"), result


def test_stack(run, c_program):
    """H06"""
    result = run(c_program("int f(int n) { volatile int a[99] = {n}; return f(n + 1) + a[5]; } int main(void) { return f(0); }", "-w", "-O0"))
    assert (result["verdict"], result["signal"]) == ("signalled", signal.SIGSEGV)


def test_disk_fill(run, python, mode):
    """H08: the file limit holds for every size; what is written is bounded in all."""
    result = run(python("import os\nf = os.open('big', os.O_CREAT | os.O_WRONLY)\nos.posix_fallocate(f, 0, 100 << 30)"))
    assert result["verdict"] in ("runtime_error", "signalled"), result


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_flood(run, python, stream, slowness):
    """H11, H12"""
    result = run(python(f"import sys\nwhile True: sys.{stream}.write('x' * 100000)", output_bytes=MIB))
    assert result["verdict"] == "output_limit" and result[f"{stream}_truncated"] and len(result[stream]) == MIB
    assert_stopped_in_time(result, 5 * slowness)


def test_slow_output(run, python):
    """H13"""
    result = run(python("import time\nfor i in range(100):\n    print(i, flush=True)\n    time.sleep(0.2)", wall_ms=1500))
    assert result["verdict"] == "time_limit" and result["stdout"].startswith(b"0\n1\n2\n")


def test_nothing_persists(found, mode):
    """H10, H20"""
    if mode == "container":
        pytest.skip("such a pod is used once")
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for place in ("/tmp", "/dev/shm", "/box", "/var/tmp", "/run", "/usr", "/etc", "/", "/dev", "/proc", "/home", "/root"):
    try:
        names = sorted(os.listdir(place)) if place in ("/tmp", "/dev/shm") else []
        open(place + "/trace", "x").close()
        found[place] = names
    except OSError:
        pass
found["queue"] = libc.msgget(4711, 0o1666)
"""
    for _ in range(2):
        seen = found(code)
        assert seen.pop("queue") in (0, -1)
        assert seen == {"/tmp": [], "/dev/shm": [], "/box": []}


def test_cannot_lift_its_limits(found):
    code = """
import resource
for name in ("NPROC", "FSIZE", "NOFILE", "CPU", "CORE", "MEMLOCK"):
    number = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(number)
    try:
        resource.setrlimit(number, (hard, hard + 1))
        found[name] = "lifted"
    except (ValueError, OSError):
        pass
try:
    open("/proc/self/oom_score_adj", "wb", 0).write(b"-1000")
    found["oom"] = "lowered"
except OSError:
    pass
import os
try:
    os.nice(-5)
    found["nice"] = "raised"
except OSError:
    pass
"""
    assert found(code) == {}


# --- processes and signals (H21 to H30) ---------------------------------------------------------------------------------------------


def test_daemon_that_holds_the_output(run, python, slowness):
    """H21: the answer does not wait for it, and it does not live on."""
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(100)
        print("late")
    os._exit(0)
os.wait()
print("done")
"""
    result = run(python(code))
    assert (result["verdict"], result["stdout"]) == ("ok", b"done\n")
    assert_stopped_in_time(result, 3 * slowness)


def test_output_handed_to_a_socket_in_flight(run, python, slowness):
    code = """
import array, os, socket
a, b = socket.socketpair()
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2, a.fileno(), b.fileno()]))])
print("done")
"""
    result = run(python(code))
    assert (result["verdict"], result["stdout"]) == ("ok", b"done\n"), result


def test_kill_everything(run, python):
    """H22: nobody but itself is there to be killed."""
    result = run(python("import os, time\nfor _ in range(5): os.fork()\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: pass\nprint('alive')", processes=64))
    assert result["verdict"] in ("ok", "signalled") and result["stdout"] in (b"alive\n", b""), result


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGTSTP, signal.SIGABRT])
def test_signals_to_the_supervisor(run, python, number):
    """H23"""
    code = f"import os\nfor pid in (1, os.getppid()):\n    try: os.kill(pid, {int(number)})\n    except (ProcessLookupError, PermissionError): pass\nprint('done')"
    result = run(python(code))
    assert (result["verdict"], result["stdout"]) == ("ok", b"done\n")


def test_closed_outputs(run, python):
    result = run(python("import os, time\nos.close(0); os.close(1); os.close(2)\ntime.sleep(0.3)\nos._exit(5)"))
    assert (result["verdict"], result["exit_code"]) == ("runtime_error", 5)


def test_supervisor_memory_and_descriptors(found):
    """H17, H24, H25, H26"""
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in {1, os.getppid()}:
    if pid in (0, os.getpid()): continue
    for name in ("mem", "environ", "maps", "auxv", "syscall", "stack", "io", "personality"):
        try:
            found[f"{pid} {name}"] = open(f"/proc/{pid}/{name}", "rb").read(8).hex()
        except OSError:
            pass
    for name in ("cwd", "root", "exe", "fd/0", "fd/1", "fd/3", "fd/4"):
        try:
            found[f"{pid} {name}"] = os.readlink(f"/proc/{pid}/{name}")
        except OSError:
            pass
    for name in ("oom_score_adj", "mem", "comm", "coredump_filter", "clear_refs"):
        try:
            open(f"/proc/{pid}/{name}", "w").write("0")
            found[f"{pid} {name} written"] = True
        except OSError:
            pass
    for request in (16, 0x4206):
        if libc.ptrace(request, pid, 0, 0) == 0: found[f"{pid} ptrace"] = True
    class IoVec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    buffer = ctypes.create_string_buffer(8)
    mine, theirs = IoVec(ctypes.addressof(buffer), 8), IoVec(0x400000, 8)
    if libc.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0: found[f"{pid} read"] = True
    pidfd = libc.syscall(434, pid, 0)
    if pidfd >= 0 and libc.syscall(438, pidfd, 0, 0) >= 0: found[f"{pid} descriptor"] = True
    for which in (0, 1):
        if libc.setpriority(which, pid, 19) == 0: found[f"{pid} niced {which}"] = True
    if libc.sched_setaffinity(pid, 8, ctypes.byref(ctypes.c_uint64(1))) == 0: found[f"{pid} bound"] = True
    if libc.sched_setscheduler(pid, 5, ctypes.byref(ctypes.c_int(0))) == 0: found[f"{pid} made idle"] = True
    if libc.syscall(251, 1, pid, 3 << 13) == 0: found[f"{pid} io"] = True
    class RLimit(ctypes.Structure): _fields_ = [("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
    if libc.prlimit(pid, 7, ctypes.byref(RLimit(1, 1)), None) == 0: found[f"{pid} limited"] = True
"""
    assert found(code) == {}


def test_only_three_descriptors_and_a_clean_environment(run, mode):
    """H27, H35, H54"""
    script = b"exec /usr/bin/python3 -S -c 'import os; print(sorted(os.listdir(\"/proc/self/fd\"))[:-1], sorted(os.environ))'"
    result = run(make_job({"main.sh": script}, make_stage(["/bin/bash", "main.sh"], ["PATH=/usr/bin", "A=b"])))
    assert result["stdout"] == b"['0', '1', '2'] ['A', 'LC_CTYPE', 'PATH', 'PWD', 'SHLVL']\n", result


def test_many_zombies_are_reaped(run, c_program):
    """H28: orphans do not use the process limit up."""
    source = PRELUDE + """
    int main(void) {
        for (int i = 0; i < 3000; i++) {
            pid_t pid = fork();
            if (pid < 0) { usleep(1000); i--; continue; }
            if (pid == 0) { if (fork() == 0) _exit(0); _exit(0); }
            waitpid(pid, 0, 0);
        }
        puts("done");
    }
    """
    result = run(c_program(source, "-w", processes=20, wall_ms=60_000, cpu_ms=60_000))
    assert (result["verdict"], result["stdout"]) == ("ok", b"done\n"), result


# --- files and identity (H31 to H42) ------------------------------------------------------------------------------------------------


def test_links_and_pipes_of_result_names(run):
    """H31: nothing outside reads what the code leaves."""
    script = b"ln -sf /etc/passwd result.json; ln -s /dev/zero out; mkfifo fifo stdout; ln -s /proc/self/mem stderr; echo done"
    assert run(make_job({"main.sh": script}, make_stage(["/bin/bash", "main.sh"])))["stdout"] == b"done\n"


def test_compiler_that_leaves_a_daemon(run, slowness):
    """H32, H53: it is dead before the run begins, and cannot replace what was built."""
    build = b"""
printf '#!/bin/sh\\necho honest\\n' > program; chmod +x program
setsid sh -c 'sleep 0.3; while :; do printf "#!/bin/sh\\necho replaced\\n" > program; done' > /dev/null 2>&1 < /dev/null &
"""
    program = make_job({"build.sh": build}, make_stage(["/bin/sh", "-c", "sleep 1; exec ./program"]), compile_=make_stage(["/bin/bash", "build.sh"]))
    result = run(program)
    assert (result["verdict"], result["stdout"]) == ("ok", b"honest\n"), result
    assert result["compile"]["wall_us"] < 1_000_000 * slowness


def test_view_of_the_machine(found, mode):
    """H33, H34, H36: only what a sandbox is made of."""
    code = """
import os
try:
    found["root"] = sorted(os.listdir("/"))
except OSError:
    found["root"] = []
for path in ("/home", "/root", "/work", "/var", "/run", "/sys", "/boot", "/mnt", "/etc/shadow", "/etc/ssh", "/proc/kcore", "/proc/keys",
             "/proc/sysrq-trigger", "/proc/sched_debug", "/proc/sys", "/proc/kallsyms", "/proc/cmdline", "/var/run/secrets"):
    if os.path.lexists(path): found[path] = True
found["processes"] = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
found["mounts"] = [line.split()[1] for line in open("/proc/self/mounts")]
found["devices"] = sorted(os.listdir("/dev"))
"""
    seen = found(code)
    if mode == "container":
        assert not set(seen["root"]) & {"home", "root", "var", "run", "sys"}
        return
    assert set(seen.pop("root")) <= {"bin", "box", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"}
    assert seen.pop("devices") == ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    mounts = seen.pop("mounts")
    assert {"/", "/usr", "/proc", "/box", "/tmp", "/dev/shm"} <= set(mounts) and not any("scratch" in place for place in mounts)
    assert seen == {"processes": []}


def test_mount_options(found, mode):
    if mode == "container":
        pytest.skip("the mounts of a pod are the pod's")
    seen = found("found.update((line.split()[1], line.split()[3].split(',')) for line in open('/proc/self/mounts'))")
    writable = {place for place, options in seen.items() if "rw" in options}
    assert writable <= {"/box", "/tmp", "/dev/shm", "/proc"}, writable
    assert all("nosuid" in options for options in seen.values()), seen
    assert all("nodev" in options or place.startswith("/dev/") for place, options in seen.items()), seen


def test_identity(found, mode):
    """H37"""
    code = """
import os
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
found.update((key, status[key]) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid"))
found["session"] = os.getsid(0) == os.getpid()
found["groups"] = os.getgroups()
for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        call()
        found["became root"] = True
    except OSError:
        pass
"""
    seen = found(code)
    assert all(int(seen[key], 16) == 0 for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")), seen
    assert int(seen["CapBnd"], 16) == 0 or mode == "container"
    assert seen["NoNewPrivs"] == "1" and seen["Seccomp"] == "2" and seen["session"] and "became root" not in seen
    ids = set(seen["Uid"].split()) | set(seen["Gid"].split())
    assert ids == {"1000"} or (mode == "container" and len(ids) == 1 and ids != {"0"}), ids
    assert mode in ("user", "container") or seen["groups"] == []


def test_set_user_id_programs(run):
    """H37"""
    result = run(make_job({"main.sh": b"for p in su 'mount -t tmpfs x /tmp' passwd; do $p < /dev/null > /dev/null 2>&1 && echo $p; done; id -u"}, make_stage(["/bin/bash", "main.sh"])))
    assert result["stdout"].strip() not in (b"0", b"") and b"\n" not in result["stdout"].strip(), result


CALLS = {
    # H38, H39, H42: name, number on x86_64, arguments
    "unshare user": (272, 0x10000000),
    "unshare net": (272, 0x40000000),
    "clone user": (56, 0x10000000 | 17, 0),
    "clone3": (435, 0, 0),
    "setns": (308, 0, 0),
    "io_uring_setup": (425, 4, 0),
    "bpf": (321, 0, 0, 0),
    "userfaultfd": (323, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "add_key": (248, 0, 0, 0, 0, -3),
    "keyctl": (250, 0, -3, 0),
    "request_key": (249, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 2),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "fsopen": (430, 0, 0),
    "open_tree": (428, -100, 0, 0),
    "mount_setattr": (442, -100, 0, 0, 0, 0),
    "reboot": (169, 0xFEE1DEAD, 672274793, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "swapon": (167, 0, 0),
    "sethostname": (170, 0, 0),
    "iopl": (172, 3),
    "ptrace": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "open_by_handle_at": (304, -100, 0, 0),
    "name_to_handle_at": (303, -100, 0, 0, 0, 0),
    "fanotify_init": (300, 0, 0),
    "inotify_init1": (294, 0),
    "syslog": (103, 3, 0, 0),
    "mbind": (237, 0, 0, 0, 0, 0, 0),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "memfd_secret": (447, 0),
    "modify_ldt": (154, 0, 0, 0),
    "TIOCSTI": (16, 0, 0x5412, 0),
    "TIOCSTI, high bits": (16, 0, 0x1_0000_5412, 0),
    "personality": (135, 0x0400000),
    "cachestat": (451, 0, 0, 0, 0),
    "statmount": (457, 0, 0, 0, 0),
    "listmount": (458, 0, 0, 0, 0),
    "lsm_list_modules": (461, 0, 0, 0),
    "open_tree_attr": (467, -100, 0, 0, 0, 0),
    "a number of the future": (600,),
}


def test_system_calls_refused_by_the_filter(found):
    code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, (number, *arguments) in {CALLS!r}.items():
    ctypes.set_errno(0)
    status = libc.syscall(number, *[ctypes.c_ulong(a & 0xffffffffffffffff) for a in arguments])
    if status == 0 and name == "clone user":
        import os
        os._exit(77)
    found[name] = [status, ctypes.get_errno()]
"""
    seen = found(code)
    assert {name: got for name, got in seen.items() if got[0] != -1 or got[1] not in (1, 38)} == {}


def test_socket_families(found, mode):
    """H39, H48: unix, and where there is a network of its own TCP and UDP."""
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
found["open"] = sorted({family for family in range(0, 300) for kind in (1, 2, 3, 5) if libc.socket(family, kind, 0) >= 0})
found["tricks"] = [libc.syscall(41, ctypes.c_ulong(0x100000000 | 16), 3, 0), libc.socket(2, 1, 262), libc.socket(2, 1, 132), libc.socket(2, 3, 1), libc.socket(2, 2, 1), libc.socketpair(30, 1, 0, (ctypes.c_int * 2)())]
"""
    seen = found(code)
    assert seen["open"] == ([1] if mode == "container" else [1, 2, 10])
    assert set(seen["tricks"]) == {-1}


def test_calls_of_another_architecture(run, c_program):
    """The 32-bit table has other numbers: int 0x80 is the end of the process."""
    result = run(c_program('int main(void) { int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); return r == -38 ? 0 : 1; }'))
    assert (result["verdict"], result["signal"]) == ("signalled", signal.SIGSYS), result
    x32 = run(c_program(PRELUDE + "int main(void) { return syscall(0x40000000 + 39) < 0 ? 0 : 1; }", "-w"))
    assert (x32["verdict"], x32.get("signal")) == ("signalled", signal.SIGSYS) or x32["verdict"] == "ok", x32


def test_memory_file_as_program(run, c_program):
    """H40: possible where memory is counted, and no way around anything."""
    source = PRELUDE + """
    int main(int n, char **v) {
        if (n > 1) { puts("again"); return prctl(PR_GET_SECCOMP) == 2 ? 0 : 1; }
        int f = memfd_create("x", 0), s = open("/proc/self/exe", 0); char b[65536]; ssize_t r;
        if (f < 0) { puts("refused"); return 0; }
        while ((r = read(s, b, sizeof b)) > 0) write(f, b, r);
        char *a[] = {"x", "again", 0}, *e[] = {0};
        fexecve(f, a, e); return 2;
    }
    """
    result = run(c_program(source, "-w"))
    assert result["verdict"] == "ok" and result["stdout"] in (b"again\n", b"refused\n"), result


def test_strange_file_names(run, python):
    """H41"""
    code = """
import os
for name in (b"\\xff\\n\\";rm -rf", b"x" * 255, b"-rf", b"...", b"\\x01\\x7f"):
    open(name, "w").close()
for name in (b"x" * 256, b"..", b"."):
    try:
        open(name, "w")
        print("made", name)
    except OSError:
        pass
print(len(os.listdir(".")))
"""
    assert run(python(code))["stdout"] == b"6\n"


def test_nodes(found):
    """H42"""
    code = """
import os, stat
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    try:
        os.mknod("/tmp/node", kind | 0o666, os.makedev(1, 3))
        found["made"] = True
    except OSError:
        pass
"""
    assert found(code) == {}


def test_locked_down_even_for_a_file_of_its_own(run, python):
    """Hard links and renames out of the private folders, writing through /proc/self/root."""
    code = """
import os
for how in (lambda: os.link("main.py", "/usr/x"), lambda: os.rename("main.py", "/etc/x"), lambda: open("/proc/self/root/usr/x", "w"),
            lambda: os.link("/usr/bin/python3", "/box/p"), lambda: os.chmod("/usr", 0o777), lambda: os.utime("/usr/bin"), lambda: os.mkdir("/x")):
    try:
        how()
        print("done", how)
    except OSError:
        pass
"""
    assert run(python(code))["stdout"] == b""


# --- network (H43 to H49) -----------------------------------------------------------------------------------------------------------


def test_network(found, mode, tmp_path):
    code = """
import errno, socket
for address in (("169.254.169.254", 80), ("10.0.0.1", 443), ("1.1.1.1", 53), ("192.168.0.1", 22)):
    try:
        s = socket.socket(); s.settimeout(1); s.connect(address); found[str(address)] = True
    except OSError:
        pass
    try:
        s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"x", address); found["udp " + str(address)] = True
    except OSError:
        pass
try:
    found["dns"] = socket.getaddrinfo("example.com", 80)
except OSError:
    pass
try:
    a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(); b = socket.create_connection(a.getsockname()); found["loopback"] = True
except OSError:
    pass
"""
    assert found(code) == ({} if mode == "container" else {"loopback": True})


def test_services_of_the_machine(found, mode):
    """H45: a port and an abstract socket of the host."""
    if mode == "container":
        pytest.skip("that pod's network is its own")
    import socket

    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        name = f"\0runwave-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        code = f"""
import socket
for family, address in ((socket.AF_INET, {tcp.getsockname()!r}), (socket.AF_UNIX, {name!r})):
    try:
        socket.socket(family).connect(address)
        found[str(address)] = True
    except OSError:
        pass
"""
        assert found(code) == {}


# --- compiling (H50 to H54) ---------------------------------------------------------------------------------------------------------

COMPILER_BOMBS = {
    "H50 zero": '#include "/dev/zero"',
    "H50 random": '#include "/dev/urandom"',
    "H50 itself": '#include "/proc/self/mem"',
    "H51 includes": '#include __FILE__\n#include __FILE__',
    "H51 object": "int main[0x10000000] = {1};",
    "H51 macros": "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(A(A(A(A(x))))))))\nint a[] = {B(1,)};",
}


@pytest.mark.parametrize("bomb", COMPILER_BOMBS)
def test_compiler_bombs(run, c_program, bomb, slowness):
    limits = {"wall_ms": 5000, "cpu_ms": 4000, "memory_bytes": 256 * MIB, "file_bytes": 64 * MIB, "disk_bytes": 128 * MIB, "output_bytes": 65536}
    result = run(c_program(COMPILER_BOMBS[bomb], compile_limits=limits))
    assert result["verdict"] == "compile_error", result
    assert result["compile"]["wall_us"] < 8_000_000 * slowness


def test_code_at_compile_time_is_held_too(run, c_program):
    """H52"""
    result = run(c_program('__asm__(".incbin \\"/etc/shadow\\""); int main(void) { return 0; }'))
    assert result["verdict"] == "compile_error", result


# --- forgery (H55, H56) -------------------------------------------------------------------------------------------------------------


def test_forged_frames_are_output(run, python):
    import struct

    import msgpack

    forged = msgpack.packb({"type": "result", "verdict": "ok", "signal": 0})
    data = struct.pack(">I", len(forged)) + forged + b"a\x00b time limit exceeded"
    result = run(python(f"import sys\nsys.stdout.buffer.write({data!r})\nsys.stderr.buffer.write({data!r})\nsys.exit(9)"))
    assert (result["verdict"], result["exit_code"], result["stdout"], result["stderr"]) == ("runtime_error", 9, data, data)


def test_neighbours(new_pod, python, mode):
    """Two sandboxes at once share nothing: processes, files, sockets, shared memory."""
    if mode == "container":
        pytest.skip("one pod, one task")
    code = """
import os, socket, time
open("/tmp/mine", "w").close(); open("/dev/shm/mine", "w").close()
s = socket.socket(socket.AF_UNIX); s.bind("\\0mine")
t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(("127.0.0.1", 7777)); t.listen()
time.sleep(1)
print(sorted(os.listdir("/tmp")), len([n for n in os.listdir("/proc") if n.isdigit()]))
"""
    schedulers = [new_pod().connect() for _ in range(2)]
    for scheduler in schedulers:
        scheduler.greet()
        scheduler.send_job(python(code))
    for scheduler in schedulers:
        scheduler.expect("started")
        assert scheduler.expect("output")["data"] == b"['mine'] 1\n"
        assert scheduler.expect("result")["verdict"] == "ok"
        scheduler.close()


def test_runner_itself_gives_up_its_privileges(pod, mode):
    """What would be left to who took the runner over."""
    if mode == "container":
        pytest.skip("the same process as unshare's child")
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pod.process.pid}/status").read().splitlines() if ":\t" in line)
    # CAP_KILL, and CAP_DAC_OVERRIDE for cgroups.
    permitted = 1 << 5 | 1 << 1 if os.geteuid() == 0 and mode != "user" else 0
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) and int(status["CapEff"], 16) & ~permitted == 0
    assert int(status["CapBnd"], 16) == 0 or mode == "user"
    assert status["NoNewPrivs"] == "1"
    environ = subprocess.run(["cat", f"/proc/{pod.process.pid}/environ"], capture_output=True, check=False).stdout
    assert environ.strip(b"\0") == b""


def test_root_in_a_container_gives_its_uid_away(new_pod, mode, python):
    """Where a pod may run as root, the code has another uid than the runner, and the runner is out of its reach altogether."""
    if mode != "container":
        pytest.skip("about containers")
    code = """
import os
print(os.getuid(), os.getgid(), os.getgroups(), os.stat("main.py").st_uid, flush=True)
for number in (9, 19, 15):
    try:
        os.kill(1, number)
        print("signalled")
    except PermissionError:
        pass
open("/dev/stdout", "w").write("end\\n")
"""
    result = new_pod(container_uid=0).run(python(code))
    assert (result["verdict"], result["stdout"]) == ("ok", b"1000 1000 [] 1000\nend\n"), result
