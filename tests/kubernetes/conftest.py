"""RunWave as the cluster of `./dev cluster up` runs it, one for all tests; what a test changes in the cluster it puts back."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1] / "tools", HERE.parents[1] / "tests" / "support", HERE):
    sys.path.insert(0, str(folder))

from cluster_under_test import QUICK, ClusterUnderTest  # noqa: E402
from dev.cluster import Cluster  # noqa: E402

# What disturbs most comes last; the last one takes the deployment away.
ORDER = ("cases", "rights", "figures", "pods", "outages", "removal")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: ORDER.index(item.path.stem.split("_")[1]))  # stable: within a file as written


@pytest.fixture(scope="session")
def installed():
    cluster = Cluster()
    if not cluster.is_up():
        pytest.fail("the cluster does not run: ./dev cluster up, or ./dev test kubernetes", pytrace=False)
    found = ClusterUnderTest(cluster)
    found.configure_pods(**QUICK)
    found.wait_quiet(240)
    yield found
    cluster.apply()


@pytest.fixture
def k8s(installed):
    """With nothing under way and no pool below its size, before and after."""
    installed.wait_quiet()
    yield installed
    installed.wait_quiet()


@pytest.fixture
def api(installed):
    client = installed.api()
    yield client
    client.close()


def pytest_configure(config):
    config.figures = []


def pytest_terminal_summary(terminalreporter, config):
    if config.figures:
        terminalreporter.section("figures")
        for line in config.figures:
            terminalreporter.write_line(line)
