"""Claims about the change from one model to another, over which a client in the cluster asks all the time."""

import json
import re

import delivery
import jobs
import neighbours
from claims import breaks, check, claim
from cluster import get, kubectl, run
from place import NAMESPACE, say, until
from watch import NAME, Watch, hash_of

CHANGE = 240


@claim
def release(world):
    """A second model goes live: preview moves first, the gate's Job judges it there, and active follows only after that has succeeded."""
    jobs.collect(600, 8)
    world.second = jobs.to_model()[-1]
    world.client = jobs.Client()
    with Watch() as watch:
        old = watch.looks[0].active
        delivery.propose(world.second)
        world.commit = delivery.sync()
        new = until(60, "pods of the second model", lambda: hash_of(world.second))
        first = watch.until(CHANGE, "the gate", lambda look: look.analyses.get((new, "PrePromotion")) == "Running" or look.active == new)
        check((first.preview, first.active) == (new, old), f"when the gate began, preview led to {first.preview}, active to {first.active}")
        gate_began = first.at
        switched = watch.until(CHANGE, "the switch", lambda look: look.active == new or look.phase == "Degraded")
        check(switched.active == new, f"the second model was refused: {switched.message}")
        watch.until(CHANGE, "a healthy second model", lambda look: look.phase == "Healthy" and look.active == new)
        looks = list(watch.looks)
    for look in looks:
        check(look.active == old or look.analyses.get((new, "PrePromotion")) == "Successful",
              f"active leads to {look.active} while the gate says {look.analyses}")
    order = [look.active for place, look in enumerate(looks) if place == 0 or look.active != looks[place - 1].active]
    check(order == [old, new], f"active led to {order}, one after the other")
    check(looks[-1].analyses.get((new, "PostPromotion")) == "Successful", "nothing has looked at the active Service after the switch")
    log = gate_log(new)
    check(re.search(r"decision\s+go for", log), f"the gate's Job has said: {log[-500:]}")
    return f"preview at once, active {switched.at - gate_began:.0f} s later, after the gate"


def gate_log(hashed):
    """What the Job of the gate has said about the pods of this hash."""
    runs = get("analysisrun", "-l", f"rollouts-pod-template-hash={hashed},rollout-type=PrePromotion")["items"]
    measured = [one for item in runs for result in item["status"].get("metricResults", []) for one in result["measurements"]]
    check(measured, f"no gate has run for {hashed}")
    return kubectl("logs", f"job/{measured[-1]['metadata']['job-name']}", "--tail=-1")


@claim
def refusal(world):
    """A bad model, whose network is not the one that was trained, stays out: the gate finds it, and active stays where it is."""
    bad = jobs.plant_bad_model(world.second)
    with Watch() as watch:
        old = watch.looks[0].active
        delivery.propose(bad)
        delivery.sync()
        new = until(60, "pods of the bad model", lambda: hash_of(bad))
        watch.until(CHANGE, "an end", lambda look: look.phase == "Degraded" or look.active == new)
        looks = list(watch.looks)
    check(all(look.active == old for look in looks), "the bad model went live")
    check(looks[-1].analyses.get((new, "PrePromotion")) == "Failed", f"the gate says {looks[-1].analyses}")
    log = gate_log(new)
    check(re.search(r"decision\s+no go for", log) and "panel" in log, f"the gate does not say why: {log[-500:]}")
    return "the gate says no go for its panel, and active has not moved"


@claim
def undo(world):
    """`abort` ends a release while the gate looks, and `undo` goes back to what serves; active moves at neither."""
    def argo(command):
        return run("kubectl", "argo", "rollouts", "-n", NAMESPACE, command, NAME)

    with Watch() as watch:
        serving = watch.looks[0].active
        check(serving == hash_of(world.second), f"active leads to {serving}")
        argo("undo")
        watch.until(60, "the way back from the bad model", lambda look: look.phase == "Healthy" and look.preview == serving)
        delivery.propose(world.first)
        delivery.sync()
        new = until(60, "pods of the first model", lambda: hash_of(world.first))
        watch.until(CHANGE, "the gate", lambda look: look.analyses.get((new, "PrePromotion")) == "Running" or look.active == new)
        argo("abort")
        watch.until(60, "the end of the release", lambda look: look.phase == "Degraded" or look.active == new)
        argo("undo")
        watch.until(60, "the way back", lambda look: look.phase == "Healthy" and look.preview == serving)
        looks = list(watch.looks)
    # Git says so, too.
    delivery.propose(world.second)
    delivery.sync()
    check(all(look.active == serving for look in looks), "active has moved")
    return "back at the second model twice, and active has not moved"


@breaks("release")
@breaks("refusal")
@breaks("undo")
def without_the_gate(world):
    patch = [{"op": "remove", "path": "/spec/strategy/blueGreen/prePromotionAnalysis"}]
    kubectl("patch", "rollout", NAME, "--type=json", "-p", json.dumps(patch))


@claim
def unbroken(world):
    """Over all of it no call of the client has failed, and each answer named the digest of one of the two models."""
    counted = world.client.stop()
    calls, failed = (sum(row[key] for row in counted["rows"]) for key in ("calls", "failed"))
    check(not failed and not counted["failures"], f"{failed} of {calls} calls failed: {counted['failures']}")
    check(not counted["generator"]["shed"], f"{counted['generator']['shed']} calls were not made")
    answers = counted["answers"]
    named = {jobs.digest_of(world.first): "first", jobs.digest_of(world.second): "second"}
    check(set(answers) == set(named) and sum(answers.values()) == calls, f"answers came from {answers}, of {calls} calls")
    told = ", ".join(f"{count} of the {named[digest]} model" for digest, count in answers.items())
    return f"{calls} calls in {counted['generator']['seconds']:.0f} s, none failed: {told}; {counted['again']} were made again"


@breaks("unbroken")
def with_servers_that_are_killed(world):
    kubectl("delete", "pod", "-l", "app.kubernetes.io/component=inference", "--grace-period=0", "--force", check=False)
    until(90, "new servers", lambda: get("rollout", NAME)["status"].get("availableReplicas", 0) >= 2)


@claim
def silence(world):
    """No secret is in a log, an event or an object of the namespace."""
    kinds = "pod,job,cronjob,deployment,rollout,analysisrun,analysistemplate,configmap,secret,service,serviceaccount"
    texts = {"the events": kubectl("get", "events", "-o", "yaml"), "the objects": kubectl("get", kinds, "-o", "yaml")}
    for pod in get("pods")["items"]:
        name = pod["metadata"]["name"]
        texts[f"the log of {name}"] = kubectl("logs", name, "--tail=-1", check=False)
    found = [place for place, text in texts.items() if neighbours.planted(text)]
    check(not found, f"secrets are in {', '.join(found)}")
    say(f"  {len(texts) - 2} logs read")
    return "no secret is in a log, an event or an object"


@breaks("silence")
def with_a_secret_in_an_object(world):
    kubectl("create", "configmap", "careless", f"--from-literal=key={neighbours.a_secret()}")
