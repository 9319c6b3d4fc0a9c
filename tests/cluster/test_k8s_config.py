"""k8s-config/ and the Dockerfiles, without a cluster: both overlays render, and what they hold keeps the project's promises.

Needs a kubectl that knows kustomize: the one that `tests/cluster/cluster build` makes, or one in PATH.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("RUNWAVE_TEST_BUILD", ROOT / "build" / (os.environ.get("RUNWAVE_PRESET") or "debug")))
PROGRAMS = Path(os.environ.get("RUNWAVE_CLUSTER_BIN") or Path.home() / ".cache/runwave-cluster/bin")
KUBECTL = str(PROGRAMS / "kubectl") if (PROGRAMS / "kubectl").exists() else shutil.which("kubectl")
DAEMONS = {"runwave-api": "api-server", "runwave-scheduler": "scheduler", "runwave-pod-manager": "pod-manager"}
LANGUAGES = sorted(path.parent.name for path in ROOT.glob("runner-images/*/language.yaml"))
MIB = 1 << 20
RUNNER_OVERHEAD_BYTES = 256 * MIB


def kubectl_renders():
    if not KUBECTL:
        return False
    return subprocess.run([KUBECTL, "kustomize", "--help"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not kubectl_renders(), reason="there is no kubectl that knows kustomize")


@pytest.fixture(scope="module", name="tree")
def tree_(tmp_path_factory):
    """A copy, in which the file of secrets can stand that is never checked in."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("k8s-config", "runner-images"):
        shutil.copytree(ROOT / folder, tree / folder)
    lines = "database-password=a\nbroker-password=b\npod-manager-token=c\n"
    (tree / "k8s-config/overlays/dev/secrets.env").write_text(lines, encoding="ascii")
    return tree


def render(tree, overlay):
    argv = [KUBECTL, "kustomize", tree / "k8s-config/overlays" / overlay]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return [thing for thing in yaml.safe_load_all(ran.stdout) if thing]


@pytest.fixture(scope="module", name="things", params=["dev", "production"])
def things_(tree, request):
    return render(tree, request.param)


def of_kind(things, *kinds):
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in things if thing["kind"] in kinds}


def pod_specs(things):
    """Of everything that makes pods: name -> spec."""
    specs = {name: thing["spec"]["template"]["spec"] for (_, name), thing in of_kind(things, "Deployment", "StatefulSet").items()}
    return {**specs, **templates(things)}


def templates(things):
    return {name: thing["template"]["spec"] for (_, name), thing in of_kind(things, "PodTemplate").items()}


def is_of_sandboxes(spec):
    return "namespaces" in spec["containers"][0].get("args", [])


def size_bytes(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()
    return int(number) * (MIB if unit == "Mi" else 1024 * MIB)


def test_no_container_is_without_bounds(things):
    for name, spec in pod_specs(things).items():
        for container in spec["containers"]:
            assert size_bytes(container["resources"]["limits"]["memory"]) > 0, name
            assert set(container["resources"]["requests"]) >= {"cpu", "memory"}, name
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert "startupProbe" in container, name


def test_no_container_may_more_than_it_needs(things):
    for name, spec in pod_specs(things).items():
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec), name
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), name
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is (name == "runwave-pod-manager"), name
        if is_of_sandboxes(spec):
            own = spec["containers"][0]["securityContext"]
            assert spec["hostUsers"] is False and own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"]["drop"] == ["ALL"] and "SYS_ADMIN" not in own["capabilities"]["add"], name
            continue
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0 and pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["capabilities"] == {"drop": ["ALL"]} and own["allowPrivilegeEscalation"] is False, name
            assert "privileged" not in own, name


