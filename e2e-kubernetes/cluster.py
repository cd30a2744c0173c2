"""A whole cluster in this network namespace: etcd, API server, controllers, scheduler, and one real node, which is called localhost so
that the API server reaches its kubelet over loopback."""

import json
import os
import re
import secrets
import subprocess
import sys
import urllib.error
import urllib.request

from place import ADDRESS, BIN, BRIDGE, CRDS, HERE, IMAGES, KUBECONFIG, LOGS, NAMESPACE, PAUSE, ROOT, RUN, SOCKET, Failed, say, until

sys.path.append(str(ROOT / "scripts/delivery"))
from stages import TARGETS  # noqa: E402

SERVICES, FIRST_SERVICE = "10.96.0.0/16", "10.96.0.1"
ETCD, API = "http://127.0.0.1:2379", "https://127.0.0.1:6443"

_running = {}


def start(name, *command, env=None):
    """Starts a server, whose log is kept."""
    with open(LOGS / f"{name}.log", "w") as log:
        _running[name] = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=RUN)


def ready(name, seconds, condition):
    """Waits for a server that was started, as long as it runs."""
    def look():
        code = _running[name].poll()
        if code is not None:
            raise Failed(f"{name} ended with {code}, see {LOGS / name}.log")
        return condition()
    return until(seconds, f"{name}, see {LOGS / name}.log", look)


