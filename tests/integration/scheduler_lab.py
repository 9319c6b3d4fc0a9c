"""A scheduler between real PostgreSQL and RabbitMQ on one side and a fake pod-manager with scripted runners on the other."""

import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Dict, List, Optional

import msgpack
import pika
import psycopg2
import psycopg2.extras
from database import Database
from fake_pods import FakePodManager
from runner_speaker import make_job, make_stage
from stack import Daemon, DaemonPaths, Postgres, RabbitMQ
from stack.files import new_run_dir, private_dir, read_secret, repository_root
from stack.process import wait_until

LANGUAGES = ("python", "bash")
FINAL = ("done", "cancelled", "dead")
# Short, so that a test need not wait; long enough for builds with sanitizers after scaling.
TIMES = {
    "lease_ms": 2000,
    "renew_ms": 300,
    "sweep_ms": 50,
    "pod_wait_ms": 300,
    "hello_ms": 700,
    "attempt_max_ms": 60000,
    "attempt_grace_ms": 500,
    "drain_ms": 6000,
}
SCALED = ("lease_ms", "renew_ms", "hello_ms", "drain_ms")


class Events:
    """Collects the final events, on a thread with a connection of its own; keeps trying while the broker is away."""

    def __init__(self, rabbitmq: RabbitMQ) -> None:
        self.rabbitmq = rabbitmq
        self.seen: List[tuple] = []  # (routing key, task's id)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(20)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def of(self, task_id: str) -> List[str]:
        return [key for key, body in list(self.seen) if body == task_id]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self.rabbitmq.connect() as connection:
                    channel = connection.channel()
                    channel.exchange_declare("runwave.events", "topic", durable=True)
                    queue = channel.queue_declare("", exclusive=True).method.queue
                    channel.queue_bind(queue, "runwave.events", "final.#")
                    self._ready.set()
                    for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.1):
                        if self._stop.is_set():
                            return
                        if method is not None:
                            self.seen.append((method.routing_key, body[:36].decode("ascii")))  # behind it the row
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.2)


class Lab:
    def __init__(self, state: Path, servers: "tuple[Postgres, RabbitMQ]", program: Path, slowness: int, **config: Any) -> None:
        self.postgres, self.rabbitmq = servers
        self.state = private_dir(Path(state))
        run_dir = new_run_dir(self.state)
        token_file = self.state / "secret" / "token"
        self.manager = FakePodManager(private_dir(run_dir / "pods"), read_secret(token_file))
        for language in LANGUAGES:
            folder = private_dir(self.state / "languages" / language)
            shutil.copy(repository_root() / "runner-images" / language / "language.yaml", folder)
        times = {key: value * (slowness if key in SCALED else 1) for key, value in TIMES.items()}
        self.config = {
            "http": {"listen": f"unix:{run_dir}/sched.sock"},
            "database": self.postgres.config(),
            "broker": self.rabbitmq.config(),
            "languages_dir": str(self.state / "languages"),
            "pod_manager": {"url": "http://localhost", "unix_socket": str(self.manager.socket_path), "token_file": str(token_file)},
            "log": {"level": "debug"},
            "running_max": 16,
            "leasing_max": 16,
            **times,
            **config,
        }
        self.scheduler = Daemon("scheduler", self.state, program, self.config, self.config["http"]["listen"])
        self.events: Optional[Events] = None
        self.tasks: List[str] = []  # every one submitted
        self.database = Database(self.postgres)
        self.sql = self.database.sql

    # ---- life ----

    def start(self) -> None:
        self.manager.start()
        self.scheduler.start()
        self.events = self.events or Events(self.rabbitmq)

    def stop(self) -> Optional[int]:
        status = self.scheduler.stop()
        self.manager.stop()
        if self.events is not None:
            self.events.stop()
        self.database.close()
        return status

    def restart(self, **config: Any) -> None:
        """A fresh scheduler with keys of its configuration changed."""
        assert self.scheduler.stop() in (0, None)
        self.config.update(config)
        self.scheduler.start()

    # ---- the database ----

    def submit(self, stdin: bytes = b"hello", language: str = "python", priority: int = 1, due: bool = True) -> str:
        """A queued task, as the api-server writes it. due: the sweep publishes it at once; else its message is somebody else's business."""
        task_id = str(uuid.uuid4())
        self.tasks.append(task_id)
        job = make_job({"main.py": b"print(input())"}, make_stage(["/usr/bin/python3", "main.py"]), stdin=stdin)
        self.sql(
            "INSERT INTO tasks (id, language, version, priority, publish_due, traceparent, job)"
            " VALUES (%s, %s, '3.11', %s, now() + %s * interval '1 hour', %s, %s)",
            task_id,
            language,
            priority,
            0 if due else 1,
            f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
            psycopg2.Binary(msgpack.packb(job, use_bin_type=True)),
        )
        return task_id

    def row(self, task_id: str) -> Dict[str, Any]:
        columns = "state, attempt, fence, owner, lease_until, publish_due > now() + interval '2 s' AS is_later, publish_count"
        (values,) = self.sql(f"SELECT {columns} FROM tasks WHERE id = %s", task_id)
        return dict(zip(["state", "attempt", "fence", "owner", "lease_until", "is_later", "publish_count"], values))

    def state_of(self, task_id: str) -> str:
        return self.row(task_id)["state"]

    def result(self, task_id: str) -> Optional[Dict[str, Any]]:
        with self.postgres.connect() as connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT * FROM results WHERE task_id = %s", (task_id,))
            row = cursor.fetchone()
        return {key: bytes(value) if isinstance(value, memoryview) else value for key, value in row.items()} if row else None

    def wait_state(self, task_id: str, *states: str, timeout_s: float = 30) -> Dict[str, Any]:
        wait_until(lambda: self.state_of(task_id) in states, timeout_s, f"task {task_id} {states}, it is {self.row(task_id)}")
        return self.row(task_id)

    def finish(self, task_id: str, timeout_s: float = 30) -> Dict[str, Any]:
        """Row and result together, when the task is final."""
        wait_until(lambda: self.state_of(task_id) in FINAL, timeout_s, f"task {task_id} final")
        return {**self.row(task_id), **(self.result(task_id) or {})}

    # ---- the broker ----

    def publish(self, body: bytes, queue: str = "runwave.tasks.python", exchange: str = "runwave.tasks") -> None:
        with self.rabbitmq.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            properties = pika.BasicProperties(delivery_mode=2)
            channel.basic_publish(exchange, queue, body, properties, mandatory=True)

    def purge(self) -> None:
        """What other tests with these servers left behind."""
        for queue in self._queues():
            with self.rabbitmq.connect() as connection:
                try:
                    connection.channel().queue_purge(queue)
                except pika.exceptions.ChannelClosedByBroker:
                    pass  # there is no such queue yet

    def messages_left(self) -> int:
        """Ready and delivered but not settled, in all queues: what would come again if the scheduler went now."""
        assert not self.scheduler.process.is_alive()
        with self.rabbitmq.connect() as connection:
            channel = connection.channel()
            return sum(channel.queue_declare(queue, passive=True).method.message_count for queue in self._queues())

    @staticmethod
    def _queues() -> List[str]:
        return [f"runwave.tasks.{language}{suffix}" for language in LANGUAGES for suffix in ("", ".high", ".low")] + ["runwave.dead"]


def program_of(preset: str) -> Path:
    return DaemonPaths.of_preset(preset)["scheduler"]
