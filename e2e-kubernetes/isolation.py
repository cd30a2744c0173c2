"""Namespaces of its own for a run (network, mounts, processes), which end with it, and what namespaces do not hold: put back afterwards."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from place import RUN, STATE, say

# What a kubelet sets for the whole machine, whatever namespace it is in.
SYSCTLS = [
    "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
]
# How they were before, and which folders were not there; there as long as not all of it is put back.
BEFORE = STATE / "before.json"
# Where kubelet, containerd and network plugins write besides: each is covered by a file system of the mount namespace.
COVERED = [Path(path) for path in ("/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers")]
CGROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def alone():
    """One run at a time, on a machine that runs no pods of others. What a run has left that was killed is put back first."""
    STATE.mkdir(parents=True, exist_ok=True)
    with open(STATE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run is at work, and there can be one kubelet on a machine")
        if BEFORE.exists():
            clean()
        if _cgroups():
            sys.exit(f"this machine runs pods already ({_cgroups()[0]}), and there can be one kubelet on a machine")
        yield


def run_inside(command, environment):
    """Runs a command in namespaces of its own. Gives its exit code, or 1 where something is left behind."""
    made = [path for path in COVERED if not path.exists()]
    BEFORE.write_text(json.dumps({"sysctls": _sysctls(), "made": list(map(str, made))}))
    for path in made:
        path.mkdir(parents=True)
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir()
    # Everything inside ends with the first process there, which ends with unshare, which ends with this program.
    namespaces = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # A group of its own, so that a Ctrl-C comes here alone.
    inner = subprocess.Popen([*namespaces, *command], env=environment, process_group=0)
    ended_by = []

    def end(number, _):
        ended_by.append(number)
        inner.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        code = inner.wait()
    finally:
        inner.kill()
        left = clean()
    if ended_by:
        say(f"ended by {signal.Signals(ended_by[0]).name}")
        code = 128 + ended_by[0]
    say(f"left behind: {', '.join(map(str, left))}" if left else "nothing is left behind")
    return code if code > 0 else int(bool(left or code))


def cover():
    """Called inside: keeps what would be written elsewhere within the mount namespace."""
    for path in COVERED:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)


def clean():
    """Puts back what the end of the namespaces does not, and gives what could not be."""
    before = json.loads(BEFORE.read_text())
    made, sysctls = list(map(Path, before["made"])), before["sysctls"]
    for _ in range(50):
        # Those below come before those above. Their processes, and what they hold open, are still being ended at first.
        for folder in [*_cgroups(), *made]:
            with contextlib.suppress(OSError):
                folder.rmdir()
        shutil.rmtree(RUN, ignore_errors=True)
        left = [path for path in [*_cgroups(), *made, RUN] if path.exists()]
        if not left:
            break
        time.sleep(0.2)
    for name, value in _sysctls().items():
        if value != sysctls[name]:
            _of(name).write_text(sysctls[name])
    left += [name for name, value in _sysctls().items() if value != sysctls[name]]
    if not left:
        BEFORE.unlink()
    return left


def _of(sysctl):
    return Path("/proc/sys") / sysctl.replace(".", "/")


def _sysctls():
    return {name: _of(name).read_text().strip() for name in SYSCTLS if _of(name).exists()}


def _cgroups():
    """The control groups of pods, those below before those above."""
    return [Path(folder) for folder, _, _ in os.walk(CGROUPS, topdown=False) if "/kubepods" in folder]
