"""What a cluster is made of: built from Go's module proxy once, at pinned versions, and kept. It needs a network; the cluster does not."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import tools
from place import BIN, CRDS, HERE, PAUSE, STATE, say

# `lab/tools` is a module that pins all that these are built of: they cannot be installed by name, since they replace modules.
KUBERNETES, ETCD, ROLLOUTS = "k8s.io/kubernetes", "go.etcd.io/etcd/server/v3", "github.com/argoproj/argo-rollouts"
PINNED = {"etcd": (ETCD, ETCD)}
PINNED |= {
    name: (KUBERNETES, f"{KUBERNETES}/cmd/{name}")
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
}
PINNED |= {name: (ROLLOUTS, f"{ROLLOUTS}/cmd/{name}") for name in ("rollouts-controller", "kubectl-argo-rollouts")}
NAMED = {
    "helm-3": ("helm.sh/helm/v3", "v3.22.0", "helm.sh/helm/v3/cmd/helm"),
    "helm-4": ("helm.sh/helm/v4", "v4.3.1", "helm.sh/helm/v4/cmd/helm"),
    "coredns": ("github.com/coredns/coredns", "v1.15.0", "github.com/coredns/coredns"),
}
# Programs, and the packages of Debian that have them.
SYSTEM = {
    "containerd": "containerd", "runc": "runc", "iptables": "iptables", "ip": "iproute2", "openssl": "openssl", "unshare": "util-linux",
    "setpriv": "util-linux", "sysctl": "procps", "git": "git", "jq": "jq",
}
CNI = Path("/usr/lib/cni/bridge")


def install():
    """Builds and installs what is missing."""
    missing = [package for program, package in SYSTEM.items() if not shutil.which(program)]
    if not CNI.exists():
        missing.append("containernetworking-plugins")
    if missing:
        say(f"installing {' '.join(missing)}")
        subprocess.run(["apt-get", "update", "-q"], check=True)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], check=True, env=quiet)
    BIN.mkdir(parents=True, exist_ok=True)
    for name, (module, package) in PINNED.items():
        build(name, module, pinned(module), package)
    for name, (module, version, package) in NAMED.items():
        build(name, module, version, package)
    if not CRDS.exists():
        found = json.loads(go("mod", "download", "-json", f"{ROLLOUTS}@{pinned(ROLLOUTS)}"))
        shutil.copytree(Path(found["Dir"]) / "manifests/crds", CRDS)
    if not PAUSE.exists():
        go("build", "-trimpath", "-ldflags", "-s -w", "-o", str(STATE / "pause"), str(HERE / "lab/pause.go"))
        image(PAUSE, "localhost/pause:1", STATE / "pause")
    for package in (tools.OPENBAO, tools.SEAWEEDFS, tools.SECANTUSDB):
        tools.of_pypi(package)
    tools.mlflow()


def go(*arguments, output=None):
    """Go with caches of its own, and without those settings of the user that would change what it builds."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOBIN", "GOWORK", "GOOS", "GOARCH")}
    environment |= {
        "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw -buildvcs=false", "GOPATH": str(STATE / "go"),
        "GOCACHE": str(STATE / "go/build"),
    }
    if output:
        environment["GOBIN"] = str(output)
    command = [tools.of_pypi(tools.GO) / "go", *arguments]
    return subprocess.run(command, cwd=HERE / "lab/tools", env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def pinned(module):
    """The version of a module that `lab/tools` pins."""
    for line in (HERE / "lab/tools/go.mod").read_text().splitlines():
        if line.split()[:1] == [module]:
            return line.split()[1]
    raise LookupError(module)


def build(name, module, version, package):
    """Builds a program, unless it is there in this version."""
    mark = BIN / f".{name}"
    if (BIN / name).exists() and mark.exists() and mark.read_text() == version:
        return
    say(f"building {name} {version}")
    flags = ["-s", "-w"]
    if module == KUBERNETES:  # Without these it reports a wrong version, which clients refuse.
        for place in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {place}.gitVersion={version}", f"-X {place}.gitMajor=1", f"-X {place}.gitMinor={version.split('.')[1]}"]
    elif module.startswith("helm.sh/helm/"):
        flags.append(f"-X {module}/internal/version.version={version}")
    ldflags = ["-trimpath", "-ldflags", " ".join(flags)]
    if name in PINNED:
        go("build", *ldflags, "-o", str(BIN / name), package)
    else:
        go("install", *ldflags, f"{package}@{version}", output=BIN / "new")
        os.replace(BIN / "new" / package.rsplit("/", 1)[1], BIN / name)
    mark.write_text(version)


def image(path, name, program):
    """Writes an image that holds one program, as `docker save` does."""
    def add(archive, file, content, mode=0o644):
        entry = tarfile.TarInfo(file)
        entry.size, entry.mode = len(content), mode
        archive.addfile(entry, io.BytesIO(content))

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        add(files, program.name, program.read_bytes(), 0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({
        "architecture": architecture(), "os": "linux", "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()
    named = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": named, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        add(archive, f"{digest}/layer.tar", layer.getvalue())
        add(archive, named, config)
        add(archive, "manifest.json", manifest)


def architecture():
    """This machine, in Go's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
