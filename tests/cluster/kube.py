"""A pod-manager with the kubernetes backend, beside a real cluster: RUNWAVE_TEST_KUBECONFIG names it."""

import base64
import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KUBECONFIG = os.environ.get("RUNWAVE_TEST_KUBECONFIG")
BUILD = Path(os.environ.get("RUNWAVE_TEST_BUILD", ROOT / "build" / (os.environ.get("RUNWAVE_PRESET") or "debug")))
IMAGE = os.environ.get("RUNWAVE_TEST_IMAGE", "docker.io/library/runwave-runner:test")
TOKEN = "a token for the tests of the cluster"


def await_that(check, timeout_s=60, what="it"):
    """Until check() is true; what it returned."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def runner_template(name="runner", image=IMAGE, **spec):
    """A PodTemplate that the restricted level of Pod Security admits."""
    container = {
        "name": "runner",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/runwave-runner", "--listen", "tcp:0.0.0.0:7000", "--sandbox", "container", "--pod", "$(RUNWAVE_POD)"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"limits": {"memory": "128Mi", "cpu": "1"}, "requests": {"memory": "8Mi", "cpu": "1m"}},
        "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
        "volumeMounts": [{"name": "box", "mountPath": "/box"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    user = {"runAsNonRoot": True, "runAsUser": 64000, "runAsGroup": 64000, "seccompProfile": {"type": "RuntimeDefault"}}
    volumes = [{"name": name, "emptyDir": {"medium": "Memory"}} for name in ("box", "tmp")]
    pod = {"securityContext": user, "containers": [container], "volumes": volumes, **spec}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": {"spec": pod}}


class Space:
    """A namespace of the cluster, with the anchor and a template."""

    def __init__(self, name):
        self.name = name
        self.kubectl("create", "namespace", name, space=False)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", space=False)
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "runwave-runners"}})
        self.apply(runner_template())

    def kubectl(self, *args, space=True, text=None):
        place = ["-n", self.name] if space else []
        ran = subprocess.run(
            ["kubectl", "--kubeconfig", KUBECONFIG, *place, *args], input=text, capture_output=True, text=True, check=False, timeout=60
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def apply(self, thing):
        self.kubectl("apply", "-f", "-", text=json.dumps(thing))

    def get(self, kind):
        return json.loads(self.kubectl("get", kind, "-o", "json"))["items"]

    def pods(self):
        """Names, of those that are not on their way out."""
        return {pod["metadata"]["name"] for pod in self.get("pods") if "deletionTimestamp" not in pod["metadata"]}

    def evict(self, pod):
        """As `kubectl drain` does."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.name}}
        path = f"/api/v1/namespaces/{self.name}/pods/{pod}/eviction"
        self.kubectl("create", "--raw", path, "-f", "-", space=False, text=json.dumps(eviction))

    def kubeconfig_of(self, folder, **user):
        """The cluster's, with another user."""
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json", space=False))
        config["users"] = [{"name": "test", "user": user}]
        config["contexts"] = [{"name": "test", "context": {"cluster": config["clusters"][0]["name"], "user": "test"}}]
        config["current-context"] = "test"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kubeconfig").write_text(json.dumps(config))
        return folder / "kubeconfig"

    def token(self, secret=None):
        """Of the service account `manager`; bound to a secret, so that it is worth nothing once that is deleted."""
        bound = ["--bound-object-kind=Secret", f"--bound-object-name={secret}"] if secret else []
        return self.kubectl("create", "token", "manager", *bound).strip()

    def make_account(self, rules):
        """The service account `manager`, which may do what the rules say and nothing else."""
        self.kubectl("create", "serviceaccount", "manager")
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "manager"}}
        self.apply({**role, "rules": [{"apiGroups": [group], "resources": [kind], "verbs": verbs} for group, kind, verbs in rules]})
        self.kubectl("create", "rolebinding", "manager", "--role=manager", f"--serviceaccount={self.name}:manager")

    def restricted_kubeconfig(self, folder, rules):
        """Of a service account that may do what the rules say and nothing else."""
        self.make_account(rules)
        return self.kubeconfig_of(folder, token=self.token())

    def remove(self):
        self.kubectl("delete", "namespace", self.name, "--wait=false", space=False)


