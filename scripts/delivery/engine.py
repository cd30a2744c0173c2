"""Containers, by whichever of podman, buildah and docker has the image: on the network of this machine, as a pod of ours runs otherwise
(user 65532, nothing of it writable but /tmp, no capabilities). buildah has no read-only root."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

USER = "65532:65532"


def find(image):
    """The engine that has the image."""
    asked = {"podman": ["podman", "image", "exists"], "buildah": ["buildah", "inspect", "--type", "image"], "docker": ["docker", "image", "inspect"]}
    for engine, command in asked.items():
        if shutil.which(engine) and subprocess.run([*command, image], check=False, capture_output=True).returncode == 0:
            return engine
    raise SystemExit(f"no podman, buildah or docker here has {image}: images/build makes it")


class Container:
    """A container that runs a program of an image. Its log is in a file."""

    def __init__(self, engine, image, program, arguments, env, log, mounts=()):
        self.engine, self.program, self.log, self.closing = engine, program, log, contextlib.ExitStack()
        options = [option for name, value in env.items() for option in ("--env", f"{name}={value}")]
        mounted = [option for source, target in mounts for option in ("--volume", f"{source}:{target}:ro")]
        if engine == "buildah":
            name = _run("buildah", "from", "--pull-never", image)
            self.closing.callback(_run, "buildah", "rm", name)
            tmp = self.closing.enter_context(tempfile.TemporaryDirectory())
            os.chmod(tmp, 0o1777)
            command = ["buildah", "run", "--isolation", "chroot", "--user", USER, *options, *mounted, "--volume", f"{tmp}:/tmp", name, "--"]
        else:
            command = [engine, "run", "--rm", "--pull=never", "--network=host", "--read-only", "--tmpfs=/tmp", "--cap-drop=all"]
            command += ["--security-opt=no-new-privileges", *options, *mounted, "--entrypoint", program, image]
            program = None
        out = self.closing.enter_context(open(f"{log}.out", "w"))
        err = self.closing.enter_context(open(log, "w"))
        self.process = subprocess.Popen([*command, *([program] if program else []), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def alive(self):
        """Raises where it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.program} ended with {self.process.returncode}:\n{self.words()[-2000:]}")

    def wait(self):
        """Its exit code, once it has ended by itself."""
        try:
            return self.process.wait(timeout=300)
        finally:
            self.closing.close()

    def stop(self):
        """Its exit code after SIGTERM."""
        try:
            if self.process.poll() is None:
                # buildah does not hand signals on.
                ids = _below(self.process.pid, Path(self.program).name) if self.engine == "buildah" else [self.process.pid]
                for pid in ids:
                    os.kill(pid, signal.SIGTERM)
            return self.process.wait(timeout=60)
        finally:
            if self.process.poll() is None:
                for pid in [*_below(self.process.pid, Path(self.program).name), self.process.pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()
            self.closing.close()

    def words(self):
        """All that it has written."""
        return Path(f"{self.log}.out").read_text() + Path(self.log).read_text()


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _below(pid, program):
    """Those of the processes that `pid` has started which run the program; names in /proc are cut to 15 characters."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
            if Path(f"/proc/{parent}/comm").read_text().strip() == program[:15]:
                found.append(parent)
    return found
