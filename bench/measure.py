"""What a command costs: wall time, processor time and peak memory, those of its children and helpers included.

Reads `/proc`, so Linux only. Processor time and memory are sampled; what ends between two samples keeps its last value.
"""

import dataclasses
import os
import socket
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.05
FAMILY_SECONDS = 0.5
"""How often new children are looked for: that needs a walk over all processes."""


@dataclasses.dataclass
class Cost:
    """Of one run: seconds, seconds of processor, bytes; and what the command printed."""

    wall: float
    cpu: float
    peak: int
    stdout: str


class Failed(Exception):
    """A command did not end with 0."""


def pinned(cores, command):
    """The command on these cores, its words as text."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *map(str, command)]


def clean(more=()):
    """The environment without what would send our programs elsewhere: a store, a token or a Vault would change what is measured."""
    ours = ("PROWL_", "SPACES_", "VAULT_", "OTEL_", "RUST_LOG", "GITHUB_", "MONGO_", "MLFLOW_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **dict(more)}


def free_port():
    """One that nobody listens on; a moment later somebody may, but nobody else takes ports on a machine that races."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def withheld():
    """Seconds, of all processors, in which this machine wanted to run and its host ran another ("steal", proc_stat(5))."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / TICK


def stat(pid):
    """(parent, seconds of processor, resident bytes) of a process, or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name of the program stands in parentheses and may hold blanks.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * PAGE


def family(roots):
    """The processes `roots` and all that descend from them."""
    parents = {int(name): seen[0] for name in os.listdir("/proc") if name.isdigit() and (seen := stat(name))}
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


class Watch:
    """Samples processes until it is stopped; `cpu()` counts from the start of the watch."""

    def __init__(self, roots):
        self.roots = roots
        self.peak = 0
        self.first = {pid: seen[1] for pid in family(roots) if (seen := stat(pid))}
        self.last = dict(self.first)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        pids, looked = set(), 0.0
        while not self.done.is_set():
            if time.monotonic() - looked > FAMILY_SECONDS or not pids:
                pids, looked = family(self.roots), time.monotonic()
            seen = {pid: now for pid in pids if (now := stat(pid))}
            self.last.update({pid: cpu for pid, (_, cpu, _) in seen.items()})
            self.peak = max(self.peak, sum(resident for _, _, resident in seen.values()))
            self.done.wait(SAMPLE_SECONDS)

    def stop(self):
        self.done.set()
        self.thread.join()

    def cpu(self, exact):
        """Seconds of processor of all; `exact` are those that are known for sure, by process."""
        total = {**{pid: cpu - self.first.get(pid, 0.0) for pid, cpu in self.last.items()}}
        return sum({**total, **{pid: max(cpu, total.get(pid, 0.0)) for pid, cpu in exact.items()}}.values())


def measure(command, log, cores, beside=(), environment=None):
    """Runs `command` on `cores` and returns its `Cost`; what it says on standard error goes to the file `log`.

    The costs of the processes `beside`, which stand already and work for the command, are part of it. Start the command
    from a small process: Linux counts the memory of the parent at the fork, too.
    """
    with open(log, "w") as errors:
        started = time.perf_counter()
        child = subprocess.Popen(
            pinned(cores, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        watch = Watch([child.pid, *beside])
        try:
            with child.stdout:
                stdout = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.stop()
            if child.returncode is None:
                child.kill()
    if child.returncode:
        with open(log) as said:
            tail = "".join(said.readlines()[-15:])
        raise Failed(f"{command[0]} ended with {child.returncode}; the end of {log}:\n{tail}{stdout[-2000:]}")
    cpu = watch.cpu({child.pid: usage.ru_utime + usage.ru_stime})
    return Cost(wall, cpu, max(watch.peak, usage.ru_maxrss * 1024), stdout)
