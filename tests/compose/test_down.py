"""What `down` leaves, and that the next `up` finds what was kept."""

import json

from client import wait_for

from installation import POOL_LABEL, PROJECT, VOLUMES


def test_down_leaves_the_named_volumes_and_nothing_else(installation, api):
    result = api.python("print('kept')")
    assert result["verdict"] == "ok"
    api.accepted(language="python", source="import time; time.sleep(60)")  # `down` comes in the middle of it
    wait_for(installation.running_pods, 30, "pods")
    installation.down()
    assert installation.containers(f"label={POOL_LABEL}") == []
    assert installation.containers(f"label=com.docker.compose.project={PROJECT}") == []
    assert installation.docker("network", "ls", "-q", f"--filter=label=com.docker.compose.project={PROJECT}").split() == []
    ours = {name for name in installation.docker("volume", "ls", "-q").split() if name.startswith((PROJECT, "runwave"))}
    assert ours == VOLUMES
    installation.up()
    again = api.result(result["task_id"])
    assert (again["stdout"], again["verdict"]) == ("kept\n", "ok"), json.dumps(again)
