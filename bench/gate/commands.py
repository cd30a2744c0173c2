"""Programs that are run to their end, and that end with the race, each with all that it has started."""

import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measure import Failed, clean, pinned  # noqa: E402

DRAIN = 30
"""Seconds in which a program that is told to end has to."""


def run(command, cores, log, patience, codes=(0,)):
    """Its exit code, which has to be one of these, and what it printed; what it says on standard error goes to the file `log`."""
    name = pathlib.Path(command[0]).name
    with open(log, "w") as errors:
        # A group of its own: a rehearsal starts servers, which have to end with it however it ends.
        process = subprocess.Popen(
            pinned(cores, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=clean(), start_new_session=True,
        )  # fmt: skip
        try:
            printed, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} has not ended after {patience} s; see {log}") from None
        finally:
            end(process)
    if process.returncode not in codes:
        raise Failed(f"{name} ended with {process.returncode}; the end of {log}:\n{tail(log)}")
    return process.returncode, printed


def end(process):
    """Ends what still runs of the group of a process."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=DRAIN)
        except subprocess.TimeoutExpired:
            pass
    # One that has ended by itself has ended what it started.
    if process.returncode in (None, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGABRT):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def tail(log):
    with open(log, errors="replace") as said:
        return "".join(said.readlines()[-15:])
