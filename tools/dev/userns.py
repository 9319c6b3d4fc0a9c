"""Whether programs may make user namespaces here: every sandbox needs them, and so does root's PostgreSQL."""

import os
import subprocess
from pathlib import Path
from typing import Optional

from stack import DaemonPaths


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_chroot() -> bool:
    """The root of another process of the same namespaces differs from ours; only the first process's is sure to be the real one."""
    try:
        return not os.path.samefile("/proc/1/root", "/")
    except OSError:
        return False


def problem() -> Optional[str]:
    """None, or one line: what is wrong and how to mend it."""
    argv = ["/usr/bin/unshare", "--user", "--map-user=1000", "--map-group=1000", "--mount", "--pid", "--fork", "/bin/true"]
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return None
    lead = "user namespaces, which keep submitted code apart, cannot be made here"
    if _sysctl("user.max_user_namespaces") == "0":
        return f"{lead}: run `sysctl user.max_user_namespaces=15000` as root"
    if os.geteuid() != 0 and _sysctl("kernel.unprivileged_userns_clone") == "0":
        return f"{lead}: run `sysctl kernel.unprivileged_userns_clone=1` as root"
    if os.geteuid() != 0 and _sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return f"{lead}: run `sysctl kernel.apparmor_restrict_unprivileged_userns=0` as root"
    if _is_chroot():
        return f"{lead}: the kernel refuses them in a chroot; use systemd-nspawn, a container or a virtual machine instead"
    return f"{lead} ({done.stderr.strip()}): a container has to be started with --privileged, or with unshare and mount permitted"


def runner_problem(paths: DaemonPaths) -> Optional[str]:
    """The same by the runner's own, complete probe."""
    done = subprocess.run([str(paths["runner"]), "--probe"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"runwave-runner --probe ended with status {done.returncode}"
