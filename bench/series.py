#!/usr/bin/env python3
"""All races one after the other, each once the machine is idle, and BENCHMARKS.md from what they kept: `make bench-all`.

A race that misses a goal or fails keeps none of the others from running. The exit code is 1 where a race could not be run, else 3
where a goal is not reached. The environment is handed on: it has the settings of the races.
"""

import datetime
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from race import BIN, BUSY, RESULTS, ROOT, lines, say  # noqa: E402

SETTINGS = [
    "CONTENDERS", "COUNT", "EPOCHS", "FAULT_RUNS", "IDENTICAL", "LOAD_SECONDS", "MEMORY", "PARTS", "RATE", "RUNS", "SEEDS",
    "SPARK_HEAP", "STALL_SECONDS", "STORE", "SWITCHES",
]  # fmt: skip
"""What the figures of a race depend on, and so belongs to the command that made them."""
REACHED, MISSED = 0, 3
PATIENCE = 600
"""Seconds in which the machine has to become idle: after two busy cores it takes one and a half minutes."""
PAUSE = 5


def races():
    """The command of each, by name, as `make bench` lists them."""
    found = {run.parent.name: [run] for run in HERE.glob("*/run")}
    return dict(sorted({**found, "preprocess-large": [HERE / "preprocess" / "run", "--large"]}.items()))


def until_idle(load=lambda: os.getloadavg()[0], sleep=time.sleep):
    """Waits until figures would be exact, but not for ever; the race notes by itself where they are not. Gives the seconds."""
    waited = 0
    if (now := load()) > BUSY:
        say(f"waiting until the machine is idle (load {now:.2f}), {PATIENCE // 60} minutes at most")
    while (now := load()) > BUSY and waited < PATIENCE:
        sleep(PAUSE)
        waited += PAUSE
    if waited:
        say(f"{'still busy' if now > BUSY else 'idle'} after {waited} s (load {now:.2f})")
    return waited


def ended(command):
    """The exit code of a race. It ends what it has started, so it is never killed."""
    race = subprocess.Popen(list(map(str, command)))
    try:
        return race.wait()
    except BaseException as end:
        # The keyboard has told the race as well.
        if not isinstance(end, KeyboardInterrupt):
            race.terminate()
        race.wait()
        raise


def hold(commands, wait=until_idle):
    """Runs all of them; gives the exit code of each by name."""
    codes = {}
    for turn, (name, command) in enumerate(commands.items(), 1):
        say(f"\n=== race {turn} of {len(commands)}: {name}")
        wait()
        began = time.monotonic()
        codes[name] = ended(command)
        say(f"=== {name} ended with {codes[name]} after {(time.monotonic() - began) / 60:.1f} min")
    return codes


def verdict(codes, results):
    """Prints what is not reached, race by race; gives the exit code of all."""
    for name, result in results.items():
        if missed := [row for row in result["rows"] if row["holds"] is False]:
            say("\n".join(["", f"{name}, not reached:", *lines(missed)]))
    if failed := [f"{name} (exit code {code})" for name, code in codes.items() if code not in (REACHED, MISSED)]:
        say(f"\ncould not be run: {', '.join(failed)}; what each said stands above")
        return 1
    return MISSED if MISSED in codes.values() else REACHED


def git(*arguments):
    """What git says of the checkout; nothing where this is none."""
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout.strip()


def this_run():
    """What the figures come from: the day, the command, and the commit, where the programs say that they are of it."""
    commit = git("rev-parse", "HEAD")
    trainer = BIN / "prowl-trainer"
    known = commit and trainer.exists() and commit.encode() in trainer.read_bytes()
    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no", ".", ":!BENCHMARKS.md") else ""
    # Where something lies on this machine is nobody's business.
    told = lambda value: "…" if "/" in value else shlex.quote(value)
    given = [f"{name}={told(value)}" for name in SETTINGS if (value := os.environ.get(name))]
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": " ".join(["make bench-all", *given]),
        "commit": commit[:12] + changed if known else "not known",
    }


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = this_run()
    codes = hold(races())
    files = {name: RESULTS / f"{name}.json" for name, code in codes.items() if code in (REACHED, MISSED)}
    results = {name: json.loads(file.read_text()) for name, file in files.items()}
    if len(results) == len(codes):
        for name, file in files.items():
            file.write_text(json.dumps({**results[name], "run": run}, indent=2) + "\n")
    code = verdict(codes, results)
    if results:
        subprocess.run([HERE / "report", *results], check=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
