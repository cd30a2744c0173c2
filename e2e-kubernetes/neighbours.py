"""What Prowl works with, beside the cluster, as real servers: OpenBao, an S3 server, a server that speaks MongoDB's protocol, MLflow."""

import json
import secrets
import socket
import subprocess

import tools
from cluster import API, certificate, http, is_up, ready, run, start
from place import ADDRESS, ENVIRONMENT, NAMESPACE, RELEASE, ROOT, RUN, Failed

STAGES = ("fetch", "export", "cluster", "trainer", "inference", "loadtest")
BUCKET, PREFIX = "prowl", "staging"
STORE = f"s3://{BUCKET}/{PREFIX}"
VAULT = "http://127.0.0.1:8200"
FILER = "http://127.0.0.1:8888"
MLFLOW = "http://127.0.0.1:5000/api/2.0/mlflow"
# For whom this cluster's tokens are made unless a pod says otherwise.
AUDIENCE = "https://kubernetes.default.svc"

_root = secrets.token_hex(16)
# Who may write to the store, and who may only read: inference and the load test need no more.
_writer, _reader, _api = ({"key": secrets.token_hex(10), "secret": secrets.token_hex(20)} for _ in range(3))


def begin():
    """Starts all of them; they become ready beside each other."""
    environment = tools.without_vault()
    bao = tools.of_pypi(tools.OPENBAO) / "bao"
    start("openbao", bao, "server", "-dev", f"-dev-root-token-id={_root}", "-dev-listen-address=0.0.0.0:8200", "-dev-no-store-token",
          env=environment | {"HOME": str(RUN)})

    def may(name, keys, *actions):
        return {"name": name, "credentials": [{"accessKey": keys["key"], "secretKey": keys["secret"]}], "actions": actions}

    identities = [may("writer", _writer, "Admin", "Read", "Write", "List", "Tagging"), may("reader", _reader, "Read", "List")]
    (RUN / "s3.json").write_text(json.dumps({"identities": identities}))
    (RUN / "s3").mkdir()
    weed = tools.of_pypi(tools.SEAWEEDFS) / "weed"
    # Its parts leave their logs and sockets in /tmp.
    covered = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"]
    start("seaweedfs", *covered, weed, "mini", f"-dir={RUN / 's3'}", f"-s3.config={RUN / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=0.0.0.0",
          "-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port=8333", "-s3.port.iceberg=0", "-s3.port.lance=0",
          "-s3.autoCreateBucket=false", f"-bucket={BUCKET}", env=environment)

    # One that says it is of a replica set sends clients to the address that it listens on.
    start("secantusdb", tools.of_pypi(tools.SECANTUSDB) / "secantusd-py", "--host", "0.0.0.0", "--port", "27017", "--log-level", "WARNING",
          "--standalone", "--storage-path", RUN / "mongo", env=environment)

    # Without the first one it starts ten processes.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    start("mlflow", tools.mlflow(), "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--allowed-hosts", "*",
          "--backend-store-uri", f"sqlite:///{RUN / 'mlflow.db'}", "--artifacts-destination", RUN / "mlflow", env=environment | quiet)


def wait():
    ready("openbao", 60, lambda: is_up(f"{VAULT}/v1/sys/health"))
    ready("seaweedfs", 60, lambda: is_up("http://127.0.0.1:8333/healthz") and is_up(f"{FILER}/buckets/{BUCKET}/"))
    ready("secantusdb", 60, lambda: _listens(27017))
    ready("mlflow", 180, lambda: is_up("http://127.0.0.1:5000/health"))


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def bootstrap(*more):
    """Runs helm/vault/bootstrap.sh for this cluster, and gives what it says."""
    reviewer = RUN / "reviewer"
    if not reviewer.exists():
        account = ["-n", "kube-system", "vault-reviewer"]
        run("kubectl", "create", "serviceaccount", *account)
        run("kubectl", "create", "clusterrolebinding", "vault-reviewer", "--clusterrole=system:auth-delegator",
            "--serviceaccount=kube-system:vault-reviewer")
        reviewer.write_text(run("kubectl", "create", "token", *account, "--duration=8h"))
    command = [
        ROOT / "helm/vault/bootstrap.sh", "--environment", ENVIRONMENT, "--namespace", NAMESPACE, "--release", RELEASE, "--audience",
        AUDIENCE, "--kubernetes-host", API, "--kubernetes-ca", RUN / "ca.crt", "--reviewer-token", reviewer, *more,
    ]
    return _as_root(command)


