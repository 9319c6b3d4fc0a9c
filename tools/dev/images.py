"""The container images: every Dockerfile of the repository, built with the Docker Engine there is or a private one.

Where no registry is reachable, the base image debian:bookworm-slim is made here by debootstrap, once, from this machine's own
Debian sources. Rebuilding what has not changed takes seconds: the engine's layer cache knows it.
"""

import argparse
import concurrent.futures
import os
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Sequence

from stack import repository_root
from stack.docker_engine import DockerEngine, cache_dir, docker_program

from .say import Failure, say, table

BASE = "debian:bookworm-slim"
TAG = "dev"
BUILD_IMAGE = f"runwave/build:{TAG}"
DAEMONS = {"api": "api-server", "scheduler": "scheduler", "pod-manager": "pod-manager"}
SERVERS = {"postgres-dev": "tests/images/postgres", "rabbitmq-dev": "tests/images/rabbitmq"}
DAEMON_MB_MAX = 120
PULL_TIMEOUT_S = 300
TAIL_LINES = 40

# As in the published image: no documentation, no translations, no package lists left behind.
DPKG_CONFIG = "".join(
    f"path-{what}={path}\n"
    for what, path in (
        ("exclude", "/usr/share/doc/*"),
        ("include", "/usr/share/doc/*/copyright"),
        ("exclude", "/usr/share/man/*"),
        ("exclude", "/usr/share/info/*"),
        ("exclude", "/usr/share/lintian/*"),
        ("exclude", "/usr/share/locale/*"),
    )
)
APT_CONFIG = 'Acquire::Languages "none";\nAcquire::GzipIndexes "true";\nAPT::Sandbox::User "root";\n'
STRIP = """cd "$1"
rm -rf usr/share/man/* usr/share/info/* usr/share/lintian usr/share/locale/* var/cache/apt var/lib/apt/lists/*
rm -rf var/log/apt var/log/*.log
find usr/share/doc -mindepth 1 ! -name copyright ! -type d -delete
find usr/share/doc -mindepth 1 -type d -empty -delete
mkdir -p var/cache/apt/archives/partial var/lib/apt/lists/partial
"""


def catalogue() -> Dict[str, str]:
    """Image name (without runwave/ and tag) -> folder of its Dockerfile."""
    root = repository_root()
    languages = {
        f"runner-{path.parent.name}": str(path.parent.relative_to(root)) for path in sorted(root.glob("runner-images/*/Dockerfile"))
    }
    return {**DAEMONS, **languages, **SERVERS}


def reference(name: str) -> str:
    return f"runwave/{name}:{TAG}"


class Images:
    """Builds with one engine. log_dir: where the output of each build goes."""

    def __init__(self, engine: DockerEngine, log_dir: Path) -> None:
        self.engine = engine
        self.log_dir = log_dir

    def build(self, names: Sequence[str] = ()) -> Dict[str, str]:
        """Image reference -> id, of the given names or of all."""
        folders = catalogue()
        unknown = [name for name in names if name not in folders]
        if unknown:
            raise Failure(f"no such image: {', '.join(unknown)}; there are: {', '.join(folders)}")
        self.ensure_base()
        wanted = list(names) or list(folders)
        if any(name not in SERVERS for name in wanted):  # compiles; under a name of its own, so that pruning keeps it
            self._build_one("build", BUILD_IMAGE, DAEMONS["api"], ["--target", "build"])
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            builds = [pool.submit(self._build_one, name, reference(name), folders[name], []) for name in wanted]
            for build in concurrent.futures.as_completed(builds):
                build.result()
        if self.engine.is_private:
            self.engine.docker("image", "prune", "--force")  # what earlier builds left without a name
        return {reference(name): self._id(reference(name)) for name in wanted}

    def sizes_mb(self, names: Sequence[str]) -> Dict[str, float]:
        argv = ["image", "inspect", "--format", "{{.Size}}", *(reference(name) for name in names)]
        return {name: int(size) / 1e6 for name, size in zip(names, self.engine.docker(*argv).stdout.split())}

    def save(self, references: Sequence[str], archive: Path) -> None:
        self.engine.docker("save", "--output", str(archive), *references)

    def ensure_base(self) -> None:
        if self._has(BASE):
            return
        say(f"fetching {BASE}")
        try:
            if self.engine.docker("pull", "--quiet", BASE, check=False, timeout=PULL_TIMEOUT_S).returncode == 0:
                return
        except subprocess.TimeoutExpired:
            pass
        archive = cache_dir() / "debian-bookworm-slim.tar"
        if not archive.exists():
            say(f"no registry is reachable: making {BASE} with debootstrap")
            make_base(archive, self.log_dir / "image-base.log")
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.engine.docker("import", "--change", 'CMD ["bash"]', "--change", path, str(archive), BASE)

    # ---- inside ----

    def _id(self, image: str) -> str:
        return self.engine.docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()

    def _has(self, image: str) -> bool:
        return self.engine.docker("image", "inspect", image, check=False).returncode == 0

    def _build_one(self, name: str, image: str, folder: str, options: Sequence[str]) -> None:
        started = time.monotonic()
        argv = [docker_program(), "build", "--tag", image, "--file", f"{folder}/Dockerfile", *options]
        env = dict(self.engine.env)
        if self.engine.is_private:  # its containers have no network of their own, and Debian's client has no BuildKit
            argv += ["--network", "host"]
            env["DOCKER_BUILDKIT"] = "0"
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log = self.log_dir / f"image-{name}.log"
        with open(log, "wb") as out:
            ran = subprocess.run([*argv, "."], cwd=repository_root(), env=env, stdout=out, stderr=subprocess.STDOUT, check=False)
        if ran.returncode != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
            raise Failure("\n".join([f"building {image} failed with status {ran.returncode}", *lines, f"(all of it: {log})"]))
        seconds = time.monotonic() - started
        if seconds > 5:
            say(f"built {image} in {seconds:.0f} s")


