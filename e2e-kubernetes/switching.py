"""Claims about the change from one model to another, over which a client in the cluster asks all the time."""

import json
import re

import delivery
import jobs
import neighbours
import objects
from claims import breaks, check, claim
from cluster import get, kubectl, run
from place import NAMESPACE, RELEASE, say, until
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
        delivery.sync()
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


def gate_runs(hashed):
    return get("analysisrun", "-l", f"rollouts-pod-template-hash={hashed},rollout-type=PrePromotion")["items"]


def gates(hashed):
    """What each gate of the pods of this hash says, by name."""
    return {item["metadata"]["name"]: item["status"].get("phase") for item in gate_runs(hashed)}


def gate_log(hashed):
    """What the Job of the gate has said about the pods of this hash."""
    measured = [one for item in gate_runs(hashed) for result in item["status"].get("metricResults", []) for one in result["measurements"]]
    check(measured, f"no gate has run for {hashed}")
    return kubectl("logs", f"job/{measured[-1]['metadata']['job-name']}", "--tail=-1")


@claim
def refusal(world):
    """A bad model, whose network is not the one that was trained, stays out: the gate finds it, and active stays where it is."""
    world.bad = jobs.plant_bad_model(world.second)
    with Watch() as watch:
        old = watch.looks[0].active
        delivery.propose(world.bad)
        delivery.sync()
        new = until(60, "pods of the bad model", lambda: hash_of(world.bad))
        watch.until(CHANGE, "an end", lambda look: look.phase == "Degraded" or look.active == new)
        looks = list(watch.looks)
    check(all(look.active == old for look in looks), "the bad model went live")
    check(looks[-1].analyses.get((new, "PrePromotion")) == "Failed", f"the gate says {looks[-1].analyses}")
    log = gate_log(new)
    check(re.search(r"decision\s+no go for", log) and "panel" in log, f"the gate does not say why: {log[-500:]}")
    return "the gate says no go for its panel, and active has not moved"


def argo(command):
    run("kubectl", "argo", "rollouts", "-n", NAMESPACE, command, NAME)


def leave_out(analysis):
    """Takes an analysis out of the chart, as it is in Git and in the cluster."""
    def change(text):
        block = re.search(rf"^( +){analysis}:\n(?:\1 .*\n)+", text, re.M)
        return text.replace(block[0], "")

    delivery.edit("staging", "helm/prowl/templates/inference/rollout.yaml", change)
    delivery.sync(undone=True)


def gone(model):
    """Waits until no pod of the model is left, and gives their hash."""
    hashed = hash_of(model)
    of_it = f"app.kubernetes.io/component=inference,rollouts-pod-template-hash={hashed}"
    until(90, f"the end of the pods of {model}", lambda: not get("pods", "-l", of_it)["items"])
    return hashed


@claim
def undo(world):
    """`undo` goes back to what serves, and `abort` ends a release while the gate looks; active moves at neither, and what was refused
    meets the gate again."""
    with Watch() as watch:
        serving = watch.looks[0].active
        check(serving == hash_of(world.second), f"active leads to {serving}")

        def undone():
            argo("undo")
            watch.until(60, "the way back", lambda look: look.phase == "Healthy" and look.preview == serving)

        undone()
        # Git says so, too, and then once more what was refused.
        refused = hash_of(world.bad)
        earlier = gates(refused)
        for model in (world.second, world.bad):
            delivery.propose(model)
            delivery.sync(undone=True)
        watch.until(CHANGE, "the gate", lambda look: len(gates(refused)) > len(earlier) or look.active == refused)
        watch.until(CHANGE, "its no", lambda look: look.phase == "Degraded" or look.active == refused)
        undone()
        delivery.propose(world.first)
        delivery.sync(undone=True)
        new = until(60, "pods of the first model", lambda: hash_of(world.first))
        watch.until(CHANGE, "the gate", lambda look: look.analyses.get((new, "PrePromotion")) == "Running" or look.active == new)
        argo("abort")
        watch.until(60, "the end of the release", lambda look: look.phase == "Degraded" or look.active == new)
        undone()
        looks = list(watch.looks)
    # Git says so, too.
    delivery.propose(world.second)
    delivery.sync(undone=True)
    check(all(look.active == serving for look in looks), "active has moved")
    return "back at the second model three times, and active has not moved"


@claim
def aftermath(world):
    """Where the look after the switch fails, active goes back to where it was."""
    with Watch() as watch:
        old = watch.looks[0].active
        template = f"{RELEASE}-after-switch"
        arguments = objects.templates()[template]["spec"]["containers"][0]["args"]
        place = next(number for number, argument in enumerate(arguments) if argument.startswith("--expect-version="))

        def expect(version):
            path = f"/spec/metrics/0/provider/job/spec/template/spec/containers/0/args/{place}"
            patch = [{"op": "replace", "path": path, "value": f"--expect-version={version}"}]
            kubectl("patch", "analysistemplate", template, "--type=json", "-p", json.dumps(patch))

        new = gone(world.first)
        delivery.propose(world.first)
        delivery.sync(undone=True)
        expect("nobody")
        watch.until(CHANGE, "the switch", lambda look: look.active == new or look.phase == "Degraded")
        watch.until(CHANGE, "the way back", lambda look: look.active == old and look.phase == "Degraded")
        said = watch.looks[-1].analyses.get((new, "PostPromotion"))
        check(said == "Failed", f"the look after the switch says {said}")
        expect("{{args.version}}")
        delivery.propose(world.second)
        delivery.sync(undone=True)
        watch.until(CHANGE, "health", lambda look: look.phase == "Healthy" and look.preview == look.active == old)
    return "active was switched, and back"


@breaks("aftermath")
def without_the_look_after_the_switch(world):
    leave_out("postPromotionAnalysis")


@claim
def back(world):
    """`undo` of what serves is a release like any other: active goes back after the gate, and forth again by what Git says."""
    def go(model, begin):
        new = gone(model)
        earlier = gates(new)
        begin()
        switched = watch.until(CHANGE, "the switch", lambda look: look.active == new or look.phase == "Degraded")
        check(switched.active == new, f"{model} was refused: {switched.message}")
        check([phase for name, phase in gates(new).items() if name not in earlier] == ["Successful"], f"no gate has let {model} in")
        watch.until(CHANGE, "health", lambda look: look.phase == "Healthy" and look.active == new)

    with Watch() as watch:
        go(world.first, lambda: argo("undo"))
        # Helm 3 looks at what it applied before, not at what is there: it has to hear of the way back, to see the way forth.
        delivery.propose(world.first)
        delivery.sync(undone=True)
        delivery.propose(world.second)
        go(world.second, lambda: delivery.sync(undone=True))
    return "the first model served again, then the second, each after the gate"


@breaks("release")
@breaks("refusal")
@breaks("undo")
@breaks("back")
def without_the_gate(world):
    leave_out("prePromotionAnalysis")


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
