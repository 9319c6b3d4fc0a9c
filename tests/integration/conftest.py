"""The real stack for the integration tests: private PostgreSQL and RabbitMQ, the daemons of RUNWAVE_PRESET, the local backend.

`stack` is one for the whole run; tests that stop or kill something of it start it again before they end. `servers` gives PostgreSQL
and RabbitMQ without daemons. When a test failed the state folders are kept and named.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tools", ROOT / "tests" / "support"):
    sys.path.insert(0, str(folder))

from client import Api  # noqa: E402
from stack import DaemonPaths, Postgres, RabbitMQ, Stack  # noqa: E402

PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
# How much longer things may take in builds with sanitizers.
SLOWNESS_OF = {"asan": 3, "tsan": 5}
SLOWNESS = SLOWNESS_OF.get(PRESET, 1)

# Shorter than in production, so that a lost attempt is noticed within a test.
OVERRIDES = {
    "scheduler": {"lease_ms": 4000 * SLOWNESS, "renew_ms": 1000, "log": {"level": "debug"}},
    "api": {"log": {"level": "debug"}},
    "pod-manager": {"log": {"level": "debug"}},
}

_kept_states = []


def programs():
    paths = DaemonPaths.of_preset(PRESET)
    if missing := paths.missing():
        pytest.fail(f"not built in build/{PRESET}: {', '.join(missing)}; run ./dev build {PRESET}", pytrace=False)
    return paths


def is_worth_sanitizing(name):
    """Sanitizers look at our programs: one interpreted and one compiled language show all that. In the thread sanitizer's build the
    runner, which has one thread, is built without: what is about the runner alone shows nothing new."""
    file, _, test = name.rpartition("/")[2].partition("::")
    if file == "test_languages.py":
        return not test.startswith("test_case[") or test.startswith(("test_case[python-", "test_case[c-"))
    if file == "test_warm.py":
        return PRESET != "tsan" and "[java" not in test
    if file.startswith(("test_runner", "test_slots", "test_isolation.")):
        return PRESET != "tsan" and not test.endswith(("root-watch]", "container]"))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """A file's tests stay on one worker, with the servers they share; those of the runner, too: bombs of one user id feel each other."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("runner" if item.path.name.startswith("test_runner") else item.path.name))
    items.sort(key=lambda item: not item.path.name.startswith("test_runner"))  # the longest group first
    if PRESET in SLOWNESS_OF:
        left_out = [item for item in items if not is_worth_sanitizing(item.nodeid)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_worth_sanitizing(item.nodeid)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and _kept_states:
        report.sections.append(("state and logs are kept in", "\n".join(str(state) for state in _kept_states if state.exists())))


@pytest.fixture(scope="session")
def slowness():
    return SLOWNESS


@pytest.fixture(scope="session")
def state_folder(request):
    """Makes state folders that are removed at the end of a run in which nothing failed."""

    def make(name):
        state = Path(tempfile.mkdtemp(prefix=f"runwave-{name}-", dir="/tmp"))
        _kept_states.append(state)
        return state

    yield make
    if request.session.testsfailed == 0:
        for state in _kept_states:
            shutil.rmtree(state, ignore_errors=True)


def assert_no_reports(stack):
    reports = stack.sanitizer_reports()
    assert not reports, "\n".join(f"{path}:\n{path.read_text(errors='replace')[:8000]}" for path in reports)


@pytest.fixture(scope="session")
def stack(state_folder):
    running = Stack(state_folder("stack"), programs(), overrides=OVERRIDES)
    try:
        running.start()
        yield running
    finally:
        statuses = running.stop()
    assert_no_reports(running)
    assert all(status in (0, None) for status in statuses.values()), f"exit statuses at the end: {statuses}"


@pytest.fixture
def new_stack(state_folder):
    """Makes stacks of a test's own: new_stack(overrides={...}, languages={...}) starts one."""
    made = []

    def make(**options):
        one = Stack(state_folder("own"), programs(), **{"overrides": OVERRIDES, **options})
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.stop()
        assert_no_reports(one)


@pytest.fixture(scope="session")
def servers(state_folder):
    """(Postgres, RabbitMQ) without daemons."""
    state = state_folder("servers")
    postgres, rabbitmq = Postgres(state), RabbitMQ(state)
    try:
        postgres.launch()
        rabbitmq.launch()
        postgres.wait_ready()
        rabbitmq.wait_ready()
        yield postgres, rabbitmq
    finally:
        rabbitmq.stop()
        postgres.stop()


@pytest.fixture
def api(stack):
    """A client of the session's stack; fails the test that leaves a daemon dead."""
    client = Api(stack.url)
    yield client
    client.close()
    dead = {name: daemon.process.exit_status for name, daemon in stack.daemons.items() if not daemon.process.is_alive()}
    for name in dead:
        stack.daemons[name].start()
    assert not dead, f"daemons that ended during the test, with their exit statuses: {dead}"


@pytest.fixture
def database(stack):
    """A connection as the daemons' role, each statement a transaction of its own."""
    connection = stack.postgres.connect()
    yield connection
    connection.close()


@pytest.fixture
def query(database):
    """query(sql, *parameters) -> list of rows."""

    def run(sql, *parameters):
        with database.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    return run
