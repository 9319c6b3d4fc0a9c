"""A pod of the local kind without any daemon: starts runwave-runner as a pod-manager would, speaks to it as a scheduler would."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from runner_speaker import Scheduler, make_job, make_stage

ROOT = Path(__file__).resolve().parents[2]
PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
RUNNER = Path(os.environ.get("RUNWAVE_RUNNER") or ROOT / "build" / PRESET / "runner-images/runner/runwave-runner")
USER = 65534
# root: a uid range and a cgroup where one can be written. root-watch: without the cgroup. user: an ordinary user. container: no
# namespaces, the runner as process 1 of a pod made by unshare.
MODES = ["root", "root-watch", "user", "container"]

_numbers = itertools.count()

# A root with /box and /tmp, as a pod has; then the runner as its process 1, as an ordinary user whom
# nobody else uses: without a user namespace the limit on processes counts all of a user's.
_POD_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 pod "$1"
cd "$1"
for folder in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$folder" ]; then cp -P "/$folder" .; fi
done
mkdir -m 755 usr etc proc dev runner
mkdir -m 1777 tmp
mount --rbind /usr usr
mount --rbind /etc etc
mount --rbind /dev dev
mount -t proc proc proc
mount --bind "$2" runner
mkdir box
mount -t tmpfs -o mode=755,uid=$3,gid=$3 box box
uid=$3
shift 3
exec chroot . setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
"""


def possible_modes():
    """The modes that this process can make pods of."""
    return MODES if os.geteuid() == 0 else ["user"]


def wait_for(condition, what, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"left behind: {what}"
        time.sleep(0.02)


class Pod:
    def __init__(self, mode="root", arguments=(), listen=None, container_uid=None, slots=1, uses=1):
        self.mode = mode
        self.slots = slots
        self.has_steward = (slots, uses) != (1, 1)
        self.container_uid = container_uid
        self.secret = os.urandom(32)
        self.number = next(_numbers)
        self.uid_base = 1_600_000_000 + 2 * ((os.getpid() % 100_000) * 1000 + self.number)
        if self.has_steward:
            arguments = [*arguments, "--slots", str(slots), "--uses", str(uses)]
            self.uid_base = 1_810_000_000 + (os.getpid() % 1_000) * 50_000 + self.number * 4 * slots
        self.cgroup = f"runwave-test-{os.getpid()}/pod-{self.number}"
        self.folder = Path(tempfile.mkdtemp(prefix="runwave-pod-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.address = listen or f"unix:{self.folder}/socket"
        self.process = None
        self.control = None
        self._start(list(arguments), listen)

    def _start(self, arguments, listen):
        descriptors = []
        if listen is None:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.address[len("unix:") :])
            os.chmod(self.address[len("unix:") :], 0o777)
            listener.listen(16)
            descriptors.append(listener.detach())
            listen = f"fd:{descriptors[0]}"
        secret, secret_in = os.pipe()
        os.write(secret_in, self.secret)
        os.close(secret_in)
        self.control, control = socket.socketpair()
        descriptors += [secret, control.detach()]
        argv = [str(RUNNER), "--pod", f"test-{self.number}", "--listen", listen, "--secret-fd", str(secret)]
        argv += ["--control-fd", str(descriptors[-1]), *self._mode_arguments(), *arguments]
        argv, options = self._placed(argv)
        with open(self.folder / "errors", "wb") as errors:
            self.process = subprocess.Popen(argv, pass_fds=descriptors, stderr=errors, **options)
        for descriptor in descriptors:
            os.close(descriptor)

    def _mode_arguments(self):
        if self.mode == "container":
            return ["--sandbox", "container"]
        if self.mode == "user":
            return []
        ids = ["--uid-base", str(self.uid_base)] if os.geteuid() == 0 else []
        return ids if self.mode == "root-watch" else [*ids, "--cgroup", self.cgroup]

    def _placed(self, argv):
        if self.mode == "user" and os.geteuid() == 0:
            # The build may lie where another user cannot go.
            program = self.folder / "runwave-runner"
            shutil.copy(RUNNER, program)
            program.chmod(0o755)
            return [str(program), *argv[1:]], {"user": USER, "group": USER, "extra_groups": []}
        if self.mode == "container":
            place = self.folder / "root"
            place.mkdir()
            front = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "sh", "-c", _POD_SCRIPT, "sh"]
            return [*front, str(place), str(RUNNER.parent), str(self.uid_base if self.container_uid is None else self.container_uid), "/runner/runwave-runner", *argv[1:]], {}
        return argv, {}

    def await_ready(self, timeout_s=60):
        self.control.settimeout(timeout_s)
        byte = self.control.recv(1)
        assert byte == b"R", f"not ready: {self.errors()}"
        return self

    def errors(self):
        return (self.folder / "errors").read_text(errors="replace")

    def connect(self, secret=None, lease_id=None):
        return Scheduler(self.address, secret or self.secret, lease_id)

    def run_one(self, job, timeout_s=60, **options):
        """Run one of a pod's many jobs."""
        scheduler = self.connect(**options)
        try:
            return scheduler.run(job, timeout_s=timeout_s)
        finally:
            scheduler.close()

    def workers(self):
        """Process ids of a steward's workers."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def run(self, job, timeout_s=120):
        """Run the pod's job; the result, once the runner has exited, too."""
        scheduler = self.connect()
        try:
            result = scheduler.run(job, timeout_s=timeout_s)
        finally:
            scheduler.close()
        status = self.process.wait(30)
        assert status == 0, f"exit status {status}: {self.errors()}"
        return result

    def stop(self):
        """However it ended, as a pod-manager would clean up after it."""
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait(30)
        self.control.close()
        if status != 0 and self.mode == "root":
            subprocess.run([RUNNER, "--sweep-cgroup", self.cgroup], check=True)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def leftovers(self):
        """Processes, cgroups and mounts that are still there."""
        found = []
        ids = set(range(self.uid_base, self.uid_base + (4 * self.slots if self.has_steward else 2)))
        for status in [Path("/proc", name, "status") for name in os.listdir("/proc") if name.isdigit()]:
            try:
                text = status.read_text()
            except OSError:
                continue
            if ids & {int(part) for line in text.splitlines() if line.startswith("Uid:") for part in line.split()[1:]}:
                found.append(text.splitlines()[0] + " " + str(status))
        # os.walk, because other pods' folders vanish under a search.
        found += [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if ("/" + self.cgroup + "/") in folder + "/"]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.folder) in line]
        return found


