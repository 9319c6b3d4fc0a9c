"""One installation for all tests of this folder, on the private Docker Engine, with stand-ins for the servers' official images."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tools", ROOT / "tests" / "support"):
    sys.path.insert(0, str(folder))

from stack.docker_engine import DockerEngine  # noqa: E402

from installation import Installation  # noqa: E402

STAND_INS = {"runwave/postgres-dev:dev": "postgres:15-bookworm", "runwave/rabbitmq-dev:dev": "rabbitmq:3.13"}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_down.py")  # last: it takes the installation down


@pytest.fixture(scope="session")
def engine():
    with DockerEngine(private=True) as running:
        for ours, official in STAND_INS.items():
            running.docker("tag", ours, official)
        yield running


@pytest.fixture(scope="session")
def installation(engine):
    made = Installation(engine, os.environ.get("RUNWAVE_COMPOSE") or "docker-compose")
    made.down("-v")  # what a killed run left
    try:
        made.up()
        yield made
    except BaseException:
        print(made.compose("logs", "--no-color", "--tail", "50", check=False))
        raise
    finally:
        made.down("-v")


@pytest.fixture
def api(installation):
    client = installation.api()
    yield client
    client.close()
