"""The servers of the race, each started on given cores, and the load that they are put under."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measure import Failed, clean, free_port, pinned  # noqa: E402
from race import BIN  # noqa: E402

PATIENCE = 120
"""Seconds in which a server has to be ready."""


def prowl(work, program, *arguments):
    """Runs a program of ours to its end; what it says goes to a file in `work`."""
    log = work / f"{program}.log"
    with open(log, "w") as said:
        if subprocess.run([BIN / program, *map(str, arguments)], stdout=said, stderr=said, env=clean()).returncode:
            raise Failed(f"{program} failed; see {log}")


class Server:
    """A program that listens; it is ended at the end of a `with`. `load` names the options that have it called."""

    def __init__(self, name, cores, command, load, ready, log, environment=(), folder=None):
        self.name, self.load = name, list(map(str, load))
        self.log = open(log, "w")
        self.process = subprocess.Popen(
            pinned(cores, command), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder,
            env=clean(environment), start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + PATIENCE
        try:
            while not ready():
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Failed(f"{name} is not ready; see {log}")
                time.sleep(0.02)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its own session, so that what it started ends with it.
        try:
            os.killpg(self.process.pid, 15)
            self.process.wait(timeout=30)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
        self.log.close()

    def resident(self):
        """Megabytes (10^6 bytes) that it holds now."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line.split()[1] for line in status if line.startswith("VmRSS"))) * 1024 / 1e6


def listens(port):
    def ready():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return ready


def answers(url):
    def ready():
        try:
            return urllib.request.urlopen(url, timeout=1).status == 200
        except (OSError, urllib.error.URLError):
            return False

    return ready


def ours(binaries, store, cores, log, requests):
    grpc, http = free_port(), free_port()
    command = [binaries / "prowl-inference", "--insecure", "--store", f"file://{store}", "--grpc-addr", f"127.0.0.1:{grpc}", "--http-addr", f"127.0.0.1:{http}"]
    url = f"http://127.0.0.1:{grpc}"
    return Server("ours", cores, command, ["--url", url, *requests], answers(f"http://127.0.0.1:{http}/readyz"), log)


def empty(binaries, answer, cores, log, requests):
    port = free_port()
    command = [binaries / "examples" / "bench_empty", "--answer", answer, "--grpc-addr", f"127.0.0.1:{port}"]
    return Server("empty handler", cores, command, ["--url", f"http://127.0.0.1:{port}", *requests], listens(port), log)


def mlserver(python, folder, shape, cores, log):
    subprocess.run([python, SKLEARN, "mlserver", folder, *map(str, shape)], check=True)
    grpc, http, metrics = free_port(), free_port(), free_port()
    # No worker beside the process itself: on one core it would be a copy of each request more.
    settings = {"debug": False, "host": "127.0.0.1", "grpc_port": grpc, "http_port": http, "metrics_port": metrics, "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(settings))
    load = ["--url", f"http://127.0.0.1:{grpc}", "--method", "/inference.GRPCInferenceService/ModelInfer", "--payload", folder / "request"]
    ready = answers(f"http://127.0.0.1:{http}/v2/models/autoencoder/ready")
    return Server("MLServer, gRPC", cores, [python.parent / "mlserver", "start", folder], load, ready, log)


def mlflow(python, folder, shape, cores, log):
    subprocess.run([python, SKLEARN, "mlflow", folder, *map(str, shape)], check=True, stderr=subprocess.DEVNULL)
    port = free_port()
    command = [python.parent / "mlflow", "models", "serve", "-m", folder / "model", "-h", "127.0.0.1", "-p", port, "--env-manager", "local", "--workers", 1]
    load = ["--url", f"http://127.0.0.1:{port}/invocations", "--http", "--payload", folder / "request"]
    # It starts uvicorn by name; a line of log for each call would slow it down.
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_ACCESS_LOG": "false"}
    return Server("MLflow, HTTP", cores, command, load, answers(f"http://127.0.0.1:{port}/ping"), log, environment)


SKLEARN = pathlib.Path(__file__).resolve().parent / "peer_sklearn.py"


class Load:
    """The generator, on cores of its own."""

    def __init__(self, binaries, cores):
        self.program, self.cores = binaries / "examples" / "bench_load", cores

    def run(self, server, *options):
        """What it found, its one line of JSON."""
        done = subprocess.run(pinned(self.cores, [self.program, *server.load, *options]), capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"the load on {server.name} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def started(self, command, log, url):
        """Milliseconds from the start of a server to the first answer of its health that is SERVING."""
        waiter = subprocess.Popen(pinned(self.cores[:1], [self.program, "--url", url, "--await-serving"]), stdout=subprocess.PIPE, text=True)
        time.sleep(0.2)
        with open(log, "w") as said:
            began = time.perf_counter()
            server = subprocess.Popen(list(map(str, command)), stdout=said, stderr=said)
            serving = waiter.stdout.readline()
            took = time.perf_counter() - began
        server.terminate()
        server.wait()
        if waiter.wait() or not serving:
            raise Failed(f"the server did not become SERVING; see {log}")
        return took * 1000