def test_daemons_are_watched_and_end_gently(tree, things):
    specs = pod_specs(things)
    for name, folder in DAEMONS.items():
        container = specs[name]["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        pause_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        config = yaml.safe_load((tree / f"k8s-config/base/config/{folder}.yaml").read_text(encoding="utf-8"))
        assert specs[name]["terminationGracePeriodSeconds"] * 1000 > config["drain_ms"] + pause_s * 1000


def test_daemons_are_two_each(things):
    deployments = of_kind(things, "Deployment")
    assert {name for _, name in deployments} == set(DAEMONS)
    assert all(thing["spec"]["replicas"] == 2 for thing in deployments.values())
    assert {name for _, name in of_kind(things, "PodDisruptionBudget")} == {"runwave-api", "runwave-scheduler"}


def test_rights_are_those_that_the_readme_lists(things):
    assert not of_kind(things, "ClusterRole", "ClusterRoleBinding")
    granted = {}
    for role in of_kind(things, "Role").values():
        for rule in role["rules"]:
            for resource in rule["resources"]:
                granted.setdefault(resource, set()).update(rule["verbs"])
    readme = (ROOT / "pod-manager/README.md").read_text(encoding="utf-8")
    sentence = readme.partition("in its namespace alone:")[2].partition(".\n")[0].partition(" Nothing")[0]
    listed = {}
    for part in re.sub(r"\([^)]*\)", "", sentence).rstrip(".").split(";"):
        resource, *verbs = part.replace(",", " ").split()
        listed[resource] = set(verbs)
    assert granted == listed
    for binding in of_kind(things, "RoleBinding").values():
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "runwave-pod-manager", "namespace": "runwave"}]


def test_namespaces_enforce_pod_security(things):
    bindings = of_kind(things, "ValidatingAdmissionPolicyBinding").values()
    selectors = [each["spec"]["matchResources"]["namespaceSelector"]["matchLabels"] for each in bindings]
    replaced = {selector["kubernetes.io/metadata.name"] for selector in selectors}
    for (_, name), thing in of_kind(things, "Namespace").items():
        level = thing["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        assert level == ("privileged" if name in replaced else "restricted")  # never without one of both


def test_runner_pods_may_reach_nobody(things):
    policies = [each["spec"] for each in of_kind(things, "NetworkPolicy").values() if each["metadata"]["namespace"] != "runwave"]
    assert policies
    for policy in policies:
        assert policy["podSelector"] == {} and set(policy["policyTypes"]) == {"Ingress", "Egress"} and "egress" not in policy
        (ingress,) = policy["ingress"]
        assert ingress["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "runwave-scheduler"}
        assert ingress["ports"] == [{"port": 7000}]


def test_the_catalogue_is_complete(things):
    (languages,) = [thing for (_, name), thing in of_kind(things, "ConfigMap").items() if name.startswith("runwave-languages")]
    assert sorted(languages["data"]) == [f"{language}.language.yaml" for language in LANGUAGES]


def test_a_runner_pod_has_room_for_the_largest_task(things):
    specs = templates(things)
    for language in LANGUAGES:
        about = yaml.safe_load((ROOT / f"runner-images/{language}/language.yaml").read_text(encoding="utf-8"))
        spec = specs.get(f"runner-{language}", specs["runner"])
        limits = about["limits"]
        most = max(limits[stage]["memory_bytes"] for stage in limits)
        assert size_bytes(spec["containers"][0]["resources"]["limits"]["memory"]) >= most + RUNNER_OVERHEAD_BYTES, language
        assert most >= limits["maximum"]["memory_bytes"]


def test_no_secret_is_checked_in(tree):
    production = render(tree, "production")
    assert not of_kind(production, "Secret")
    used = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for spec in pod_specs(production).values()
        for variable in spec["containers"][0].get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    assert used == {"runwave-secrets"}


@pytest.mark.parametrize("program", list(DAEMONS))
def test_daemons_take_their_configuration(things, tmp_path, program):
    folder = DAEMONS[program]
    binary = BUILD / folder / program
    if not binary.exists():
        pytest.skip(f"{binary} is not built")
    (config,) = [thing for (_, name), thing in of_kind(things, "ConfigMap").items() if name.startswith("runwave-config")]
    path = tmp_path / "config.yaml"
    path.write_text(config["data"][f"{folder}.yaml"], encoding="utf-8")
    env = {f"RUNWAVE_{name}": "x" for name in ("DATABASE_PASSWORD", "BROKER_PASSWORD", "POD_MANAGER_TOKEN")}
    ran = subprocess.run([binary, "--config", path, "--check-config"], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_every_image_has_the_same_build_stage():
    """Else each would compile everything anew."""
    stages = set()
    for path in [*(ROOT / folder / "Dockerfile" for folder in DAEMONS.values()), *ROOT.glob("runner-images/*/Dockerfile")]:
        text = path.read_text(encoding="utf-8")
        assert text.count("FROM debian:bookworm-slim") == text.count("FROM ") == 2, path
        lines = text[text.index("FROM ") :].splitlines()
        stages.add("\n".join(lines[: lines.index("")]))
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE), path
    assert len(stages) == 1
