"""Jobs that are started by hand, and the client that scores while versions change."""

import json
import struct
import time
from hashlib import sha256

import neighbours
import objects
from cluster import apply, get, kubectl, run
from place import NAMESPACE, RELEASE, Failed, say, until


def by_hand(stage, arguments=None):
    """Starts the CronJob of a stage by hand, waits for its end, and gives its log. With other arguments it is the same pod otherwise."""
    name = f"{stage}-by-hand-{time.monotonic_ns() % 10**9}"
    began = time.monotonic()
    if arguments is None:
        kubectl("create", "job", name, f"--from=cronjob/{RELEASE}-{stage}")
    else:
        job = get("cronjob", f"{RELEASE}-{stage}")["spec"]["jobTemplate"]
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["args"] = arguments
        apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job["spec"]})
    ended = until(240, f"the end of {name}", lambda: _ended(name), every=0.5)
    log = kubectl("logs", f"job/{name}", "--tail=-1", check=False)
    if ended != "Complete":
        raise Failed(f"{name} failed: {log[-3000:]}")
    say(f"  {stage}: done in {time.monotonic() - began:.0f} s")
    return log


def _ended(name):
    conditions = get("job", name).get("status", {}).get("conditions", [])
    return next((one["type"] for one in conditions if one["status"] == "True" and one["type"] in ("Complete", "Failed")), None)


def collect(count, seed):
    """Puts pull requests into the collection, as the stage that collects: GitHub cannot be reached from here."""
    by_hand("fetch", ["synth", "--count", str(count), "--seed", str(seed), "--mongo"])


def to_model():
    """Export, features and model by the CronJobs, each of which has to publish one folder. Gives their names."""
    made = []
    for stage, kind in (("export", "exports"), ("preprocess", "features"), ("train", "models")):
        before = neighbours.published(kind)
        by_hand(stage)
        new = [name for name in neighbours.published(kind) if name not in before]
        if len(new) != 1:
            raise Failed(f"{stage} has published {new or 'nothing'}")
        made += new
    return made


def manifest(kind, name):
    return json.loads(neighbours.read(f"{kind}/{name}/manifest.json"))


def digest_of(model):
    return manifest("models", model)["details"]["model_digest"]


def plant_bad_model(model):
    """Publishes a model that is whole by its manifest and answers finite figures, but whose network is not the one that was trained.
    Gives its name."""
    written = neighbours.read(f"models/{model}/manifest.json").decode()
    artifact = bytearray(neighbours.read(f"models/{model}/model.safetensors"))
    length = struct.unpack_from("<Q", artifact)[0]
    header = json.loads(artifact[8 : 8 + length])
    begin, end = (8 + length + offset for offset in header["network.0.bias"]["data_offsets"])
    bias = struct.unpack_from(f"<{(end - begin) // 4}f", artifact, begin)
    struct.pack_into(f"<{len(bias)}f", artifact, begin, *(value + 0.5 for value in bias))

    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    # It says of itself what it is called.
    artifact = artifact.replace(model.encode(), name.encode())
    written = written.replace(digest_of(model), sha256(artifact).hexdigest()).replace(f'"name": "{model}"', f'"name": "{name}"')
    for entry in json.loads(written)["files"]:
        path = entry["path"]
        content = bytes(artifact) if path == "model.safetensors" else neighbours.read(f"models/{model}/{path}")
        neighbours.put(f"models/{name}/{path}", content)
    neighbours.put(f"models/{name}/manifest.json", written.encode())
    return name


class Client:
    """A client in the cluster, which scores pull requests over gRPC at a steady rate, whoever answers."""

    RATE = 20

    def __init__(self):
        template = objects.of_gate()
        container = template["spec"]["containers"][0]
        trust = [argument for argument in container["args"] if argument.startswith("--ca-file")]
        container["args"] = [
            f"--host=https://{RELEASE}-inference.{NAMESPACE}.svc:50051", f"--rate={self.RATE}", "--run-time=30m", "--scenario=score",
            # As clients of others do: a call that a server which drains has never begun is made again.
            "--again", "--json", *trust,
        ]
        apply(objects.pod("client", template))
        until(60, "the client", lambda: get("pod", "client")["status"]["phase"] == "Running")
        self.began = time.monotonic()

    def stop(self):
        """Ends it as Kubernetes would, but keeps its log; gives what it counted."""
        status = get("pod", "client")["status"]
        if status["phase"] != "Running":
            raise Failed(f"the client ended by itself: {kubectl('logs', 'client', check=False)[-2000:]}")
        run("ctr", "tasks", "kill", "--signal", "SIGTERM", status["containerStatuses"][0]["containerID"].removeprefix("containerd://"))
        until(60, "the end of the client", lambda: get("pod", "client")["status"]["phase"] in ("Failed", "Succeeded"))
        log = kubectl("logs", "client", "--tail=-1")
        for start in (place for place, sign in enumerate(log) if sign == "{" and log[place - 1 : place] in ("", "\n")):
            try:
                found = json.JSONDecoder().raw_decode(log, start)[0]
            except ValueError:
                continue
            if "rows" in found and "failures" in found:
                return found
        raise Failed(f"the client has counted nothing: {log[-2000:]}")
