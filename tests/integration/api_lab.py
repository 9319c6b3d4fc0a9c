"""An api-server between real PostgreSQL and RabbitMQ, with the test in the scheduler's place."""

import shutil
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, List, Optional

import psycopg2
import requests
from stack import Daemon, Postgres, RabbitMQ
from stack.files import private_dir, repository_root
from stack.process import free_port, wait_until

LANGUAGES = ("python", "c")
RESULT = {
    "verdict": "ok",
    "exit_code": 0,
    "stdout": b"42\n",
    "wall_us": 12345,
    "cpu_us": 10000,
    "memory_bytes": 9000000,
}


class ApiLab:
    def __init__(self, state: Path, servers: "tuple[Postgres, RabbitMQ]", program: Path, **config: Any) -> None:
        self.postgres, self.rabbitmq = servers
        self.state = private_dir(Path(state))
        for language in LANGUAGES:
            folder = private_dir(self.state / "languages" / language)
            shutil.copy(repository_root() / "runner-images" / language / "language.yaml", folder)
        self.config = {
            "http": {"listen": f"127.0.0.1:{free_port()}"},
            "database": self.postgres.config(),
            "broker": self.rabbitmq.config(),
            "languages_dir": str(self.state / "languages"),
            "log": {"level": "debug"},
            "drain_ms": 3000,
            **config,
        }
        self.api = Daemon("api", self.state, program, self.config, self.config["http"]["listen"])
        self.url = f"http://{self.config['http']['listen']}"
        self.pool = ThreadPoolExecutor(max_workers=128)
        self._database: Any = None

    # ---- life ----

    def restart(self, **config: Any) -> None:
        assert self.api.stop() in (0, None)
        self.config.update(config)
        self.api.start()

    def stop(self) -> Optional[int]:
        status = self.api.stop()
        self.pool.shutdown()
        self.clear()
        if self._database is not None:
            self._database.close()
        return status

    def clear(self) -> None:
        """Leaves no task that somebody else's scheduler would take for work."""
        self.sql("UPDATE tasks SET state = 'cancelled', ended_at = now() WHERE state IN ('queued', 'running')")
        with self.rabbitmq.connect() as connection:
            for language in LANGUAGES:
                connection.channel().queue_purge(f"runwave.tasks.{language}")

    # ---- requests ----

    def submit(self, query: str = "", **changes: Any) -> requests.Response:
        body = {"language": "python", "source": "print(6*7)", **changes}
        return requests.post(f"{self.url}/submit{query}", json=body, timeout=90)

    def accepted(self, **changes: Any) -> str:
        answer = self.submit(**changes)
        assert answer.status_code == 202, answer.text
        return answer.json()["task_id"]

    def get(self, task_id: str, query: str = "") -> requests.Response:
        return requests.get(f"{self.url}/result/{task_id}{query}", timeout=90)

    def start_waiting(self, task_id: str, wait_s: float) -> "Future[requests.Response]":
        """Returns when the api-server counts the client among those it waits with."""
        before = self.api.metric("runwave_api_waiting")
        waiting = self.pool.submit(self.get, task_id, f"?wait={wait_s}")
        wait_until(lambda: self.api.metric("runwave_api_waiting") > before, 20, "the client waits")
        return waiting

    # ---- the scheduler's place ----

    def sql(self, statement: str, *parameters: Any) -> List[tuple]:
        for is_last in (False, True):
            try:
                if self._database is None or self._database.closed:
                    self._database = self.postgres.connect()
                with self._database.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    return cursor.fetchall() if cursor.description else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._database = None
                if is_last:
                    raise
        raise AssertionError("not reached")

    def finish(self, task_id: str, state: str = "done", tells: bool = True, **columns: Any) -> None:
        """Make it final, as a scheduler does; tells: with the event."""
        values = {**RESULT, **columns}
        values = {key: psycopg2.Binary(value) if isinstance(value, bytes) else value for key, value in values.items()}
        names = "".join(f", {name}" for name in values)
        marks = ", %s" * len(values)
        self.sql(
            "WITH ended AS (UPDATE tasks SET state = %s, attempt = 1, claimed_at = now(), ended_at = now() WHERE id = %s RETURNING id)"
            f" INSERT INTO results (task_id, attempt, leased_at, started_at, finished_at{names})"
            f" SELECT id, 1, now(), now(), now(){marks} FROM ended",
            state,
            task_id,
            *values.values(),
        )
        if tells:
            self.tell(f"final.{state}.{task_id}", task_id.encode())

    def tell(self, routing_key: str, body: bytes) -> None:
        with self.rabbitmq.connect() as connection:
            connection.channel().basic_publish("runwave.events", routing_key, body)

    def take_messages(self, n: int, language: str = "python", timeout_s: float = 20) -> List[tuple]:
        """n messages of a language's queue: (properties, body)."""
        taken = []
        with self.rabbitmq.connect() as connection:
            channel = connection.channel()
            consumer = channel.consume(f"runwave.tasks.{language}", auto_ack=True, inactivity_timeout=timeout_s)
            for method, properties, body in consumer:
                if method is None:
                    break
                taken.append((properties, body))
                if len(taken) == n:
                    break
            channel.cancel()
        return taken


def is_uuid7(text: str) -> bool:
    return uuid.UUID(text).version == 7