def _as_root(command):
    """Runs a command that uses bao."""
    path = {"VAULT_ADDR": VAULT, "VAULT_TOKEN": _root, "HOME": str(RUN)}
    path["PATH"] = f"{tools.of_pypi(tools.OPENBAO)}:{tools.without_vault()['PATH']}"
    done = subprocess.run(list(map(str, command)), env=tools.without_vault() | path, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def write_secrets():
    """What each stage needs, and no more."""
    def spaces(keys):
        return {
            "spaces_endpoint": f"http://{ADDRESS}:8333", "spaces_region": "us-east-1", "spaces_key": keys["key"],
            "spaces_secret": keys["secret"],
        }

    names = ",".join(f"DNS:{RELEASE}-{service}.{NAMESPACE}.svc" for service in ("inference", "inference-preview"))
    key, crt = certificate("inference", f"/CN={RELEASE}-inference", f"subjectAltName={names}")
    mongo = {"mongo_uri": f"mongodb://{ADDRESS}:27017/prowl"}
    contents = {
        "fetch": mongo,
        "export": mongo | spaces(_writer),
        "cluster": spaces(_writer),
        "trainer": spaces(_writer) | {"mlflow_uri": f"http://{ADDRESS}:5000"},
        "inference": spaces(_reader) | {"tls_cert": crt.read_text(), "tls_key": key.read_text(), "api_tokens": f"loadtest:{_api['secret']}"},
        "loadtest": spaces(_reader) | {"prowl_token": _api["secret"]},
    }
    for stage in STAGES:
        body = json.dumps({"data": contents[stage]}).encode()
        status, answer = vault(f"secret/data/prowl/{ENVIRONMENT}/{stage}", body=body)
        if status != 200:
            raise Failed(f"OpenBao does not take the secret of {stage}: {answer}")


def vault(path, token=None, body=None):
    """Status and answer of OpenBao: to its root unless a token is given."""
    status, answer = http(f"{VAULT}/v1/{path}", {"x-vault-token": _root if token is None else token}, body)
    return status, json.loads(answer or b"{}")


def a_secret():
    """One that nobody may ever say."""
    return _writer["secret"]


def planted(text):
    """The secrets that a text holds and must not."""
    values = [value for keys in (_writer, _reader, _api) for value in keys.values()]
    return [value for value in [*values, _root, "PRIVATE KEY"] if value in text]


def published(kind):
    """Names of the published folders of a kind, oldest first."""
    folder = f"{FILER}/buckets/{BUCKET}/{PREFIX}/{kind}/"
    status, answer = http(f"{folder}?limit=1000", {"accept": "application/json"})
    if status == 404:
        return []
    names = sorted(entry["FullPath"].rsplit("/", 1)[1] for entry in json.loads(answer)["Entries"] or [])
    return [name for name in names if is_up(f"{folder}{name}/manifest.json")]


def read(path):
    """The content of a file of the store."""
    status, content = http(f"{FILER}/buckets/{BUCKET}/{PREFIX}/{path}")
    if status != 200:
        raise Failed(f"the store has no {path}: {status}")
    return content


def put(path, content):
    """Writes a file of the store behind its back, as nobody but a test should."""
    status, answer = http(f"{FILER}/buckets/{BUCKET}/{PREFIX}/{path}", {"content-type": "application/octet-stream"}, content, "PUT")
    if status not in (200, 201):
        raise Failed(f"the store does not take {path}: {status} {answer}")


def mlflow(path):
    """An answer of MLflow."""
    status, answer = http(f"{MLFLOW}/{path}")
    if status != 200:
        raise Failed(f"MLflow answers {path} with {status}: {answer}")
    return json.loads(answer)
