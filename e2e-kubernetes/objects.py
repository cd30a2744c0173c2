"""What the objects of the chart say: pods by their templates, and whom network policies let them speak to."""

from cluster import get
from neighbours import STAGES
from place import RELEASE

# Whose identity a component has; the scheduler needs no secret, and has none.
STAGE_OF = {
    "scheduler": None, "executor": "cluster", "preprocess": "cluster", "fetch": "fetch", "export": "export", "train": "trainer",
    "inference": "inference", "loadtest": "loadtest",
}
assert set(STAGE_OF.values()) == {None, *STAGES}

DNS, VAULT, S3, MONGO, MLFLOW, GITHUB = 53, 8200, 8333, 27017, 5000, 9
SCHEDULER, FLIGHT, TASKS, EXECUTOR_HTTP, GRPC, HTTP = 50050, 50061, 50062, 50063, 50051, 8080
# The ports of each component: those that it may be asked on, and those that it may ask on. What is inside names who, too.
INSIDE = {SCHEDULER, FLIGHT, TASKS, EXECUTOR_HTTP, GRPC, HTTP}
MAY_BE_ASKED = {
    "scheduler": {SCHEDULER}, "executor": {FLIGHT, TASKS, EXECUTOR_HTTP}, "preprocess": set(), "fetch": set(), "export": set(),
    "train": set(), "inference": {GRPC, HTTP}, "loadtest": set(),
}
MAY_ASK = {
    "scheduler": {DNS, TASKS},
    "executor": {DNS, VAULT, S3, SCHEDULER, FLIGHT},
    "preprocess": {DNS, VAULT, S3, SCHEDULER, FLIGHT},
    "fetch": {DNS, VAULT, MONGO, GITHUB},
    "export": {DNS, VAULT, MONGO, S3},
    "train": {DNS, VAULT, S3, MLFLOW},
    "inference": {DNS, VAULT, S3},
    "loadtest": {DNS, VAULT, S3, GRPC, HTTP},
}


def templates():
    """The template of each pod that the chart has or will have, by the name of what makes it."""
    found = {}
    for item in get("deployment,rollout")["items"]:
        found[item["metadata"]["name"]] = item["spec"]["template"]
    for item in get("cronjob")["items"]:
        found[item["metadata"]["name"]] = item["spec"]["jobTemplate"]["spec"]["template"]
    for item in get("analysistemplate")["items"]:
        for metric in item["spec"]["metrics"]:
            found[item["metadata"]["name"]] = metric["provider"]["job"]["spec"]["template"]
    return found


def component(template):
    return template["metadata"]["labels"]["app.kubernetes.io/component"]


def pod(name, template, **more):
    """A pod of a template."""
    labels, spec = template["metadata"]["labels"], {"restartPolicy": "Never"} | template["spec"] | more
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def of_gate():
    """The template of the pods that put load on inference."""
    return templates()[f"{RELEASE}-gate"]


def wrong_identities():
    """What is wrong with the service accounts and environments of pods, in sentences."""
    wrong = []
    for name, template in templates().items():
        spec, stage = template["spec"], STAGE_OF[component(template)]
        account = f"{RELEASE}-{stage or 'scheduler'}"
        if spec["serviceAccountName"] != account:
            wrong.append(f"{name} has the service account {spec['serviceAccountName']}")
        if spec.get("automountServiceAccountToken") is not (stage is not None):
            wrong.append(f"{name} has automountServiceAccountToken {spec.get('automountServiceAccountToken')}")
        allowed = {"PROWL_LOG_FORMAT"}
        if stage:
            allowed |= {"PROWL_STORE", "VAULT_ADDR", "VAULT_ROLE", "VAULT_SECRET_PATH"}
        for container in spec["containers"]:
            names = {variable["name"] for variable in container.get("env", [])}
            if names != allowed or container.get("envFrom"):
                wrong.append(f"{name} has the variables {', '.join(sorted(names))}")
    return wrong


def wrong_networks():
    """What is wrong with the network policies, in sentences."""
    policies = [item["spec"] for item in get("networkpolicy")["items"]]
    wrong = []
    for name, template in templates().items():
        labels, what = template["metadata"]["labels"], component(template)
        chosen = [policy for policy in policies if _chooses(policy["podSelector"], labels)]
        if not any({"Ingress", "Egress"} <= set(policy["policyTypes"]) for policy in chosen):
            wrong.append(f"no policy chooses the pods of {name}, so that they may speak to everybody")
            continue
        for direction, peers, allowed in (("ingress", "from", MAY_BE_ASKED[what]), ("egress", "to", MAY_ASK[what])):
            rules = [rule for policy in chosen for rule in policy.get(direction, [])]
            ports = {port["port"] for rule in rules for port in rule.get("ports", [{"port": "any"}])}
            if ports != allowed:
                wrong.append(f"{direction} of {name} has the ports {sorted(ports, key=str)} in place of {sorted(allowed)}")
            for rule in rules:
                inside = {port["port"] for port in rule.get("ports", [])} & INSIDE
                if inside and not rule.get(peers):
                    wrong.append(f"{direction} of {name} says nobody in particular for the ports {sorted(inside)}")
    return wrong


def _chooses(selector, labels):
    if selector.get("matchExpressions"):
        raise NotImplementedError("a policy with matchExpressions")
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
