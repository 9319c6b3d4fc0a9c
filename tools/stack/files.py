"""Files of a state folder: secrets and configurations only their owner may read, and a short folder for unix sockets."""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

# A socket's path must fit into sockaddr_un (108 bytes with its NUL); this leaves 48 for the names below the folder.
RUN_DIR_BYTES_MAX = 59


def repository_root() -> Path:
    return Path(__file__).resolve().parents[2]


def private_dir(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> Path:
    """Write the whole file or nothing, readable by its owner alone from its first byte on."""
    private_dir(path.parent) if not path.parent.exists() else None
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(temporary, path)
    return path


def read_secret(path: Path) -> str:
    """The secret in the file, made at the first call: it has to survive a restart together with the data it protects."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text(encoding="utf-8").rstrip("\n")


def new_run_dir(state: Path) -> Path:
    """A folder short enough for unix sockets: below the state folder, else a fresh one in /tmp remembered by a link."""
    inside = state / "run"
    if len(os.fsencode(str(inside))) <= RUN_DIR_BYTES_MAX:
        return private_dir(inside)
    link = state / "run-link"
    if link.is_symlink():
        target = Path(os.readlink(link))
        if target.is_dir() and target.stat().st_uid == os.geteuid():
            return target
        link.unlink()
    digest = hashlib.sha256(os.fsencode(str(state))).hexdigest()[:6]
    target = Path(tempfile.mkdtemp(prefix=f"runwave-{digest}-", dir="/tmp"))
    link.symlink_to(target)
    return target


def remove_run_dir(state: Path) -> None:
    """Remove what new_run_dir made outside of the state folder."""
    link = state / "run-link"
    if not link.is_symlink():
        return
    target = Path(os.readlink(link))
    link.unlink()
    if target.is_dir() and target.parent == Path("/tmp") and target.stat().st_uid == os.geteuid():
        for entry in target.iterdir():
            if not entry.is_dir():
                entry.unlink()
        if not any(target.iterdir()):
            target.rmdir()