class Manager:
    """A pod-manager process. wrap: what goes before its command line."""

    def __init__(self, folder, space, kubeconfig=None, warm=2, most=4, wrap=(), env=None, **config):
        self.folder = folder
        folder.mkdir(parents=True)
        language = (ROOT / "tests/unit/pod_languages/python/language.yaml").read_text()
        assert "pool: {warm: 2, max: 4}" in language
        (folder / "languages/python").mkdir(parents=True)
        (folder / "languages/python/language.yaml").write_text(
            language.replace("pool: {warm: 2, max: 4}", f"pool: {{warm: {warm}, max: {most}}}")
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        named = {} if kubeconfig is False else {"kubeconfig": str(kubeconfig or KUBECONFIG)}  # False: as inside a cluster
        settings = {
            "log": {"level": "debug"},
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "languages_dir": str(folder / "languages"),
            "backend": "kubernetes",
            "kubernetes": {"namespace": space.name, **named},
            **config,
        }
        (folder / "config.yaml").write_text(json.dumps(settings))
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [*wrap, BUILD / "pod-manager/runwave-pod-manager", "--config", folder / "config.yaml"],
            stderr=self.log.open("w"),
            env={**os.environ, "RUNWAVE_POD_MANAGER_TOKEN": TOKEN, **(env or {})},
        )

    def call(self, method, path, body=None, timeout=90):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read().decode()
                return answer.status, text
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self):
        return self.call("GET", "/readyz")[0] == 200

    def wait_ready(self, timeout_s=60):
        await_that(self.is_ready, timeout_s, "the pod-manager is ready")
        return self

    def pods(self, *phases):
        pods = json.loads(self.call("GET", "/pods")[1])["pods"]
        return {pod["pod"] for pod in pods if not phases or pod["phase"] in phases}

    def wait_warm(self, count, timeout_s=60):
        await_that(lambda: len(self.pods("warm")) == count, timeout_s, f"{count} warm pods")
        return self

    def lease(self, wait_ms=30000, deadline_ms=600000):
        body = {
            "language": "python",
            "wait_ms": wait_ms,
            "deadline_ms": deadline_ms,
            "task_id": "0190a000-0000-7000-8000-000000000000",
            "attempt": 1,
        }
        status, text = self.call("POST", "/leases", body)
        assert status == 200, text
        return json.loads(text)

    def lease_at_last(self, timeout_s=240):
        """Asks again as a scheduler does."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                return self.lease()
            except AssertionError:
                if time.monotonic() > end:
                    raise

    def release(self, lease):
        assert self.call("DELETE", f"/leases/{lease['lease_id']}?outcome=used")[0] == 204

    def metric(self, name, **labels):
        """The sum of the series with these labels."""
        total = 0.0
        for line in self.call("GET", "/metrics")[1].splitlines():
            if line.startswith((name + "{", name + " ")) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(timeout=60)


class Cutter:
    """A TCP proxy before the API server that cuts every connection again and again."""

    def __init__(self, folder, period_s=1.0):
        self.period_s = period_s
        self.n_cuts = 0
        self.is_over = False
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.open = set()
        self.lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(Path(KUBECONFIG).read_text().replace("127.0.0.1:6443", f"127.0.0.1:{self.socket.getsockname()[1]}"))
        for work in (self._accept, self._cut):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self):
        while not self.is_over:
            try:
                client, _ = self.socket.accept()
                server = socket.create_connection(("127.0.0.1", 6443))
            except OSError:
                return
            with self.lock:
                self.open |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        self._close({source, target})

    def _close(self, sockets):
        with self.lock:
            self.open -= sockets
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _cut(self):
        while not self.is_over:
            time.sleep(self.period_s)
            with self.lock:
                sockets = set(self.open)
            self.n_cuts += bool(sockets)
            self._close(sockets)

    def stop(self):
        self.is_over = True
        self.socket.close()


class Throttler:
    """An API server over plain HTTP that refuses the first creations of pods with 429 and passes everything else on to the real one."""

    def __init__(self, folder, n_refusals, retry_after_s):
        self.n_refusals = n_refusals
        self.refused_at = []
        self.created_at = []
        user = json.loads(
            subprocess.run(
                ["kubectl", "--kubeconfig", KUBECONFIG, "config", "view", "--raw", "--flatten", "-o", "json"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )["users"][0]["user"]
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE  # only who we are matters here
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.tls.load_cert_chain(pem.name)
        throttler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.command == "POST" and self.path.endswith("/pods") and throttler.refuses():
                    self.send_response(429)
                    self.send_header("Retry-After", str(retry_after_s))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                upstream = http.client.HTTPSConnection("127.0.0.1", 6443, context=throttler.tls)
                dropped = ("host", "connection", "upgrade")
                kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
                upstream.request(self.command, self.path, body, kept)
                answer = upstream.getresponse()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while piece := answer.read1(65536):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
                upstream.close()

            do_GET = do_POST = do_DELETE = do_PATCH = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *args: None  # a client that went away
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}
        context = {"name": "test", "context": {"cluster": "test", "user": "test"}}
        users = [{"name": "test", "user": {"token": "none"}}]
        self.kubeconfig.write_text(
            json.dumps({"clusters": [cluster], "users": users, "contexts": [context], "current-context": "test"})
        )

    def refuses(self):
        is_refused = len(self.refused_at) < self.n_refusals
        (self.refused_at if is_refused else self.created_at).append(time.monotonic())
        return is_refused

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
