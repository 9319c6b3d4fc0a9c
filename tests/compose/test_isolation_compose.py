"""What a pod under Compose can reach, and what can be seen of it: by the code's own means, and by its container's."""

import json
from pathlib import Path

from client import wait_for

REACH = """
import json, os, socket, sys
found = {}
for place in json.load(sys.stdin):
    try:
        socket.create_connection((place, 5432), timeout=2)
        found[place] = "reached"
    except OSError as problem:
        found[place] = type(problem).__name__
def listing(path):
    try:
        return sorted(os.listdir(path))
    except OSError as problem:
        return type(problem).__name__
def writing(path):
    try:
        open(path + "/mine", "w").close()
        return "written"
    except OSError as problem:
        return type(problem).__name__
unix = socket.socket(socket.AF_UNIX)
try:
    unix.connect("/var/run/docker.sock")
    found["docker.sock"] = "reached"
except OSError as problem:
    found["docker.sock"] = type(problem).__name__
write = {at: writing(at) for at in ("/", "/run/runwave", "/usr", "/var")}
status = open("/proc/self/status").read()
pod = listing("/run/runwave")
print(json.dumps({"found": found, "pod": pod, "write": write, "environment": sorted(os.environ), "status": status}))
"""


def addresses(installation):
    return [
        network["IPAddress"] or network["Gateway"]
        for name in ("api", "scheduler", "pod-manager", "postgres", "rabbitmq")
        for network in installation.service(name)["NetworkSettings"]["Networks"].values()
    ]


def test_code_reaches_nobody(installation, api):
    places = [*addresses(installation), "127.0.0.1", "1.1.1.1", "172.17.0.1"]
    result = api.python(REACH, stdin=json.dumps(places))
    assert result["verdict"] == "ok", result
    seen = json.loads(result["stdout"])
    assert len(places) > 7 and "reached" not in seen["found"].values(), seen["found"]
    assert "secret" not in seen["pod"]
    assert "written" not in seen["write"].values(), seen["write"]
    assert "RUNWAVE_POD_SECRET" not in seen["environment"]
    assert "NoNewPrivs:\t1" in seen["status"] and "CapBnd:\t0000000000000000" in seen["status"]


def test_a_container_has_no_network_and_no_power(installation, api):
    pods = wait_for(lambda: list(installation.running_pods().values()), 30, "warm pods")
    uids = set()
    for pod in pods:
        host, process = pod["HostConfig"], Path("/proc") / str(pod["State"]["Pid"])
        assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
        assert host["Memory"] == host["MemorySwap"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0
        assert host["LogConfig"]["Type"] == "none" and not host["Privileged"] and host["RestartPolicy"]["Name"] == "no"
        assert [mount["Destination"] for mount in pod["Mounts"]] == ["/run/runwave"]
        uids.add(pod["Config"]["User"])
        lines = (process / "net" / "dev").read_text(encoding="ascii").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]  # so whatever runs there has nobody to talk to
        assert len((process / "net" / "route").read_text(encoding="ascii").splitlines()) <= 1
    assert len(uids) == len(pods) and "0:0" not in uids


def test_the_secret_is_nowhere_to_be_read(installation, api):
    pods = wait_for(installation.running_pods, 30, "warm pods")
    folder = installation.pods_folder()
    assert folder.stat().st_mode & 0o007 == 0
    for name, pod in pods.items():
        assert not any("secret" in entry.lower() for entry in pod["Config"]["Env"] or [])
        pod_folder = folder / name.removeprefix("runwave-")
        assert [entry.name for entry in pod_folder.iterdir()] == ["pod.sock"]  # the runner has taken the secret away


def test_daemons_have_what_they_need_and_no_more(installation):
    services = ("api", "scheduler", "pod-manager", "postgres")
    networks = {name: set(installation.service(name)["NetworkSettings"]["Networks"]) for name in services}
    assert not networks["pod-manager"] & networks["postgres"] and not networks["api"] & networks["pod-manager"]
    token = installation.docker("exec", installation.service("pod-manager")["Id"], "cat", "/run/secrets/pod-manager-token").strip()
    for name in ("api", "scheduler", "pod-manager", "postgres", "rabbitmq"):
        service = installation.service(name)
        host = service["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"], name
        assert "docker.sock" not in str(service["Mounts"]) or name == "pod-manager"
        assert service["Config"]["User"] != "0:0" or name == "pod-manager"
        assert len(token) > 20 and token not in json.dumps(service)
