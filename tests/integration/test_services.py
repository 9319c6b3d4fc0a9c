"""The database pool and the broker connections of common/ against real servers: the programs of tests/services, alone and while the servers
are killed, stopped and cut off under load."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
PROGRAMS = ROOT / "build" / PRESET / "tests" / "services"
MIGRATE_DATABASE = "services_migrate"


@pytest.fixture(scope="module")
def environment(servers, slowness):
    postgres, rabbitmq = servers
    admin = postgres.connect(admin=True)
    with admin.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (MIGRATE_DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {MIGRATE_DATABASE} OWNER {postgres.user}")
    admin.close()
    return {
        **os.environ,
        "RUNWAVE_TEST_PG_HOST": postgres.host,
        "RUNWAVE_TEST_PG_PORT": str(postgres.port),
        "RUNWAVE_TEST_PG_NAME": postgres.database,
        "RUNWAVE_TEST_PG_USER": postgres.user,
        "RUNWAVE_TEST_PG_PASSWORD": postgres.password,
        "RUNWAVE_TEST_PG_MIGRATE_NAME": MIGRATE_DATABASE,
        "RUNWAVE_TEST_AMQP_HOST": rabbitmq.host,
        "RUNWAVE_TEST_AMQP_PORT": str(rabbitmq.port),
        "RUNWAVE_TEST_AMQP_VHOST": rabbitmq.vhost,
        "RUNWAVE_TEST_AMQP_USER": rabbitmq.user,
        "RUNWAVE_TEST_AMQP_PASSWORD": rabbitmq.password,
        "RUNWAVE_TEST_SLOWNESS": str(slowness),
    }


@pytest.mark.parametrize("program", ["test_pg", "test_migrate", "test_amqp"])
def test_program(environment, program):
    done = subprocess.run(
        [PROGRAMS / f"services_{program}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=550, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]


class Load:
    """A load program under way; its last line is its report."""

    def __init__(self, name, environment):
        self.process = subprocess.Popen(
            [PROGRAMS / f"services_{name}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self):
        """It ends what it has begun, and well."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, f"{out}\n{err[-4000:]}"
        return json.loads(out)

    def kill(self):
        self.process.kill()
        self.process.communicate()


def interrupt(trouble, times):
    """Makes trouble, with time to work before, between and behind."""
    for _ in range(times):
        time.sleep(random.uniform(0.5, 1.5))
        trouble()
    time.sleep(1)


def prepare_rows(postgres):
    connection = postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS services_load")
        cursor.execute("CREATE TABLE services_load (n bigint PRIMARY KEY)")
    connection.close()


def count_rows(postgres):
    connection = postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM services_load")
        (count,) = cursor.fetchone()
    connection.close()
    return count


def kill_and_start(server):
    server.kill()
    time.sleep(random.uniform(0, 0.5))
    server.start()


def stand_still(server, seconds):
    """A server that neither answers nor closes, as behind a cut cable."""
    pids = server._backends() if hasattr(server, "_backends") else [server.process.pid]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def terminate_backends(postgres):
    connection = postgres.connect(admin=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'load_pg'")
    connection.close()


@pytest.mark.parametrize("trouble", ["kill", "restart", "terminate", "stand still"])
def test_database_trouble_under_load(servers, environment, trouble):
    """Every statement is answered once, and every row that was answered for is there."""
    postgres, _ = servers
    prepare_rows(postgres)
    load = Load("load_pg", environment)
    interrupt(
        {
            "kill": lambda: kill_and_start(postgres),
            "restart": postgres.restart,
            "terminate": lambda: terminate_backends(postgres),
            "stand still": lambda: stand_still(postgres, 4),
        }[trouble],
        times=3,
    )
    report = load.finish()
    assert count_rows(postgres) == report["done"] > 1000
    assert report["downs"] >= 1, report
    assert report["unavailable"] >= 1, report
    assert report["other"] == 0 and report["cancelled"] == 0, report


@pytest.mark.parametrize("trouble", ["kill", "restart", "stand still"])
def test_broker_trouble_under_load(servers, environment, trouble):
    """Every publish has one outcome, and everything confirmed arrives."""
    _, rabbitmq = servers
    load = Load("load_amqp", environment)
    interrupt(
        {
            "kill": lambda: kill_and_start(rabbitmq),
            "restart": rabbitmq.restart,
            "stand still": lambda: stand_still(rabbitmq, 7),  # the load's heartbeat is 2 s
        }[trouble],
        times=2,
    )
    report = load.finish()
    assert report["missing"] == 0 and report["open"] == 0 and report["wrong"] == 0, report
    assert report["connects"] >= 2, report
    assert report["unavailable"] >= 1, report


def rabbitmqctl(rabbitmq, *args):
    argv = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", "-n", rabbitmq.node_name, *args]
    done = subprocess.run(argv, env=rabbitmq.process.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_broker_alarm_under_load(servers, environment):
    """A broker out of memory stops reading: nobody hangs, and all goes on when the alarm is over."""
    _, rabbitmq = servers
    load = Load("load_amqp", environment)
    time.sleep(0.5)
    rabbitmqctl(rabbitmq, "set_vm_memory_high_watermark", "absolute", "1000")
    try:
        time.sleep(3)
    finally:
        rabbitmqctl(rabbitmq, "set_vm_memory_high_watermark", "absolute", "1GB")
    report = load.finish()
    assert report["missing"] == 0 and report["open"] == 0 and report["wrong"] == 0, report
    assert report["unavailable"] >= 1, report  # told at once, while it lasted
    assert report["disconnects"] == 0, report


def test_what_a_database_connection_shows(servers, environment):
    """The program's name to the server; the password to nobody."""
    postgres, _ = servers
    prepare_rows(postgres)
    load = Load("load_pg", environment)
    time.sleep(1)
    connection = postgres.connect(admin=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load_pg'")
        (count,) = cursor.fetchone()
    connection.close()
    arguments = Path(f"/proc/{load.process.pid}/cmdline").read_bytes().decode()
    load.finish()
    assert count == 3
    assert postgres.password not in arguments
    assert postgres.password not in postgres.process.log_path.read_text(encoding="utf-8", errors="replace")


def test_programs_refuse_to_pass_without_servers():
    for program in ("test_pg", "test_amqp", "test_migrate"):
        done = subprocess.run([PROGRAMS / f"services_{program}"], env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 2


def test_the_load_notices_what_is_missing(servers, environment):
    """Without its table no row is ever there: the load must not end well."""
    postgres, _ = servers
    connection = postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS services_load")
    connection.close()
    load = Load("load_pg", environment)
    time.sleep(1)
    load.process.terminate()
    time.sleep(1)
    try:
        assert load.process.poll() is None
    finally:
        load.kill()