def make_base(archive: Path, log: Path) -> None:
    """debian:bookworm-slim from this machine's Debian sources, with this machine's settings for reaching them."""
    sources = debian_sources()
    if os.geteuid() != 0:
        raise Failure(f"only root can make {BASE} with debootstrap: bring that image yourself")
    archive.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = archive.with_name(f"base.{os.getpid()}")
    mirror = sources[0].split()[1]
    steps = [
        ["debootstrap", "--variant=minbase", "bookworm", str(folder), mirror],
        ["sh", "-euc", STRIP, "strip", str(folder)],
    ]
    try:
        with open(log, "wb") as out:
            for argv in steps:
                if subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, check=False).returncode != 0:
                    raise Failure(f"{argv[0]} failed; its output: {log}")
            (folder / "etc/apt/sources.list").write_text("\n".join(sources) + "\n", encoding="ascii")
            (folder / "etc/apt/apt.conf.d/90runwave").write_text(APT_CONFIG + apt_settings(), encoding="utf-8")
            (folder / "etc/dpkg/dpkg.cfg.d/runwave").write_text(DPKG_CONFIG, encoding="ascii")
            for name in ("hostname", "resolv.conf"):
                (folder / "etc" / name).unlink(missing_ok=True)
            part = archive.with_suffix(".part")
            argv = ["tar", "-C", str(folder), "--numeric-owner", "--exclude=./dev/*", "-cf", str(part), "."]
            subprocess.run(argv, stdout=out, stderr=out, check=True)
            part.replace(archive)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False)


def debian_sources() -> List[str]:
    """This machine's own lines for Debian 12, main; the release itself first."""
    argv = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI) $(COMPONENT)", "Identifier: Packages"]
    rows = [line.split() for line in subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()]
    suites = ("bookworm", "bookworm-updates", "bookworm-security")
    ours = [(codename, uri) for codename, uri, component in rows if component == "main" and codename in suites]
    lines = [f"deb {uri} {codename} main" for codename, uri in sorted(ours, key=lambda row: suites.index(row[0]))]
    if not lines or lines[0].split()[2] != "bookworm":
        raise Failure(f"no registry is reachable, and this machine's apt knows no Debian 12 to make {BASE} from")
    return lines


def apt_settings() -> str:
    """How this machine reaches its sources: proxies, and what it does about the age of their lists."""
    kept = ("Acquire::Check-Valid-Until ", "Acquire::Check-Date ", "Acquire::http::Proxy ", "Acquire::https::Proxy ")
    config = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in config.splitlines() if line.startswith(kept))


def run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    with DockerEngine() as engine:
        images = Images(engine, options.state / "log")
        images.build(options.names)
        sizes = images.sizes_mb(options.names or list(catalogue()))
        print(table(["image", "MB"], [[reference(name), f"{size:.0f}"] for name, size in sizes.items()]))
        say(f"images built in {time.monotonic() - started:.0f} s; they are in the engine at {engine.host}")
    too_big = [name for name, size in sizes.items() if name in DAEMONS and size >= DAEMON_MB_MAX]
    if too_big:
        raise Failure(f"daemon images have to stay below {DAEMON_MB_MAX} MB: {', '.join(too_big)}")
    return 0