# Fixtures of the runner's tests, which are parametrized by `mode`; a test file imports those it uses.


@pytest.fixture
def new_pod(mode):
    """Makes prepared pods; at the end of the test nothing of them may be left."""
    if mode not in possible_modes():
        pytest.skip(f"{mode} pods need root")
    pods = []

    def make(**options):
        pods.append(Pod(mode, **options))
        return pods[-1].await_ready()

    yield make
    for one in pods:
        one.stop()
    try:
        wait_for(lambda: not any(one.leftovers() for one in pods), [one.leftovers() for one in pods])
    finally:
        for one in pods:
            one.remove()


@pytest.fixture
def pod(new_pod):
    return new_pod()


@pytest.fixture
def run(new_pod):
    """run(job) -> result, in a fresh pod each."""
    return lambda job: new_pod().run(job)


@pytest.fixture
def python():
    """python(code, **limits) -> job"""
    return lambda code, **limits: make_job({"main.py": code.encode()}, make_stage(["/usr/bin/python3", "main.py"], **limits))


@pytest.fixture
def c_program():
    """c_program(source, *options, **limits) -> job that compiles and runs it; the limits are the run stage's"""

    def make(source, *options, compile_limits=None, **limits):
        compiler = ["/usr/bin/gcc", "-O1", "-pipe", "-o", "program", "main.c", *options]
        stage = make_stage(compiler, **{"memory_bytes": 512 << 20, "wall_ms": 60_000, "cpu_ms": 60_000, **(compile_limits or {})})
        return make_job({"main.c": source.encode()}, make_stage(["/box/program"], **limits), compile_=stage)

    return make
