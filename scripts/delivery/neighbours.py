"""The servers that a stage talks to, as real ones on this machine: OpenBao, an S3 server, a MongoDB-wire server, MLflow.

They are the ones of the whole-pipeline tests (e2e/src/servers), in the same versions and folders, and listen on loopback only."""

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import http_json

# What the rehearsal in a cluster installs, too.
sys.path.append(str(Path(__file__).resolve().parents[2] / "e2e-kubernetes"))
import tools  # noqa: E402

# Much longer than anything takes, since a machine may be busy.
PATIENCE = 180

BUCKET = "prowl"


def free_port():
    """A port that nobody listens on. It lies below those that systems hand out by themselves, so it stays free until it is used."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as tried:
            with contextlib.suppress(OSError):
                tried.bind(("127.0.0.1", port))
                return port


def wait_for(what, find, alive=lambda: None):
    """Waits until `find` finds something. `alive` raises where there is nothing to wait for any more."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError, http_json.Failed):
            found = find()
            if found:
                return found
        alive()
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.1)


class Server:
    """A process of our own, ended with all that it has started."""

    def __init__(self, name, command, folder, env=None):
        self.name, self.log = name, folder / f"{name}.log"
        # Nothing of what the caller's environment says of other servers.
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("VAULT_", "BAO_", "AWS_", "S3_", "MLFLOW_"))}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=folder, env={**ours, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def ready(self, find):
        """Waits until it answers."""
        wait_for(self.name, find, self.alive)
        return self

    def alive(self):
        """Raises where it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended:\n{self.log.read_text()[-2000:]}")

    def stop(self):
        """Ends it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Vault:
    """OpenBao, with a policy and a role for each stage. Pods log in to it at `kubernetes`, with tokens as their service accounts have
    them; it knows the key that signs these, instead of asking a cluster."""

    def __init__(self, folder):
        self.port, self.root = free_port(), secrets.token_hex(16)
        self.address = f"http://127.0.0.1:{self.port}"
        bao = tools.of_pypi(tools.OPENBAO) / "bao"
        command = [bao, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={self.root}", f"-dev-listen-address=127.0.0.1:{self.port}"]
        self.server = Server("openbao", command, folder)
        self.server.ready(lambda: http_json.call("GET", f"{self.address}/v1/sys/health"))
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        self.call("POST", "transit/keys/issuer", {"type": "ecdsa-p256"})
        key = self.call("GET", "transit/keys/issuer")["data"]["keys"]["1"]["public_key"]
        self.call("POST", "sys/auth/kubernetes", {"type": "jwt"})
        self.call("POST", "auth/kubernetes/config", {"jwt_validation_pubkeys": [key]})

    def call(self, method, path, body=None):
        """Asks it as its root."""
        return http_json.call(method, f"{self.address}/v1/{path}", body, {"x-vault-token": self.root})

    def allow(self, stage, values):
        """Lets a stage read its own secret, which holds these values, and nothing else."""
        path, name = f"prowl/staging/{stage}", f"prowl-staging-{stage}"
        self.call("POST", f"secret/data/{path}", {"data": values})
        self.call("POST", f"sys/policies/acl/{name}", {"policy": f'path "secret/data/{path}" {{ capabilities = ["read"] }}'})
        role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": f"system:serviceaccount:prowl:{name}"}
        self.call("POST", f"auth/kubernetes/role/{name}", {**role, "token_policies": [name]})

    def token_of(self, stage):
        """A token of the service account of a stage."""
        now, name = int(time.time()), f"prowl-staging-{stage}"
        claims = {
            "iss": "kubernetes/serviceaccount",
            "sub": f"system:serviceaccount:prowl:{name}",
            "aud": ["vault"],
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")  # noqa: E731
        signed = f"{part({'alg': 'ES256', 'typ': 'JWT'})}.{part(claims)}"
        body = {"input": base64.b64encode(signed.encode()).decode(), "marshaling_algorithm": "jws"}
        signature = self.call("POST", "transit/sign/issuer/sha2-256", body)["data"]["signature"]
        return f"{signed}.{signature.removeprefix('vault:v1:')}"


class Weed(Server):
    """SeaweedFS, whose parts leave their sockets, which can be put nowhere else, when they are killed."""

    ports = ()

    def stop(self):
        super().stop()
        for port in self.ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


class S3:
    """SeaweedFS, with a bucket and a key that may do all in it."""

    PARTS = ("s3", "master", "volume", "filer", "admin")

    def __init__(self, folder):
        key, secret = secrets.token_hex(10), secrets.token_hex(20)
        ports = {f"{part}.port{kind}": free_port() for part in self.PARTS for kind in ("", ".grpc")}
        who = {"name": "stages", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
        (folder / "s3").mkdir()
        weed = tools.of_pypi(tools.SEAWEEDFS) / "weed"
        command = [weed, f"-logdir={folder}", "mini", f"-dir={folder / 's3'}", f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += ["-s3.autoCreateBucket=false", f"-bucket={BUCKET}", *(f"-{part}={port}" for part, port in ports.items())]
        self.server = Weed("s3", command, folder)
        self.server.ports = list(ports.values())
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        self.server.ready(lambda: answers(f"{endpoint}/healthz"))
        # Its parts start one after another: the bucket is there only when the filer says so.
        self.server.ready(lambda: answers(f"http://127.0.0.1:{ports['filer.port']}/buckets/{BUCKET}/"))
        self.secret = {"spaces_endpoint": endpoint, "spaces_region": "us-east-1", "spaces_key": key, "spaces_secret": secret}
        self.planted = [key, secret]


class Mongo:
    """SecantusDB, which speaks MongoDB's protocol."""

    def __init__(self, folder):
        port = free_port()
        program = tools.of_pypi(tools.SECANTUSDB) / "secantusd-py"
        command = [program, "--host", "127.0.0.1", "--port", port, "--log-level", "WARNING", "--storage-path", folder / "mongo"]
        self.server = Server("mongo", command, folder)
        self.server.ready(lambda: connects(port))
        self.secret = {"mongo_uri": f"mongodb://127.0.0.1:{port}/"}


class Mlflow:
    """MLflow: tracking, registry and artifacts."""

    def __init__(self, folder):
        port = free_port()
        command = [tools.mlflow(), "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", folder / "artifacts"]
        # Without the first one it starts ten processes.
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.server = Server("mlflow", command, folder, env)
        self.uri = f"http://127.0.0.1:{port}"
        self.server.ready(lambda: answers(f"{self.uri}/health"))
        self.planted = [secrets.token_hex(20)]
        self.secret = {"mlflow_uri": self.uri, "mlflow_token": self.planted[0]}


def answers(url):
    """Whether a GET is answered with a yes, whatever its body is."""
    try:
        http_json.call("GET", url, timeout=5)
    except ValueError:
        pass  # no JSON
    return True


def connects(port):
    """Whether anybody listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
