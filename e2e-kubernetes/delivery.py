"""A scratch Git repository with the branches staging and main, as the scripts of delivery move them, and the chart as they have it."""

import os
import re
import shutil
import sys

import jobs
from cluster import get, kubectl, run
from place import HERE, NAMESPACE, RELEASE, ROOT, RUN

SCRIPTS = ROOT / "scripts/delivery"
FOLDER = RUN / "git"
WORK = FOLDER / "work"
IDENTITY = ["-c", "user.name=e2e", "-c", "user.email=e2e@prowl.invalid"]


def git(*arguments, at=WORK):
    return run("git", "-C", at, *IDENTITY, *arguments).strip()


def begin():
    """Both branches begin at the chart as it lies here."""
    FOLDER.mkdir()
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", FOLDER / "origin.git")
    run("git", "clone", "--quiet", FOLDER / "origin.git", WORK)
    shutil.copytree(ROOT / "helm", WORK / "helm")
    git("checkout", "--quiet", "-B", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "The chart")
    git("push", "--quiet", "origin", "main", "main:staging")


def script(name, *arguments, check=True):
    """One of the scripts, run as a workflow runs it."""
    return run(sys.executable, SCRIPTS / name, *arguments, cwd=WORK, check=check)


def propose(model=None, **digests):
    """Sets the release of staging."""
    named = ["--model", model, "--model-digest", jobs.digest_of(model)] if model else []
    script("set-digest", *[f"{target}={digest}" for target, digest in digests.items()], *named, "--branch", "staging")


def edit(branch, path, change):
    """Changes the text of a file of a branch, as somebody may who means well."""
    git("fetch", "--quiet", "origin", branch)
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}")
    (WORK / path).write_text(change((WORK / path).read_text()))
    git("commit", "--quiet", "--all", "--message", f"Change {path}")
    git("push", "--quiet", "origin", branch)


def checkout(branch):
    """A folder with what the branch holds now, and the commit."""
    folder = FOLDER / branch
    if not folder.exists():
        run("git", "clone", "--quiet", FOLDER / "origin.git", folder)
    git("fetch", "--quiet", "origin", branch, at=folder)
    git("checkout", "--quiet", "--detach", f"origin/{branch}", at=folder)
    return folder, git("rev-parse", "HEAD", at=folder)


def values(folder, environment):
    """The files of values in the order in which Argo CD takes them."""
    return [f"--values={folder / 'helm/environments' / name}.yaml" for name in ("base", environment, "release")]


def helm(*arguments):
    """The version of Helm that was asked for."""
    return run(os.environ["PROWL_E2E_HELM"], *arguments)


def sync(undone=False):
    """Brings the cluster to what staging holds, as Argo CD would. After an `undo` a field is its writer's, from whom
    Helm 4 takes it only when it is told to."""
    folder, _ = checkout("staging")
    force = ["--force-conflicts"] if undone and os.environ["PROWL_E2E_HELM"].endswith("4") else []
    helm("upgrade", "--install", RELEASE, folder / "helm/prowl", "--namespace", NAMESPACE, *values(folder, "staging"),
         f"--values={HERE / 'values.yaml'}", *force)


def rendered(branch, environment):
    """What an environment would run: `target@digest` of each image, and the models."""
    folder, _ = checkout(branch)
    text = helm("template", RELEASE, folder / "helm/prowl", "--namespace", NAMESPACE, "--kube-version", "1.34.0",
                *values(folder, environment))
    images = {name.rsplit("/", 1)[1] for name in re.findall(r'image:\s*"?([^"\s]+)', text)}
    return images, set(re.findall(r"--model=(\S+?)[\"']?\s", text))


def ran():
    """The same of what the pods of this namespace run or have run, but for models that are not served any more."""
    pods = get("pods")["items"]
    images = {container["image"].rsplit("/", 1)[1] for pod in pods for container in pod["spec"]["containers"]}
    active = kubectl("get", "service", f"{RELEASE}-inference", "-o", "jsonpath={.spec.selector.rollouts-pod-template-hash}")
    models = {
        pod["metadata"]["labels"]["prowl-model"] for pod in pods
        if pod["metadata"]["labels"].get("rollouts-pod-template-hash") == active
    }
    return images, models
