"""What tasks must not leave on the machine of a local backend: processes, mounts, namespaces, cgroups, files, kernel objects."""

import os
import re
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Set

from client import wait_for

GONE_S = 10
FILES_OF_A_POD = 2  # its socket, and a note for the pod-manager's next life
PUBLIC_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue")


class Footprint(NamedTuple):
    """How things of a stack's sandboxes are known. uids: of the code, as the host sees them."""

    state: Path
    manager_pid: int
    uids: range
    cgroup: str


class Process(NamedTuple):
    parent: int
    uid: int
    name: str


def _processes() -> Dict[int, Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            found[int(entry.name)] = Process(
                parent=int(text.rpartition(")")[2].split()[1]),
                uid=entry.stat().st_uid if not (entry / "status").exists() else _uid(entry),
                name=text.partition("(")[2].rpartition(")")[0],
            )
        except (OSError, IndexError):
            continue
    return found


def _uid(entry: Path) -> int:
    """The real uid: the owner of the folder is root where the process is not dumpable."""
    for line in (entry / "status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return -1


class Remains:
    """remember() once while all is well, problems() after each attack, both with the warm pods as GET /pods names them."""

    def __init__(self, footprint: Footprint) -> None:
        self.footprint = footprint
        self._cgroup_parents = self._find_cgroup_parents()
        self._mounts: Set[str] = set()
        self._n_cgroups = 0
        self._n_descriptors = 0
        self._owned: Set[str] = set()
        self._started: Dict[str, int] = {}  # by language: processes that a warm pod's init keeps ready
        self._is_remembered = False

    def remember(self, pods: List[dict]) -> None:
        self._mounts = set(self._mount_points())
        self._cgroup_parents = self._find_cgroup_parents()
        self._n_cgroups = len(self._cgroups())
        self._n_descriptors = len(os.listdir(f"/proc/{self.footprint.manager_pid}/fd"))
        self._owned = set(self._foreign_files())
        first = self.problems(pods)
        assert not first, first
        self._is_remembered = True

    def problems(self, pods: List[dict]) -> List[str]:
        """Pods end a moment after they leave the list, so what is found must stay for a while to count."""
        found: List[str] = []

        def is_clean():
            found[:] = [
                *self._stray_processes(pods),
                *self._stray_mounts(),
                *self._held_namespaces(),
                *self._stray_cgroups(),
                *self._stray_files(pods),
                *self._kernel_objects(),
                *self._stray_descriptors(),
            ]
            return not found

        try:
            wait_for(is_clean, GONE_S, "nothing is left")
        except AssertionError:
            pass
        return found

    def _stray_processes(self, pods: List[dict]) -> Iterable[str]:
        """A warm pod is a runner, the init of its sandbox, and what init keeps started for its language, no more of it than at
        first; nothing else may be of ours."""
        processes = _processes()
        runners = {pod["pid"] for pod in pods}
        inits = {pid for pid, process in processes.items() if process.parent in runners and process.name == "runwave-runner"}
        yield from self._too_many_started(pods, processes)
        for pid, process in processes.items():
            is_ours = process.uid in self.footprint.uids or self._descends(pid, processes)
            if is_ours and pid not in runners and pid not in inits and process.parent not in inits:
                yield f"process {pid} ({process.name}, child of {process.parent}, uid {process.uid}) is left"
        for pid in runners:
            inits = [other for other, process in processes.items() if process.parent == pid]
            if len(inits) != 1:
                yield f"runner {pid} has {len(inits)} children"

    def _too_many_started(self, pods: List[dict], processes: Dict[int, Process]) -> Iterable[str]:
        for pod in pods:
            inits = [pid for pid, process in processes.items() if process.parent == pod["pid"]]
            started = sum(process.parent in inits for process in processes.values())
            if not self._is_remembered:
                self._started[pod["language"]] = max(started, self._started.get(pod["language"], 0))
            elif started > (at_first := self._started.get(pod["language"], 0)):
                yield f"{started} processes wait in pod {pod['pid']} of {pod['language']}, {at_first} did at first"

    def _descends(self, pid: int, processes: Dict[int, Process]) -> bool:
        for _ in range(64):
            process = processes.get(pid)
            if not process or process.parent <= 1:
                return False
            if process.parent == self.footprint.manager_pid:
                return True
            pid = process.parent
        return True

    def _mount_points(self) -> List[str]:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        manager = Path(f"/proc/{self.footprint.manager_pid}/mountinfo").read_text(encoding="utf-8").splitlines()
        return [line for line in lines + manager if str(self.footprint.state) in line or re.search(r" /(box|scratch)\b", line)]

    def _stray_mounts(self) -> Iterable[str]:
        return [f"mount is left: {line}" for line in self._mount_points() if line not in self._mounts]

    def _held_namespaces(self) -> Iterable[str]:
        """A namespace lives on without processes when a descriptor holds it."""
        folder = Path(f"/proc/{self.footprint.manager_pid}/fd")
        for fd in os.listdir(folder):
            try:
                link = os.readlink(folder / fd)
            except OSError:
                continue
            if re.match(r"(mnt|pid|net|ipc|uts|user|cgroup|time):\[", link):
                yield f"the pod-manager holds the namespace {link}"

    def _find_cgroup_parents(self) -> List[Path]:
        found = []
        for top in Path("/sys/fs/cgroup").glob("*"):
            for folder, names, _ in os.walk(top):
                if self.footprint.cgroup in names:
                    found.append(Path(folder) / self.footprint.cgroup)
                if folder.count("/") > 8:
                    names.clear()
        return found

    def _cgroups(self) -> List[str]:
        return [str(path) for parent in self._cgroup_parents if parent.exists() for path in parent.iterdir() if path.is_dir()]

    def _stray_cgroups(self) -> Iterable[str]:
        now = self._cgroups()
        return [f"{len(now)} cgroups instead of {self._n_cgroups}: {now}"] if len(now) != self._n_cgroups else []

    def _stray_files(self, pods: List[dict]) -> Iterable[str]:
        folder = Path(self.footprint.state) / "run" / "pods"
        found = sorted(set(os.listdir(folder)) - {"lock"}) if folder.is_dir() else []
        if len(found) > FILES_OF_A_POD * len(pods):
            yield f"{len(found)} files of {len(pods)} pods: {found}"
        for path in self._foreign_files():
            if path not in self._owned:
                yield f"file {path} of the code's uid is left"

    def _foreign_files(self) -> List[str]:
        found = []
        for top in (*PUBLIC_FOLDERS, self.footprint.state):
            for folder, _, files in os.walk(top):
                for name in files:
                    path = os.path.join(folder, name)
                    try:
                        if os.lstat(path).st_uid in self.footprint.uids:
                            found.append(path)
                    except OSError:
                        pass
        return found

    def _kernel_objects(self) -> Iterable[str]:
        """System V objects in the machine's own IPC namespace, and keys, which no namespace holds apart."""
        for kind, column in (("shm", 7), ("msg", 7), ("sem", 4)):
            path = Path(f"/proc/sysvipc/{kind}")
            for line in path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []:
                if int(line.split()[column]) in self.footprint.uids:
                    yield f"System V {kind} is left: {line}"
        keys = Path("/proc/keys")
        for line in keys.read_text(encoding="utf-8", errors="replace").splitlines() if keys.exists() else []:
            words = line.split()
            if len(words) > 5 and words[5].isdigit() and int(words[5]) in self.footprint.uids:
                yield f"a key is left: {line}"

    def _stray_descriptors(self) -> Iterable[str]:
        """Connections of schedulers come and go; a descriptor or two for each task would not."""
        now = len(os.listdir(f"/proc/{self.footprint.manager_pid}/fd"))
        return [f"the pod-manager has {now} descriptors, it had {self._n_descriptors}"] if now > self._n_descriptors + 16 else []
