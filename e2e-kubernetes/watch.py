"""A release, looked at several times a second: where each Service leads, and what the analyses say."""

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from cluster import API
from place import KUBECONFIG, NAMESPACE, RELEASE, RUN, Failed

NAME = f"{RELEASE}-inference"
ARGO = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"


def ask(path):
    """An answer of the API server. kubectl would take a tenth of a second of a core for each."""
    token = json.loads(KUBECONFIG.read_text())["users"][0]["user"]["token"]
    request = urllib.request.Request(API + path, headers={"authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=RUN / "ca.crt")
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return json.load(answer)


@dataclass
class Look:
    """What was seen at one moment."""

    at: float
    preview: str
    active: str
    phase: str
    message: str
    analyses: dict = field(default_factory=dict)  # (hash, PrePromotion or PostPromotion) -> phase


def look():
    def leads_to(service):
        return ask(f"{CORE}/services/{service}")["spec"].get("selector", {}).get("rollouts-pod-template-hash", "")

    # Services first: what is seen later of the analyses is as new or newer, never older.
    preview, active = leads_to(f"{NAME}-preview"), leads_to(NAME)
    status = ask(f"{ARGO}/rollouts/{NAME}").get("status", {})
    analyses = {}
    for item in sorted(ask(f"{ARGO}/analysisruns")["items"], key=lambda item: item["metadata"]["creationTimestamp"]):
        labels = item["metadata"].get("labels", {})
        key = labels.get("rollouts-pod-template-hash"), labels.get("rollout-type")
        analyses[key] = item.get("status", {}).get("phase", "Pending")
    return Look(time.monotonic(), preview, active, status.get("phase", ""), status.get("message", ""), analyses)


def hash_of(model):
    """The hash of the pods that serve a model; empty before there are any."""
    sets = ask(f"{APPS}/replicasets")["items"]
    found = [item for item in sets if item["spec"]["template"]["metadata"]["labels"].get("prowl-model") == model]
    newest = max(found, key=lambda item: int(item["metadata"]["annotations"].get("rollout.argoproj.io/revision", 0)), default=None)
    return newest["metadata"]["labels"]["rollouts-pod-template-hash"] if newest else ""


class Watch:
    """Looks until it is left, beside what else happens."""

    def __enter__(self):
        self.looks, self._seen, self._end = [look()], 0, threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _go_on(self):
        while not self._end.wait(0.3):
            try:
                self.looks.append(look())
            except (OSError, urllib.error.URLError, KeyError):
                continue

    def until(self, seconds, what, condition):
        """Waits for a look of which the condition holds, after the one that was waited for before, and gives it."""
        end = time.monotonic() + seconds
        while True:
            while self._seen < len(self.looks):
                one = self.looks[self._seen]
                self._seen += 1
                if condition(one):
                    return one
            if time.monotonic() > end:
                raise Failed(f"waited {seconds} s for {what}; the last that was seen: {self.looks[-1]}")
            time.sleep(0.1)
