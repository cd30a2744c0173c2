"""Claims about what stands in the cluster before anything is done with it."""

import json

import neighbours
import objects
from claims import breaks, check, claim
from cluster import get, kubectl, run, succeeds
from neighbours import AUDIENCE, STAGES
from place import ENVIRONMENT, NAMESPACE, RELEASE, until


@claim
def standard(world):
    """All of it is admitted under the restricted Pod Security Standard, which the namespace enforces. Scheduler and executors are up."""
    until(90, "scheduler and executors", lambda: all(
        item["status"].get("readyReplicas") == item["spec"]["replicas"] for item in get("deployment")["items"]))
    privileged = {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged"}, "spec": privileged}
    check(not succeeds("kubectl", "-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", given=json.dumps(pod)),
          "the namespace admits a privileged pod")
    templates = objects.templates()
    for name, template in templates.items():
        # Those of jobs are not made yet: would they be admitted?
        kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(objects.pod(f"try-{name}", template)))
    refused = [event["message"] for event in get("events")["items"] if "violates PodSecurity" in event["message"]]
    check(not refused, f"pods were refused: {refused}")
    return f"{len(templates)} kinds of pods are admitted, a privileged one is not"


@breaks("standard")
def without_the_label(world):
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce-")


@claim
def networks(world):
    """Each component may speak to what it needs and to nothing else, as the objects say: the network of this cluster enforces none."""
    wrong = objects.wrong_networks()
    check(not wrong, "; ".join(wrong))
    return f"{len(objects.MAY_ASK)} components have the ports that they need, in both directions"


@breaks("networks")
def without_a_policy(world):
    kubectl("delete", "networkpolicy", f"{RELEASE}-train")


@claim
def identities(world):
    """Each stage logs in to OpenBao by the token of its own service account, which OpenBao has the cluster review, and reads its own secret:
    403 for every other. Pods have no secret in their environment."""
    for stage in STAGES:
        token = kubectl("create", "token", f"{RELEASE}-{stage}", "--duration=10m").strip()
        for other in STAGES:
            status, answer = _login(other, token)
            check((status == 200) == (other == stage), f"{stage} logs in as {other} with {status}: {answer.get('errors')}")
            if other == stage:
                logged_in = answer["auth"]["client_token"]
        for other in STAGES:
            status, _ = neighbours.vault(f"secret/data/prowl/{ENVIRONMENT}/{other}", logged_in)
            wanted = 200 if other == stage else 403
            check(status == wanted, f"{stage} asks for the secret of {other}, and the answer is {status}, not {wanted}")
    elsewhere = kubectl("create", "token", f"{RELEASE}-trainer", "--duration=10m", "--audience=elsewhere").strip()
    check(_login("trainer", elsewhere)[0] != 200, f"a token that is not made for {AUDIENCE} logs in")
    nobody = kubectl("create", "token", "default", "--duration=10m").strip()
    check(_login("trainer", nobody)[0] != 200, "any service account logs in")
    again = neighbours.bootstrap().strip().splitlines()[-1]
    check(again == "nothing to change", f"a second bootstrap.sh says {again}")
    wrong = objects.wrong_identities()
    check(not wrong, "; ".join(wrong))
    return f"{len(STAGES)} stages read their own secret and get 403 for the {len(STAGES) - 1} others"


def _login(stage, token):
    body = json.dumps({"role": f"prowl-{ENVIRONMENT}-{stage}", "jwt": token}).encode()
    return neighbours.vault("auth/kubernetes/login", "", body)


@breaks("identities")
def with_a_policy_too_wide(world):
    policy = {"policy": 'path "secret/data/prowl/*" { capabilities = ["read"] }'}
    neighbours.vault(f"sys/policies/acl/prowl-{ENVIRONMENT}-trainer", body=json.dumps(policy).encode())
