"""A scratch repository with the branches staging and main, and the scripts as a pipeline calls them."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

DELIVERY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DELIVERY))

import environments  # noqa: E402
import release  # noqa: E402
import stages  # noqa: E402

MODEL = "20261124T214500Z"


def digest(character):
    return "sha256:" + character * 64


RELEASE = (
    "# Promotion moves this file.\ndigests:\n"
    + "".join(f'  {target}: "{digest("a")}"  # of {target}\n' for target in stages.TARGETS)
    + f'model:\n  version: "{MODEL}"\n  digest: ""\n'
)

TABLE = "| value | staging | production | why |\n|---|---|---|---|\n| `environment` | `staging` | `production` | why |\n| `replicas` | `1` | `2` | why |\n"


def fake(folder, name, body=""):
    """A program that writes what it is called with into `calls` beside it."""
    file = Path(folder, name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>"{folder}/calls"\n{body}\n')
    file.chmod(0o755)


def calls(folder):
    """What the programs there were called with."""
    file = Path(folder, "calls")
    return file.read_text().splitlines() if file.exists() else []


def shell(program, *arguments, at=None, env=None):
    """Runs a script of bash as a pipeline does."""
    env = {"PATH": os.environ["PATH"], **(env or {})}
    return subprocess.run([DELIVERY / program, *arguments], check=False, cwd=at, env=env, capture_output=True, text=True)


def script(name, *arguments, at=None, env=None):
    """Runs a script as a pipeline does, with nothing of what the developer has set."""
    env = {"PATH": os.environ["PATH"], **(env or {})}
    return subprocess.run([sys.executable, DELIVERY / name, *arguments], check=False, cwd=at, env=env, capture_output=True, text=True)


def serve(case, answer):
    """A server for the time of a test case, which tells `answer(path, headers)`, a status and what is said as JSON. Gives its host and port."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, said = answer(self.path, self.headers)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    case.addCleanup(server.server_close)
    case.addCleanup(server.shutdown)
    return f"127.0.0.1:{server.server_port}"


class TwoBranches(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.remote, self.tree = Path(folder.name, "remote"), Path(folder.name, "tree")
        # Nothing of what the developer has set changes what is tested.
        self.env = {"PATH": os.environ["PATH"], "HOME": folder.name, "GIT_CONFIG_NOSYSTEM": "1", "REGISTRY": "registry.test/prowl"}
        self.git("init", "--quiet", "--bare", self.remote, at=folder.name)
        self.git("clone", "--quiet", self.remote, self.tree, at=folder.name)
        for name, value in {"user.name": "test", "user.email": "test@example.com"}.items():
            self.git("config", name, value)
        self.git("checkout", "--quiet", "-b", "main")
        own = {f"{environments.FOLDER}/{name}.yaml": f"environment: {name}\n" for name in environments.NAMES}
        known = (DELIVERY / "stages.json").read_text()
        self.commit({release.RELEASE: RELEASE, stages.FILE: known, "helm/prowl/values.yaml": "replicas: 1\n", environments.TABLE: TABLE, **own})
        self.git("push", "--quiet", "origin", "main", "main:staging")
        self.git("checkout", "--quiet", "-b", "staging")

    def git(self, *arguments, at=None):
        command = ["git", "-C", str(at or self.tree), *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.env).stdout.strip()

    def commit(self, files):
        for path, text in files.items():
            file = self.tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")

    def push(self, files, branch="staging"):
        """A commit on top of what the branch is at."""
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "-B", branch, f"origin/{branch}")
        self.commit(files)
        self.git("push", "--quiet", "origin", branch)
        return self.at(branch)

    def at(self, branch):
        return self.git("ls-remote", "origin", f"refs/heads/{branch}").split()[0]

    def show(self, branch, path):
        self.git("fetch", "--quiet", "origin")
        return self.git("show", f"origin/{branch}:{path}")

    def script(self, name, *arguments, env=None):
        return script(name, *arguments, at=self.tree, env={**self.env, **(env or {})})

    def done(self, name, *arguments, env=None):
        ended = self.script(name, *arguments, env=env)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def refused(self, because, name, *arguments, env=None):
        main = self.at("main")
        ended = self.script(name, *arguments, env=env)
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        self.assertIn(because, ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)
        self.assertEqual(self.at("main"), main)
