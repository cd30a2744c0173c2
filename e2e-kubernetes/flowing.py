"""Claims about the way from a collection to a model that serves."""

import json
from hashlib import sha256

import delivery
import jobs
import neighbours
import objects
from claims import breaks, check, claim
from cluster import get, http, kubectl
from place import ENVIRONMENT, NAMESPACE, RELEASE, until
from watch import NAME, Watch, hash_of


@claim
def pipeline(world):
    """CronJobs that are started by hand take an export through the scheduler and two executor pods to features, to a model, to MLflow."""
    jobs.collect(3000, 7)
    export, features, world.first = jobs.to_model()
    exported, computed, model = (jobs.manifest(*name) for name in (("exports", export), ("features", features), ("models", world.first)))
    check(exported["counts"]["documents"] >= 3000, f"the export holds {exported['counts']}")
    for made, source, of in ((computed, "exports", export), (model, "features", features)):
        digest = sha256(neighbours.read(f"{source}/{of}/manifest.json")).hexdigest()
        inputs = [(one["name"], one["digest"]) for one in made["inputs"]]
        check((of, digest) in inputs, f"{made['kind']} were made of {inputs}, not of {of} ({digest})")
    tasks = {pod["metadata"]["name"]: _tasks(pod["status"]["podIP"]) for pod in _executors()}
    check(len(tasks) == 2 and all(tasks.values()), f"tasks were done by the executors {tasks}")

    version = neighbours.mlflow("registered-models/alias?name=prowl&alias=candidate")["model_version"]
    tags = {tag["key"]: tag["value"] for tag in neighbours.mlflow(f"runs/get?run_id={version['run_id']}")["run"]["data"]["tags"]}
    check(tags["prowl.model_digest"] == jobs.digest_of(world.first), f"the candidate of MLflow is {tags}, not {world.first}")
    documents = exported["counts"]["documents"]
    return f"{documents} documents, {sum(tasks.values())} tasks on two executors, the model {world.first}, MLflow's candidate"


def _executors():
    return get("pods", "-l", "app.kubernetes.io/component=executor", "--field-selector=status.phase=Running")["items"]


def _tasks(address):
    """How many tasks an executor has done."""
    text = http(f"http://{address}:50063/metrics")[1].decode()
    lines = [line for line in text.splitlines() if line.startswith("prowl_executor_tasks_total") and 'outcome="done"' in line]
    return sum(int(float(line.split()[-1])) for line in lines)


@breaks("pipeline")
def with_one_executor(world):
    kubectl("scale", "deployment", f"{RELEASE}-executor", "--replicas=1")
    until(60, "the end of an executor", lambda: len(_executors()) == 1)


@claim
def nothing_new(world):
    """The same CronJobs end at once, and publish nothing, when there is nothing new."""
    kinds = ("exports", "features", "models")
    before = [neighbours.published(kind) for kind in kinds]
    for stage in ("export", "preprocess", "train"):
        jobs.by_hand(stage)
    after = [neighbours.published(kind) for kind in kinds]
    check(before == after, f"{after} has come out of nothing new; before it was {before}")
    return "three jobs ended with nothing to do"


@breaks("nothing_new")
def with_something_new(world):
    jobs.collect(20, 99)


@claim
def serving(world):
    """The model goes into the release of staging, which had none, the Rollout serves it, and `helm test` is content."""
    delivery.propose(world.first)
    delivery.sync()
    with Watch() as watch:
        hashed = until(60, "pods of the first model", lambda: hash_of(world.first))
        watch.until(180, "the first model", lambda look: look.phase == "Healthy" and look.active == hashed)
    wrong = objects.wrong_identities() + objects.wrong_networks()
    check(not wrong, "; ".join(wrong))
    delivery.helm("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "2m")
    return f"{get('rollout', NAME)['status']['availableReplicas']} servers answer with {world.first}"


@breaks("serving")
def with_another_token(world):
    path = f"secret/data/prowl/{ENVIRONMENT}/loadtest"
    values = neighbours.vault(path)[1]["data"]["data"] | {"prowl_token": "nobody-knows-this-token"}
    neighbours.vault(path, body=json.dumps({"data": values}).encode())
