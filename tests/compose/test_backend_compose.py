"""The docker backend alone, on the private engine: its contract, and what it says when pods cannot be made."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile

import pytest
from client import wait_for
from stack import Daemon, DaemonPaths, read_secret, render_catalogue, repository_root
from stack.daemon import http_get

PRESET = os.environ.get("RUNWAVE_PRESET") or "debug"
PATHS = DaemonPaths.of_preset(PRESET)
SMALL = {"cpu_ms": 1000, "wall_ms": 1000, "memory_bytes": 33554432, "processes": 8, "output_bytes": 1024, "file_bytes": 1024,
         "disk_bytes": 1048576, "open_files": 64}


@pytest.fixture(scope="module", name="images")
def made_images(engine):
    if not PATHS["runner"].exists():
        pytest.skip(f"not built in build/{PRESET}")
    subprocess.run([repository_root() / "tests" / "compose" / "runner_image", PATHS["runner"]], env=engine.env, check=True)


@pytest.fixture
def manager(engine, tmp_path):
    """Starts a pod-manager with one pod of Python to be kept warm."""
    started = []

    def start(**docker):
        pods_dir = tempfile.mkdtemp(prefix="rwc-", dir="/tmp")  # short, for the sockets in it
        limits = {"default": SMALL, "maximum": dict(SMALL)}  # two: YAML would make one of them an alias
        python = {"pool": {"warm": 1, "max": 1}, "limits": limits}
        for name in render_catalogue(tmp_path / "languages", {"python": python}):
            if name != "python":
                shutil.rmtree(tmp_path / "languages" / name)
        read_secret(tmp_path / "secret" / "token")
        listen = f"unix:{pods_dir}/pm.sock"
        config = {
            "http": {"listen": listen},
            "languages_dir": str(tmp_path / "languages"),
            "token_file": str(tmp_path / "secret" / "token"),
            "backend": "docker",
            "docker": {
                "socket": engine.host[len("unix://"):],
                "run_dir": f"{pods_dir}/pods",
                "instance": f"test-{secrets.token_hex(4)}",
                "image": "runwave-test/runner-{language}:conformance",
                **docker,
            },
        }
        made = Daemon("pod-manager", tmp_path, PATHS["pod-manager"], config, listen)
        started.append(made)
        made.start(wait=False)
        wait_for(lambda: os.path.exists(listen[len("unix:"):]), 20, "the pod-manager listens")
        return made

    yield start
    for made in started:
        made.stop()
        pool = made.config["docker"]["instance"]
        assert engine.docker("ps", "-aq", f"--filter=label=dev.runwave.pool={pool}").stdout.split() == []
        assert os.listdir(made.config["docker"]["run_dir"]) == ["lock"]
        assert made.sanitizer_reports() == []
        shutil.rmtree(os.path.dirname(made.config["docker"]["run_dir"]))


def failures(manager, reason):
    return manager.metric("runwave_pod_failures_total", f'reason="{reason}"')


def test_the_contract(engine, images):
    suite = PATHS.build / "tests" / "conformance" / "backend_conformance"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([suite, "docker"], env=engine.env, text=True, timeout=280, check=False, **pipes)
    assert done.returncode == 0, done.stdout[-6000:]


def test_pods_are_made(manager, images):
    made = manager()
    wait_for(lambda: made.metric("runwave_pods", 'phase="warm"') == 1, 30, "a warm pod")


def test_sandboxes_of_namespaces_inside(manager, images):
    made = manager(sandbox="namespaces")
    wait_for(lambda: made.metric("runwave_pods", 'phase="warm"') == 1 or failures(made, "exited"), 30, "a warm pod")
    assert failures(made, "exited") == 0


def test_an_image_that_is_missing(manager):
    made = manager(image="runwave-test/none:{language}")
    wait_for(lambda: failures(made, "image") >= 2, 30, "failures that say image, one after the other")
    assert failures(made, "image") < 20  # backed off


def test_a_pod_that_runs_out_of_memory(manager, images):
    made = manager(image="runwave-test/runner-{language}:glutton")
    wait_for(lambda: failures(made, "oom_killed") >= 1, 60, "a failure that says oom_killed")


def test_a_runtime_that_is_not_there(manager, images):
    made = manager(runtime="runwave-no-such-runtime")
    wait_for(lambda: sum(failures(made, reason) for reason in ("misconfigured", "container")) >= 1, 30, "a failure that says so")


def test_an_engine_that_is_not_there(manager, tmp_path):
    made = manager(socket=str(tmp_path / "none.sock"))

    def told():
        status, body = http_get(made.listen, "/readyz")
        return status == 503 and "no Docker Engine answers at" in json.dumps(json.loads(body))

    wait_for(told, 20, "readiness says what is wrong")
