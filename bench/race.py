"""What every race needs: its settings, its turn on the machine, rows of figures with their goals, the table that is printed, and the
file that is kept."""

import fcntl
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys

from measure import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "target" / "bench"
BIN = pathlib.Path(os.environ.get("BIN") or ROOT / "target" / "release").resolve()
"""Folder of release binaries."""
CORES = sorted(os.sched_getaffinity(0))[:2]
"""On which all sides run."""

BUSY = 0.5
"""Above this load figures are not exact."""


def say(text):
    print(text, flush=True)


def setting(name, default):
    """A whole number from the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) == 0:
        sys.exit(f"{name}={text} is no whole number from 1")
    return int(text)


def need(target, names):
    """Makes sure that these binaries are there, which a target of `make` builds."""
    if missing := sorted(name for name in names if not (BIN / name).exists()):
        sys.exit(f"{', '.join(missing)} not in {BIN}; build with `make {target}`, or set BIN")


def conclude(work, race):
    """Holds a race in a folder that one at a time has, and ends the program: with 0 where all goals are reached."""
    # So that the servers end with a race that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another race is running in {work}; wait for it to end")
        try:
            holds = race()
        except Failed as failed:
            sys.exit(f"\n{failed}")
    # 3 is the exit code of a verdict, as of the other programs.
    sys.exit(0 if holds else 3)


def row(figure, unit, ours, peer, peer_name, at_most=None, at_least=None):
    """One figure from the values of all runs of both sides; `peer` may be one number, a bound.

    `ratio` is ours to the peer's, of the medians. `spread` is how far the ratio of a single round, ours to the peer's
    beside it, lies from that at most, as a share of it. `holds` says whether the ratio is `at_most` or `at_least` that; None
    without a goal.
    """
    peers = [peer] * len(ours) if isinstance(peer, (int, float)) else peer
    median, peer_median = statistics.median(ours), statistics.median(peers)
    ratio = median / peer_median
    # Of nothing at all, such as calls that were answered where none was, no share can be told.
    spread = max((abs(a / b / ratio - 1) for a, b in zip(ours, peers)), default=0.0) if ratio else 0.0
    goal, holds = None, None
    if at_most is not None:
        goal, holds = f"ratio at most {at_most:.3g}", ratio <= at_most
    elif at_least is not None:
        goal, holds = f"ratio at least {at_least:.3g}", ratio >= at_least
    return {
        "figure": figure,
        "ours": median,
        "peer": peer_median,
        "peer_name": peer_name,
        "unit": unit,
        "ratio": ratio,
        "spread": spread,
        "goal": goal,
        "holds": holds,
    }


def number(value, unit):
    if unit == "MiB":
        return f"{value:,.0f}"
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def lines(rows):
    """The rows as lines of a table in Markdown, aligned, so that it reads well on a terminal, too."""
    table = [["figure", "ours", "peer", "", "unit", "ratio", "spread", "goal", "holds"]]
    for r in rows:
        verdict = {None: "", True: "yes", False: "**no**"}[r["holds"]]
        table.append([
            r["figure"], number(r["ours"], r["unit"]), number(r["peer"], r["unit"]), r["peer_name"], r["unit"],
            f"{r['ratio']:.3f}", f"{r['spread']:.1%}", r["goal"] or "", verdict,
        ])
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    right = {1, 2, 5, 6}
    pad = lambda text, i: text.rjust(widths[i]) if i in right else text.ljust(widths[i])
    rendered = ["| " + " | ".join(pad(text, i) for i, text in enumerate(line)) + " |" for line in table]
    rule = "|" + "|".join("-" * (w + 1) + (":" if i in right else "-") for i, w in enumerate(widths)) + "|"
    return [rendered[0], rule, *rendered[1:]]


def machine(cores):
    """What the figures were measured on, and how busy it was before, which is said where it was."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))) / 1024**2
    load = round(os.getloadavg()[0], 2)
    if load > BUSY:
        say(f"the machine is busy (load {load}): these figures will not be exact")
    return {"processor": model, "cores": len(cores), "memory_gib": round(memory, 1), "kernel": platform.release(), "load_before": load}


def python_with(peers, bare=()):
    """The Python of an environment that holds the peers, packages and their versions; it is made where it is missing.

    Those named in `bare` come without what they ask for.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "prowl-tools"
    home = cache / ("bench-" + "-".join(f"{name}-{version}" for name, version in peers.items()))
    if not (home / "ready").exists():
        print(f"installing {', '.join(f'{n} {v}' for n, v in peers.items())} into {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        for options, names in [([], peers.keys() - set(bare)), (["--no-deps"], bare)]:
            if names:
                subprocess.run([*pip, *options, *(f"{name}=={peers[name]}" for name in sorted(names))], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"


def publish(name, rows, **more):
    """Prints the table and keeps it as `target/bench/<name>.json`. Returns whether every goal is reached."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**more, "rows": rows}, indent=2) + "\n")
    print("\n" + "\n".join(lines(rows)))
    print(f"\nkept as {path.relative_to(ROOT)}")
    return all(r["holds"] is not False for r in rows)
