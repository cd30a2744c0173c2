"""The servers of the race: a database and a GitHub, each started on given cores."""

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measure import Failed, free_port, pinned  # noqa: E402

PATIENCE = 120
"""Seconds in which a server has to be ready, or to end."""


def end(process, name):
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{name} did not end within {PATIENCE} s") from None


@contextlib.contextmanager
def database(python, folder, cores, log):
    """A server of MongoDB's protocol that keeps its data in `folder`, which may hold some already; yields its URI."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [python.parent / "secantusd-py", "--host", "127.0.0.1", "--port", port, "--log-level", "WARNING", "--storage-path", folder]
    with open(log, "w") as said:
        process = subprocess.Popen(pinned(cores, command), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if process.poll() is not None or time.monotonic() > until:
                    raise Failed(f"the database is not ready; see {log}")
                time.sleep(0.05)
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            end(process, "the database")


@contextlib.contextmanager
def empty_database(python, folder, cores, log):
    """The same, with nothing in it, and nothing of it kept."""
    shutil.rmtree(folder, ignore_errors=True)
    with database(python, folder, cores, log) as uri:
        yield uri
    shutil.rmtree(folder)


class GitHub:
    """The local GitHub; it is ended at the end of a `with`."""

    def __init__(self, program, cores, log, repositories, pull_requests, files, latency, points, window):
        self.log = open(log, "w")
        command = [program, repositories, pull_requests, files, latency, points, window]
        self.process = subprocess.Popen(pinned(cores, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = self.read()
        self.url, self.environment = ready["url"], {"GITHUB_TOKEN": ready["token"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the local GitHub ended; see {self.log.name}")
        return json.loads(line)

    def found(self):
        """What was asked since the last time."""
        print(file=self.process.stdin, flush=True)
        return self.read()
