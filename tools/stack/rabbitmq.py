"""A private RabbitMQ of one node: own node name, cookie, epmd and ports, all on loopback, in the state folder."""

import os
import secrets
import signal
import socket
from pathlib import Path
from typing import Optional

import pika

from .files import private_dir, read_secret, write_private
from .process import Process, keep_port

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the wrapper in /usr/sbin insists on the account the package made
EPMD = "/usr/bin/epmd"

CONFIG = """\
# Written at every start by tools/stack.
listeners.tcp.1 = 127.0.0.1:{port}
num_acceptors.tcp = 4
loopback_users = none
default_user = {user}
default_pass = {password}
default_vhost = {vhost}
default_permissions.configure = .*
default_permissions.write = .*
default_permissions.read = .*
heartbeat = 30
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 256MB
raft.wal_max_size_bytes = 67108864
log.console = true
log.console.level = info
log.file = false
"""

# Schedulers that spin while they wait would take the processors from the code we run, and one is enough for thousands of messages a
# second: with more, a message is handed from processor to processor on its way.
ERL_ARGS = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +SDio 1 +A 1 +sbwt none +sbwtdcpu none +sbwtdio none"

# Host names without DNS: the node's name is all that Erlang ever has to look up.
INETRC = '{hosts_file, ""}.\n{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file]}.\n'


class RabbitMQ:
    user = "runwave"
    vhost = "runwave"
    host = "127.0.0.1"

    def __init__(self, state: Path) -> None:
        self.state = Path(state).absolute()
        self.home = self.state / "rabbitmq"
        self.password_file = self.state / "secret" / "rabbitmq"
        self.port = 0
        self.process: Optional[Process] = None
        self.epmd: Optional[Process] = None

    @property
    def password(self) -> str:
        return read_secret(self.password_file)

    @property
    def node_name(self) -> str:
        """Kept with the data: a node does not find its own tables under another name."""
        path = self.home / "node-name"
        if not path.exists():
            write_private(path, f"runwave-{secrets.token_hex(4)}@localhost\n")
        return path.read_text(encoding="ascii").strip()

    def start(self, wait: bool = True) -> None:
        self.launch()
        if wait:
            self.wait_ready()

    def launch(self) -> None:
        private_dir(self.state)
        private_dir(self.home)
        if self.process is None:
            self._prepare()
        assert self.process is not None and self.epmd is not None
        if self.process.is_alive():
            return
        self.epmd.start()
        self.epmd.wait_ready(20)
        self.process.start()

    def wait_ready(self, timeout_s: float = 120) -> None:
        assert self.process is not None
        self.process.wait_ready(timeout_s)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop(timeout_s=40)
        if self.epmd is not None:
            self.epmd.stop(timeout_s=5)

    def kill(self) -> None:
        """As a crash."""
        assert self.process is not None
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(
            pika.ConnectionParameters(
                host=self.host,
                port=self.port,
                virtual_host=self.vhost,
                credentials=pika.PlainCredentials(self.user, self.password),
                socket_timeout=5,
                stack_timeout=10,
                blocked_connection_timeout=10,
            )
        )

    def config(self) -> dict:
        """The `broker` section of a daemon's configuration."""
        return {
            "host": self.host,
            "port": self.port,
            "vhost": self.vhost,
            "user": self.user,
            "password_file": str(self.password_file),
        }

    # ---- inside ----

    def _prepare(self) -> None:
        self.port = keep_port(self.state / "rabbitmq.port")
        dist_port = keep_port(self.home / "dist.port")
        epmd_port = keep_port(self.home / "epmd.port")
        config = write_private(
            self.home / "rabbitmq.conf",
            CONFIG.format(port=self.port, user=self.user, vhost=self.vhost, password=self.password),
        )
        plugins = write_private(self.home / "enabled_plugins", "[].\n")
        inetrc = write_private(self.home / "inetrc", INETRC)
        env = {
            "PATH": "/usr/lib/erlang/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.home),
            "detached": "1",  # the start script then becomes the server, so that its process id is the server's
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_INETRC": str(inetrc),
            "ERL_CRASH_DUMP_BYTES": "0",
            "RABBITMQ_NODENAME": self.node_name,
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "no-such-file"),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "no-such.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.home / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(self.home / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home),
            "RABBITMQ_PID_FILE": str(self.home / "server.pid"),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERL_ARGS,
        }
        self.epmd = Process(
            "epmd",
            self.state,
            [EPMD, "-port", str(epmd_port), "-address", "127.0.0.1"],
            {"PATH": "/usr/bin:/bin"},
            ready=lambda: _answers(epmd_port),
        )
        self.process = Process("rabbitmq", self.state, [SERVER], env, ready=self._is_ready, stop_signal=signal.SIGTERM)

    def _is_ready(self) -> bool:
        if not _answers(self.port):  # pika logs at length about a refused connection
            return False
        self.connect().close()
        return True


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def installed() -> bool:
    return os.path.exists(SERVER) and os.path.exists(EPMD)
