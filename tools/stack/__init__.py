"""Private servers for developers and tests: PostgreSQL, RabbitMQ and RunWave's daemons in one state folder.

Nothing of the system's is touched: everything listens on loopback with random ports and passwords, keeps its data, logs and secrets
under the state folder, and is stopped by process id. Only Debian's Python packages are used.
"""

from .catalogue import languages_on_machine, render_catalogue
from .daemon import Daemon, DaemonPaths
from .files import new_run_dir, read_secret, repository_root
from .postgres import Postgres
from .process import Process, StartError, free_port
from .rabbitmq import RabbitMQ
from .stack import Stack

__all__ = [
    "Daemon",
    "DaemonPaths",
    "Postgres",
    "Process",
    "RabbitMQ",
    "Stack",
    "StartError",
    "free_port",
    "languages_on_machine",
    "new_run_dir",
    "read_secret",
    "render_catalogue",
    "repository_root",
]
