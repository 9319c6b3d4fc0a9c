"""What tasks must not leave on the machine of a local backend: processes, mounts, namespaces, cgroups, files, kernel objects."""

import os
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Set

from client import wait_for

GONE_S = 30
LOOK_EVERY_S = 0.05
FILES_OF_A_POD = 2  # its socket, and a note for the pod-manager's next life
DESCRIPTORS_MORE = 16
PUBLIC_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue")


class Footprint(NamedTuple):
    """How things of a stack's sandboxes are known. uids: of the code, as the host sees them. held: by language, how many processes
    a sandbox without a job keeps started. slots: of a pod that serves many tasks, which keeps as many workers."""

    state: Path
    manager_pid: int
    uids: range
    cgroup: str
    held: Dict[str, int]
    slots: int


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
        self._cgroup_parents: List[Path] = []
        self._mounts: Set[str] = set()
        self._descriptors: Dict[int, int] = {}
        self._owned: Set[str] = set()

    def remember(self, pods: List[dict]) -> None:
        self._mounts = set(self._mount_points())
        self._cgroup_parents = self._find_cgroup_parents()
        self._descriptors = {pid: _count_descriptors(pid) for pid in self._keepers(pods)}
        self._owned = set(FileSearch(self.footprint).finish())
        first = self.problems(pods, FileSearch(self.footprint))
        assert not first, first

    def problems(self, pods: List[dict], files: "FileSearch") -> List[str]:
        """Pods end a moment after they leave the list, so what is found must stay for a while to count. files: a search that was
        begun after the attack."""
        found: List[str] = []

        def is_clean():
            found[:] = [
                *self._stray_processes(pods),
                *self._stray_mounts(),
                *self._held_namespaces(pods),
                *self._stray_cgroups(pods),
                *self._stray_sockets(pods),
                *self._kernel_objects(),
                *self._stray_descriptors(pods),
            ]
            return not found

        try:
            wait_for(is_clean, GONE_S, "nothing is left", LOOK_EVERY_S)
        except AssertionError:
            pass
        left = [path for path in files.finish() if path not in self._owned and os.path.lexists(path)]
        return found + [f"file {path} of the code's uid is left" for path in left]

    def _keepers(self, pods: List[dict]) -> List[int]:
        """Processes that live through many tasks: the pod-manager, and the stewards of pods that serve many."""
        return [self.footprint.manager_pid] + [pod["pid"] for pod in pods if pod["isolation"] == "sandbox"]

    def _stray_processes(self, pods: List[dict]) -> Iterable[str]:
        """A warm pod is a runner, the init of its sandbox, and what init keeps started for its language; one that serves many is a
        steward with a runner for each slot. Nothing else may be of ours."""
        processes = _processes()
        children: Dict[int, List[int]] = {}
        for pid, process in processes.items():
            children.setdefault(process.parent, []).append(pid)
        known: Set[int] = set()
        for pod in pods:
            runners = [pod["pid"]]
            if pod["isolation"] == "sandbox":
                runners = children.get(pod["pid"], [])
                if not 1 <= len(runners) <= self.footprint.slots:
                    yield f"the pod {pod['pod']} has {len(runners)} workers, {self.footprint.slots} slots"
            known |= {pod["pid"], *runners}
            for runner in runners:
                inits = children.get(runner, [])
                started = [pid for init in inits for pid in children.get(init, [])]
                known |= {*inits, *started}
                if len(inits) != 1:
                    yield f"runner {runner} of pod {pod['pod']} has {len(inits)} children"
                if len(started) > (held := self.footprint.held[pod["language"]]):
                    yield f"{len(started)} processes wait in a sandbox of pod {pod['pod']}, {held} at most are its language's"
        for pid, process in processes.items():
            if pid not in known and (process.uid in self.footprint.uids or self._descends(pid, processes)):
                yield f"process {pid} ({process.name}, child of {process.parent}, uid {process.uid}) is left"

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

    def _held_namespaces(self, pods: List[dict]) -> Iterable[str]:
        """A namespace lives on without processes when a descriptor holds it."""
        for pid in self._keepers(pods):
            folder = Path(f"/proc/{pid}/fd")
            for fd in os.listdir(folder):
                try:
                    link = os.readlink(folder / fd)
                except OSError:
                    continue
                if re.match(r"(mnt|pid|net|ipc|uts|user|cgroup|time):\[", link):
                    yield f"process {pid} holds the namespace {link}"

    def _find_cgroup_parents(self) -> List[Path]:
        found = []
        for top in Path("/sys/fs/cgroup").glob("*"):
            for folder, names, _ in os.walk(top):
                if self.footprint.cgroup in names:
                    found.append(Path(folder) / self.footprint.cgroup)
                if folder.count("/") > 8:
                    names.clear()
        return found

    def _stray_cgroups(self, pods: List[dict]) -> Iterable[str]:
        """Every pod has one, and below it one for each worker, if it has workers."""
        names = {pod["pod"] for pod in pods}
        for parent in self._cgroup_parents:
            for path in parent.iterdir() if parent.exists() else []:
                if path.is_dir() and path.name not in names:
                    yield f"the cgroup {path} is left"
                elif path.is_dir() and len(places := [place for place in path.rglob("*") if place.is_dir()]) > self.footprint.slots:
                    yield f"cgroups are left: {places}"

    def _stray_sockets(self, pods: List[dict]) -> Iterable[str]:
        folder = Path(self.footprint.state) / "run" / "pods"
        found = sorted(set(os.listdir(folder)) - {"lock"}) if folder.is_dir() else []
        if len(found) > FILES_OF_A_POD * len(pods):
            yield f"{len(found)} files of {len(pods)} pods: {found}"

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

    def _stray_descriptors(self, pods: List[dict]) -> Iterable[str]:
        """Connections of schedulers come and go; a descriptor or two for each task would not."""
        for pid in self._keepers(pods):
            now, at_first = _count_descriptors(pid), self._descriptors.setdefault(pid, _count_descriptors(pid))
            if now > at_first + DESCRIPTORS_MORE:
                yield f"process {pid} has {now} descriptors, it had {at_first}"


def _count_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class FileSearch:
    """Looks for files and folders of the code's uids wherever it could make some had it left its sandbox; in the background, since
    those places may be large. Folders that it could not enter are passed over, but for the stack's own."""

    def __init__(self, footprint: Footprint) -> None:
        tops = [top for top in (*PUBLIC_FOLDERS, str(footprint.state)) if os.path.isdir(top)]
        uids = ["-uid", f"+{footprint.uids.start - 1}", "-uid", f"-{footprint.uids.stop}"]
        closed = ["-type", "d", "!", "-perm", "-001", "!", "-path", str(footprint.state), "!", "-path", f"{footprint.state}/*"]
        command = ["find", *tops, "(", *uids, "-print0", ")", ",", "(", *closed, "-prune", ")"]
        self._find = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def finish(self) -> List[str]:
        """What was found. Others' files come and go meanwhile, so find's status says nothing."""
        return sorted({os.fsdecode(path) for path in self._find.communicate()[0].split(b"\0") if path})
