"""What may be a pod in runwave-runners, asked of a real API server with the dev overlay (`./dev cluster up`). No pod is made."""

import copy
import json
import subprocess

import pytest

from kube import KUBECONFIG

POD_MANAGER = "system:serviceaccount:runwave:runwave-pod-manager"
NAMESPACE = "runwave-runners"


def kubectl(*args, text=None):
    argv = ["kubectl", "--kubeconfig", KUBECONFIG, *args]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=60)


def is_installed():
    return bool(KUBECONFIG) and kubectl("get", "validatingadmissionpolicybinding", NAMESPACE).returncode == 0


pytestmark = pytest.mark.skipif(not is_installed(), reason="RUNWAVE_TEST_KUBECONFIG names no cluster with the dev overlay")


@pytest.fixture(scope="module", name="specs")
def specs_():
    """The specs of pods by the PodTemplates' names."""
    found = json.loads(kubectl("-n", NAMESPACE, "get", "podtemplates", "-o", "json").stdout)["items"]
    return {each["metadata"]["name"]: {**each["template"]["spec"], "restartPolicy": "Never"} for each in found}


def refusal(spec, user=POD_MANAGER):
    """None: it would be admitted."""
    spec = copy.deepcopy(spec)
    for container in spec["containers"]:
        container["image"] = "runwave/none"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "asked-", "namespace": NAMESPACE}, "spec": spec}
    ran = kubectl("create", "--dry-run=server", "--as", user, "-f", "-", text=json.dumps(pod))
    return ran.stderr if ran.returncode else None


def with_container(**changes):
    def change(spec):
        spec["containers"][0].update(changes)

    return change


def with_security(**changes):
    def change(spec):
        spec["containers"][0]["securityContext"].update(changes)

    return change


def with_spec(**changes):
    return lambda spec: spec.update(changes)


def with_capability(name):
    return with_security(capabilities={"drop": ["ALL"], "add": [name]}, allowPrivilegeEscalation=True)


LOOSER = {
    "the host's users": with_spec(hostUsers=True),
    "users left open": lambda spec: spec.pop("hostUsers"),
    "the host's network": with_spec(hostNetwork=True),
    "the host's processes": with_spec(hostPID=True),
    "the host's IPC": with_spec(hostIPC=True),
    "shared processes": with_spec(shareProcessNamespace=True),
    "a folder of the host": lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "a secret": lambda spec: spec["volumes"].append({"name": "secret", "secret": {"secretName": "x"}}),
    "a token": with_spec(automountServiceAccountToken=True),
    "another account": with_spec(serviceAccountName="default"),
    "an init container": lambda spec: spec.update(initContainers=[{"name": "first", "image": "runwave/none"}]),
    "a bare second container": lambda spec: spec["containers"].append({"name": "second", "image": "runwave/none"}),
    "a port of the node": with_container(ports=[{"containerPort": 7000, "hostPort": 7000}]),
    "privileged": with_security(privileged=True, allowPrivilegeEscalation=True),
    "CAP_SYS_ADMIN": with_capability("SYS_ADMIN"),
    "CAP_NET_RAW": with_capability("NET_RAW"),
    "escalation": with_security(allowPrivilegeEscalation=True),
    "capabilities of the runtime's": with_security(capabilities={}),
    "a root that can be written": with_security(readOnlyRootFilesystem=False),
}
# What the sandbox level has and the level "pod" must not.
SANDBOX_ONLY = {
    "root": lambda spec: spec.update(securityContext={"runAsUser": 0}),
    "no seccomp profile": lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    "/proc unmasked": with_security(procMount="Unmasked"),
}


def test_the_templates_are_admitted(specs):
    assert {"runner", "sandbox"} <= set(specs)
    for spec in specs.values():
        assert refusal(spec) is None


@pytest.mark.parametrize("what", list(LOOSER))
@pytest.mark.parametrize("name", ["runner", "sandbox"])
def test_what_is_looser_is_refused(specs, name, what):
    spec = copy.deepcopy(specs[name])
    LOOSER[what](spec)
    assert refusal(spec)


@pytest.mark.parametrize("what", list(SANDBOX_ONLY))
def test_what_only_sandboxes_need_is_refused_elsewhere(specs, what):
    spec = copy.deepcopy(specs["runner"])
    SANDBOX_ONLY[what](spec)
    assert "denied request" in refusal(spec)


def test_nobody_else_makes_pods(specs):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "by-hand", "namespace": NAMESPACE}, "spec": specs["runner"]}
    ran = kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod))  # as the cluster's administrator
    assert ran.returncode != 0 and "only the pod-manager makes pods here" in ran.stderr
