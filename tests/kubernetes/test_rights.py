"""What the service accounts may not do, and what the code in a runner pod cannot reach: no NetworkPolicy is enforced here."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from cluster_under_test import NAMESPACE, RUNNERS_NAMESPACE, name_of

MANAGER = "system:serviceaccount:runwave:runwave-pod-manager"
ACCOUNTS = [
    MANAGER,
    "system:serviceaccount:runwave:runwave-api",
    "system:serviceaccount:runwave:runwave-scheduler",
    "system:serviceaccount:runwave-runners:runner",
    "system:serviceaccount:runwave:default",
    "system:serviceaccount:runwave-runners:default",
]
PERMITTED = {  # of the pod-manager alone, in the namespace of the runners alone
    *((verb, "pods") for verb in ("get", "list", "watch", "create", "delete", "patch")),
    *((verb, "podtemplates") for verb in ("list", "watch")),
    ("get", "configmaps/runwave-runners"),
    ("create", "events"),
    ("create", "leases.coordination.k8s.io"),
    *((verb, "leases.coordination.k8s.io/runwave-pod-manager") for verb in ("get", "patch")),
}
ASKED = sorted(
    PERMITTED
    | {(verb, what) for verb in ("update", "deletecollection") for what in ("pods", "podtemplates", "leases.coordination.k8s.io")}
    | {(verb, "secrets") for verb in ("get", "list", "watch", "create", "delete", "patch", "update")}
    | {(verb, "configmaps") for verb in ("get", "list", "create", "delete", "patch", "update")}
    | {(verb, "podtemplates") for verb in ("get", "create", "delete", "patch")}
    | {("create", f"pods/{part}") for part in ("exec", "attach", "portforward", "eviction", "binding", "ephemeralcontainers")}
    | {("get", f"pods/{part}") for part in ("exec", "log", "proxy")}
    | {("create", "serviceaccounts/token"), ("impersonate", "users"), ("escalate", "roles"), ("bind", "roles")}
    | {("create", "rolebindings.rbac.authorization.k8s.io"), ("patch", "serviceaccounts"), ("delete", "resourcequotas")}
)
CLUSTER_WIDE = [("get", "nodes"), ("get", "nodes/proxy"), ("list", "secrets"), ("list", "namespaces")]
CLUSTER_WIDE += [("patch", "namespaces/runwave-runners")]


def review(installed, account: str, namespace: str, verb: str, what: str) -> bool:
    """A SubjectAccessReview. what: a resource as RESOURCE[.GROUP][/NAME or SUBRESOURCE]."""
    resource, _, rest = what.partition("/")
    resource, _, group = resource.partition(".")
    has_name = rest in ("runwave-runners", "runwave-pod-manager")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    attributes.update({"name": rest} if has_name else {"subresource": rest})
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{account.split(':')[2]}"]
    spec = {"user": account, "groups": groups, "resourceAttributes": attributes}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return json.loads(installed.kubectl("create", "-f", "-", "-o", "json", text=json.dumps(body)))["status"]["allowed"]


def request_as(installed, token: str, method: str, path: str, body=None) -> int:
    context = ssl.create_default_context(cafile=str(installed.cluster.state / "pki/ca.crt"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://127.0.0.1:6443{path}", method=method, headers=headers, data=data)
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_pod_manager_may_do_what_it_needs_and_nothing_else(installed):
    allowed = {(verb, what) for verb, what in ASKED if review(installed, MANAGER, RUNNERS_NAMESPACE, verb, what)}
    assert allowed == PERMITTED


@pytest.mark.parametrize("account", ACCOUNTS[1:])
def test_nobody_else_may_do_anything(installed, account):
    allowed = [(verb, what) for verb, what in sorted(PERMITTED) if review(installed, account, RUNNERS_NAMESPACE, verb, what)]
    assert not allowed


def test_nobody_may_do_anything_elsewhere(installed):
    elsewhere = (NAMESPACE, "kube-system")
    asked = [(namespace, verb, what) for namespace in elsewhere for verb, what in [("get", "secrets"), ("create", "pods")]]
    asked += [("", verb, what) for verb, what in CLUSTER_WIDE]
    allowed = [(account, *each) for account in ACCOUNTS for each in asked if review(installed, account, *each)]
    assert not allowed


def test_requests_with_the_pod_managers_token_are_refused(installed):
    token = installed.kubectl("-n", NAMESPACE, "create", "token", "runwave-pod-manager").strip()
    pods = f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/pods"
    assert request_as(installed, token, "GET", pods) == 200
    victim = name_of(installed.runners("python")[0])
    for method, path, body in [
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", None),
        ("GET", f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/secrets", None),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", None),
        ("GET", "/api/v1/nodes", None),
        ("POST", f"{pods}/{victim}/exec?command=id&stdout=true", None),
        ("POST", f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/serviceaccounts/runner/token", {}),
    ]:
        assert request_as(installed, token, method, path, body) == 403, path


LOOSE = {
    "host_network": {"hostNetwork": True},
    "host_pid": {"hostPID": True},
    "host_path": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "node_users": {"hostUsers": True},
    "privileged": {"container": {"securityContext": {"privileged": True}}},
}


@pytest.mark.parametrize("how", LOOSE)
def test_even_who_may_make_pods_cannot_make_loose_ones(installed, how):
    token = installed.kubectl("-n", NAMESPACE, "create", "token", "runwave-pod-manager").strip()
    change = dict(LOOSE[how])
    container = {"name": "c", "image": "runwave/runner-python:dev", **change.pop("container", {})}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": {"containers": [container], **change}}
    assert request_as(installed, token, "POST", f"/api/v1/namespaces/{RUNNERS_NAMESPACE}/pods?dryRun=All", body) in (403, 422)


def test_a_runner_pod_holds_nothing(installed):
    for pod in installed.runners():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert all("emptyDir" in volume for volume in pod["spec"]["volumes"])
        assert pod["spec"]["restartPolicy"] == "Never" and pod["spec"]["enableServiceLinks"] is False


PROBE = """
import os, socket, sys
found = []
for place in sys.argv[1:]:
    host, port = place.rsplit(':', 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        found.append(place)
    except OSError:
        pass
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind).close()
            found.append(f'{family!r} {kind!r}')
        except OSError:
            pass
try:
    found.append(socket.gethostbyname('kubernetes.default.svc.cluster.local'))
except OSError:
    pass
found += [name for name in os.environ if 'KUBERNETES' in name or 'RUNWAVE' in name]
found += [path for path in ('/var/run/secrets', '/run/secrets') if os.path.exists(path)]
print(found)
"""


def test_code_in_a_runner_pod_reaches_nothing(installed, api):
    services = installed.cluster.get("-A", "services")
    places = [f"{each['spec']['clusterIP']}:{port['port']}" for each in services if each["spec"].get("clusterIP") != "None"
              for port in each["spec"]["ports"]]
    node = installed.url.partition("//")[2].partition(":")[0]
    places += [f"{node}:6443", f"{node}:10250", f"{node}:30080", "127.0.0.1:7000", "1.1.1.1:443", "169.254.169.254:80"]
    places += [f"{pod['status']['podIP']}:7000" for pod in installed.runners()]
    daemons = [(name, port) for name, port in (("runwave-api", 8080), ("runwave-scheduler", 8082), ("runwave-pod-manager", 8081))]
    places += [f"{pod['status']['podIP']}:{port}" for name, port in daemons for pod in installed.daemons(name)]
    result = api.run(language="python", source=PROBE, args=places, limits={"wall_ms": 20000})
    assert (result["verdict"], result["stdout"]) == ("ok", "[]\n"), result
