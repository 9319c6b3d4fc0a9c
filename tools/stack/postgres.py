"""A private PostgreSQL: one database with one ordinary role, on loopback and on a unix socket, in the state folder."""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Optional

import psycopg2

from .files import private_dir, read_secret, write_private
from .process import Process, StartError, keep_port

BIN = Path("/usr/lib/postgresql/15/bin")
ADMIN = "runwave_admin"
SOCKET_FOLDER_BYTES_MAX = 80  # a socket's path has 107, its name some 20

CONFIG = """\
# Written at every start by tools/stack.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 100
password_encryption = 'scram-sha-256'
shared_buffers = '64MB'
dynamic_shared_memory_type = 'mmap'
max_parallel_workers_per_gather = 0
wal_level = 'minimal'
max_wal_senders = 0
max_wal_size = '512MB'
checkpoint_completion_target = 0.9
fsync = on
synchronous_commit = on
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] %a '
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""

ACCESS = """\
# Written at every start by tools/stack.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""


def as_ordinary_user(argv: List[str]) -> List[str]:
    """PostgreSQL refuses user id 0. Root runs it in a user namespace in which root's id reads as that of the account the package made
    (it must have a name): it stays root's own process and reaches root's folders."""
    if os.geteuid() != 0:
        return argv
    account = pwd.getpwnam("postgres")
    return ["/usr/bin/unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}", "--"] + argv


class Postgres:
    database = "runwave"
    user = "runwave"
    host = "127.0.0.1"

    def __init__(self, state: Path) -> None:
        self.state = Path(state).absolute()
        self.data = self.state / "postgres"
        self.password_file = self.state / "secret" / "postgres"
        self.admin_password_file = self.state / "secret" / "postgres-admin"
        self.port = 0
        self.process: Optional[Process] = None

    @property
    def password(self) -> str:
        return read_secret(self.password_file)

    def start(self, wait: bool = True) -> None:
        private_dir(self.state)
        self.launch()
        if wait:
            self.wait_ready()

    def launch(self) -> None:
        """Make the cluster if there is none and start the server, on the port it had before where that is still free."""
        if self.process is None:
            self.process = Process(
                "postgres",
                self.state,
                as_ordinary_user([str(BIN / "postgres"), "-D", str(self.data)]),
                {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                ready=self._is_ready,
                stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
            )
        if self.process.is_alive():
            return
        self.process.stop_leftover()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._clear_stale_locks()
        self.port = keep_port(self.state / "postgres.port") if not self.port else self.port
        write_private(self.data / "postgresql.conf", CONFIG.format(port=self.port, sockets=self._sockets() or ""))
        write_private(self.data / "pg_hba.conf", ACCESS)
        self.process.start()

    def wait_ready(self, timeout_s: float = 60) -> None:
        assert self.process is not None
        self.process.wait_ready(timeout_s)
        self._ensure_database()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """As a crash: the postmaster and every backend die at once."""
        assert self.process is not None
        self.process.kill()
        self._wait_for_backends()

    def restart(self) -> None:
        """A clean restart on the same port."""
        self.stop()
        self.start()

    def connect(self, admin: bool = False, autocommit: bool = True) -> "psycopg2.extensions.connection":
        """A psycopg2 connection as the daemons' role, or as the superuser."""
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=ADMIN if admin else self.user,
            password=read_secret(self.admin_password_file) if admin else self.password,
            connect_timeout=5,
            application_name="stack",
        )
        connection.autocommit = autocommit
        return connection

    def config(self) -> dict:
        """The `database` section of a daemon's configuration."""
        return {
            "host": str(self._sockets() or self.host),
            "port": self.port,
            "name": self.database,
            "user": self.user,
            "password_file": str(self.password_file),
        }

    # ---- inside ----

    def _initdb(self) -> None:
        if self.data.exists():  # an initdb that was interrupted leaves a folder that neither it nor the server accepts
            self.data.rename(self.data.with_name(f"postgres.broken.{int(time.time())}"))
        read_secret(self.admin_password_file)
        argv = [str(BIN / "initdb"), "-D", str(self.data), "-U", ADMIN, f"--pwfile={self.admin_password_file}"]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(as_ordinary_user(argv), env=env, text=True, check=False, **pipes)
        if done.returncode != 0:
            raise StartError(f"initdb failed with status {done.returncode}\n{done.stdout}")

    def _backends(self) -> List[int]:
        """Every process of a server in this data folder; they all have it as their working folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "cwd") == str(self.data):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def _wait_for_backends(self, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while self._backends() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _sockets(self) -> Optional[Path]:
        """The unix socket's folder; None where its path would be too long. A statement is cheaper on it than on loopback."""
        folder = self.state / "pgsock"
        return private_dir(folder) if len(os.fsencode(folder)) < SOCKET_FOLDER_BYTES_MAX else None

    def _clear_stale_locks(self) -> None:
        """After a crash postmaster.pid stays, and its pid may be somebody else's by now: the server would refuse to start."""
        lock = self.data / "postmaster.pid"
        if lock.exists():
            self._wait_for_backends()
            if self._backends():
                raise StartError(f"another PostgreSQL runs in {self.data} (processes {self._backends()})")
            lock.unlink(missing_ok=True)
        for left in (self.state / "pgsock").glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        self._connect_admin().close()
        return True

    def _connect_admin(self) -> "psycopg2.extensions.connection":
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname="postgres",
            user=ADMIN,
            password=read_secret(self.admin_password_file),
            connect_timeout=5,
        )
        connection.autocommit = True
        return connection

    def _ensure_database(self) -> None:
        connection = self._connect_admin()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (self.user,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {self.user} LOGIN PASSWORD %s", (self.password,))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self.database,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {self.database} OWNER {self.user}")
                cursor.execute(f"REVOKE ALL ON DATABASE {self.database} FROM PUBLIC")
        connection.close()