def run(*command, given=None, check=True, cwd=None):
    """What a command says. It has to succeed unless `check` is off."""
    done = subprocess.run(list(map(str, command)), input=given, capture_output=True, text=True, cwd=cwd)
    if check and done.returncode:
        raise Failed(f"{' '.join(map(str, command))[:300]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def succeeds(*command, given=None):
    return subprocess.run(list(map(str, command)), input=given, capture_output=True, text=True).returncode == 0


def kubectl(*arguments, **more):
    """kubectl in Prowl's namespace, unless another is named."""
    return run("kubectl", "-n", NAMESPACE, *arguments, **more)


def get(*arguments):
    """Objects, as kubectl gets them."""
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def apply(*objects):
    kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def http(url, headers=None, body=None, method=None, timeout=10):
    """Status and body of an answer; no status where there is none."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return None, b""


def is_up(url):
    return http(url)[0] == 200


def fill(name):
    """A template of `lab/`, filled in; gives its path."""
    path = RUN / name
    path.write_text((HERE / "lab" / name).read_text().replace("@RUN@", str(RUN)))
    return path


def certificate(name, subject, extension):
    """A key and a certificate that the authority of this cluster has signed."""
    def at(ending):
        return RUN / f"{name}.{ending}"

    at("ext").write_text(extension + "\n")
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", at("key"), "-out", at("csr"), "-subj", subject)
    run("openssl", "x509", "-req", "-in", at("csr"), "-CA", RUN / "ca.crt", "-CAkey", RUN / "ca.key", "-CAcreateserial", "-days", "7",
        "-extfile", at("ext"), "-out", at("crt"))
    return at("key"), at("crt")


def start_control_plane():
    os.environ |= {
        "PATH": f"{BIN}:{os.environ['PATH']}", "KUBECONFIG": str(KUBECONFIG), "KUBECACHEDIR": str(RUN / "kubectl"),
        "HELM_CACHE_HOME": str(RUN / "helm"), "HELM_CONFIG_HOME": str(RUN / "helm"), "HELM_DATA_HOME": str(RUN / "helm"),
        "XTABLES_LOCKFILE": str(RUN / "xtables.lock"),
    }
    run("openssl", "genrsa", "-out", RUN / "sa.key", "2048")
    # One authority signs the API server, and is that of clients, of pods and of the servers in them.
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", RUN / "ca.key", "-out", RUN / "ca.crt", "-days", "7",
        "-subj", "/CN=prowl-e2e")
    names = f"IP:127.0.0.1,IP:{FIRST_SERVICE},DNS:localhost,DNS:kubernetes.default.svc,DNS:kubernetes.default,DNS:kubernetes"
    api_key, api_crt = certificate("api", "/CN=kube-apiserver", f"subjectAltName={names}")
    client_key, client_crt = certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver", "extendedKeyUsage=clientAuth")
    token = secrets.token_hex(16)
    (RUN / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    KUBECONFIG.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": API, "certificate-authority": str(RUN / "ca.crt")}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
    }))

    peer = "http://127.0.0.1:2380"
    start("etcd", "etcd", "--data-dir", RUN / "etcd", "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD, "--unsafe-no-fsync",
          "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")
    # It listens on the bridge as well, for pods.
    start("kube-apiserver", "kube-apiserver", f"--etcd-servers={ETCD}", "--bind-address=0.0.0.0", "--advertise-address=127.0.0.1",
          "--secure-port=6443", "--endpoint-reconciler-type=none", f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true",
          "--authorization-mode=Node,RBAC", f"--token-auth-file={RUN / 'tokens.csv'}", f"--client-ca-file={RUN / 'ca.crt'}",
          f"--tls-cert-file={api_crt}", f"--tls-private-key-file={api_key}", "--kubelet-preferred-address-types=Hostname",
          f"--kubelet-client-certificate={client_crt}", f"--kubelet-client-key={client_key}",
          "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={RUN / 'sa.key'}",
          f"--service-account-signing-key-file={RUN / 'sa.key'}")
    ready("kube-apiserver", 60, lambda: succeeds("kubectl", "get", "--raw", "/readyz"))
    start("kube-controller-manager", "kube-controller-manager", f"--kubeconfig={KUBECONFIG}", "--bind-address=127.0.0.1",
          "--leader-elect=false", f"--service-account-private-key-file={RUN / 'sa.key'}", f"--root-ca-file={RUN / 'ca.crt'}",
          f"--cluster-signing-cert-file={RUN / 'ca.crt'}", f"--cluster-signing-key-file={RUN / 'ca.key'}")
    start("kube-scheduler", "kube-scheduler", f"--kubeconfig={KUBECONFIG}", f"--authentication-kubeconfig={KUBECONFIG}",
          f"--authorization-kubeconfig={KUBECONFIG}", "--bind-address=127.0.0.1", "--leader-elect=false")
    ready("kube-controller-manager", 60, lambda: succeeds("kubectl", "-n", "default", "get", "serviceaccount", "default"))


def start_rollouts():
    """Argo Rollouts, outside the cluster."""
    run("kubectl", "apply", "--server-side", "-k", CRDS)
    established = ["kubectl", "wait", "--for=condition=Established", "crd/rollouts.argoproj.io", "--timeout=5s"]
    until(30, "the kinds of Argo Rollouts", lambda: succeeds(*established))
    run("kubectl", "create", "namespace", "argo-rollouts")
    start("rollouts-controller", "rollouts-controller", f"--kubeconfig={KUBECONFIG}", "-n", "argo-rollouts", "--leader-elect=false",
          "--metricsport=18090", "--healthzPort=18080", "--rollout-resync=15")
    ready("rollouts-controller", 30, lambda: is_up("http://127.0.0.1:18080/healthz"))


def start_bridge():
    """The bridge comes before all that listens on its address; addresses of Services are routed to it."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    run("ip", "route", "add", SERVICES, "dev", BRIDGE)
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")


def start_node():
    """The node, with the images in it; gives their digests by target."""
    os.environ |= {"CONTAINERD_ADDRESS": str(SOCKET), "CONTAINERD_NAMESPACE": "k8s.io"}
    for folder in ("kubelet", "pod-logs", "cni", "containerd"):
        (RUN / folder).mkdir()
    fill("cni.conflist").rename(RUN / "cni/prowl.conflist")
    start("containerd", "containerd", "-c", fill("containerd.toml"))
    ready("containerd", 20, lambda: succeeds("ctr", "version"))
    load(PAUSE)
    digests = load_images()
    run("kubectl", "apply", "-f", fill("apiserver-endpoint.yaml"))
    start("coredns", "coredns", "-conf", fill("Corefile"))
    start("kubelet", "kubelet", f"--config={fill('kubelet.yaml')}", f"--kubeconfig={KUBECONFIG}", f"--root-dir={RUN / 'kubelet'}",
          f"--cert-dir={RUN / 'kubelet/pki'}", "--hostname-override=localhost", f"--node-ip={ADDRESS}")
    ready("kubelet", 60, lambda: succeeds("kubectl", "wait", "--for=condition=Ready", "node/localhost", "--timeout=2s"))
    # After the node: without one that has an address it waits half a minute.
    start("kube-proxy", "kube-proxy", f"--config={fill('kube-proxy.yaml')}")
    ready("kube-proxy", 60, lambda: is_up("http://127.0.0.1:10256/healthz"))
    return digests


def load(archive):
    """Gives an archive to containerd, and tells name and digest of what is in it."""
    said = run("ctr", "images", "import", archive)
    found = re.findall(r"unpacking (\S+) \((sha256:[0-9a-f]{64})\)", said)
    if not found:
        raise Failed(f"{archive} holds no image: {said}")
    return found[0]


def load_images():
    """Loads the images that `make images` has made. They get names by digest, as from a registry, so that pods ask for them as elsewhere."""
    revision, head = (IMAGES / "revision").read_text().strip(), run("git", "-C", ROOT, "rev-parse", "HEAD").strip()
    if revision != head:
        say(f"  the images are of {revision[:9]}, and {head[:9]} is checked out: `make images` makes them anew")
    digests = {}
    for archive in sorted(IMAGES.glob("*.tar")):
        name, digest = load(archive)
        repository = name.rsplit(":", 1)[0]
        target = repository.rsplit("/", 1)[1]
        if target in TARGETS:
            run("ctr", "images", "tag", name, f"localhost/prowl/{target}@{digest}")
            digests[target] = digest
    missing = sorted(set(TARGETS) - set(digests))
    if missing:
        raise Failed(f"no image of {', '.join(missing)} in {IMAGES}: `make images` makes them")
    return digests


def show_state():
    """What helps to find out why something failed."""
    for arguments in (
        ["get", "rollout,analysisrun,job,pod,service", "-o", "wide"],
        ["get", "events", "--sort-by=.lastTimestamp"],
    ):
        print("\n".join(kubectl(*arguments, check=False).splitlines()[-40:]), flush=True)
    pods = json.loads(kubectl("get", "pods", "-o", "json", check=False) or '{"items": []}')["items"]
    for pod in pods:
        name = pod["metadata"]["name"]
        log = kubectl("logs", name, "--tail=20", check=False)
        previous = kubectl("logs", name, "--tail=20", "--previous", check=False) if "inference" in name else ""
        if log or previous:
            print(f"--- {name}\n{previous}{log}", flush=True)
    say(f"logs of all servers are in {LOGS}")
