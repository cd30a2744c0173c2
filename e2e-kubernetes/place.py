"""Where things are, and how a run speaks."""

import sys
import time
from pathlib import Path

from tools import CACHE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# What is kept from run to run.
STATE = CACHE / "prowl-kubernetes"
BIN = STATE / "bin"
CRDS = STATE / "crds"
PAUSE = STATE / "pause.tar"
# What belongs to one run, and goes with it.
RUN = STATE / "run"
KUBECONFIG = RUN / "kubeconfig"
SOCKET = RUN / "containerd.sock"

# What is left of it to be read.
LOGS = ROOT / "target/e2e-kubernetes"
IMAGES = ROOT / "target/images"

# The namespace's own address, at which pods reach the servers beside the cluster.
BRIDGE, ADDRESS = "prowl0", "10.99.0.1"
NAMESPACE = RELEASE = "prowl"
ENVIRONMENT = "staging"

BEGAN = time.monotonic()


class Failed(Exception):
    """Something is not as it has to be."""


def say(text):
    """A line with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:5.0f}s  {text}", file=sys.stderr, flush=True)


def until(seconds, what, condition, every=0.2):
    """Waits until the condition gives something, and gives it."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(every)
