"""The service under load while it changes: models and histories that are published, replicas that are restarted."""

import contextlib
import json
import shutil
import signal
import subprocess
import threading
import time

from measure import Failed

FOLLOW = ["--follow", "--follow-every", "200ms", "--follow-profiles", "--follow-profiles-every", "300ms"]
SWAP_SECONDS = 3
"""Longest time for a model and a history to be taken."""


class Published:
    """A store that is published to version by version, from one that holds them all."""

    def __init__(self, all_of, folder):
        self.all_of, self.folder = all_of, folder
        shutil.rmtree(folder, ignore_errors=True)
        self.versions = {kind: sorted(path.name for path in (all_of / kind).iterdir()) for kind in ["models", "features"]}
        self.digests = [json.loads((all_of / "models" / name / "manifest.json").read_text())["details"]["model_digest"] for name in self.versions["models"]]
        for kind in self.versions:
            (folder / kind).mkdir(parents=True)
        self.publish("models", 0)
        self.publish("features", 0)

    def publish(self, kind, place):
        """As a whole, as a store does it by writing the manifest last."""
        name = self.versions[kind][place]
        shutil.copytree(self.all_of / kind / name, self.folder / f"{name}.partial")
        (self.folder / f"{name}.partial").rename(self.folder / kind / name)


def until(what, holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def swaps(server, load, published, options, rate, say):
    """Publishes all that there is under load. What the load found, and how many models and histories were taken."""
    count = len(published.digests) - 1
    found, taken = {}, 0
    seconds = SWAP_SECONDS * count
    loading = threading.Thread(target=lambda: found.update(load.run(server, *options, "--rate", rate, "--seconds", seconds, "--models")))
    loading.start()
    time.sleep(1)
    for place in range(1, count + 1):
        published.publish("features", place)
        history = f'"history":"{published.versions["features"][place]}"'
        until("the history", lambda: server.said("serving what is newer", history))
        published.publish("models", place)
        until("the model", lambda: server.model() == published.digests[place])
        taken += 1
        if not loading.is_alive():
            raise Failed(f"the load was over after {taken} of {count} swaps")
    loading.join()
    if "codes" not in found:
        raise Failed("the load failed")
    foreign = set(found["models"]) - set(published.digests)
    say(f"  {taken} models and histories taken at {found['rate']:,.0f} calls a second: {found['codes']}, p99 {found['p99']:.2f} ms,"
        f" answers of {len(found['models'])} models")  # fmt: skip
    return found, taken, foreign


def restarts(start, published, python, client, rate, documents, count, say):
    """Ends one replica of two by SIGTERM and starts it again, in turns. What the client found."""
    with contextlib.ExitStack() as stack:
        replicas = []
        stack.callback(lambda: [replica.__exit__() for replica in replicas])
        for place in range(2):
            replicas.append(start(place))
        addresses = [replica.grpc for replica in replicas]
        calling = subprocess.Popen([python, client, str(rate), documents, *addresses], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(calling.kill)
        for replica in replicas:
            until("the first calls", replica.has_answered)
        for turn in range(count):
            place = turn % 2
            replicas[place].process.send_signal(signal.SIGTERM)
            code = replicas[place].process.wait(timeout=60)
            if code:
                raise Failed(f"a replica ended with {code}")
            replicas[place].log.close()
            replicas[place] = start(place)
            # As a rollout waits until a replica is ready, and balancers know of it.
            until("calls on the new replica", replicas[place].has_answered)
        told, _ = calling.communicate("", timeout=60)
    found = json.loads(told)
    say(f"  {count} restarts at {rate:,.0f} calls a second: {found['codes']}")
    return found, set(found["models"]) - set(published.digests)
