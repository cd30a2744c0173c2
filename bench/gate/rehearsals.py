"""Rehearsals and gates, as programs run them: what each decided, why, and how long it took."""

import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "inference")]
import commands  # noqa: E402
import sides  # noqa: E402
from measure import free_port  # noqa: E402

FAULTS = ["slow", "wrong-model", "errors", "nan", "crash", "leak", "drifted", "cold"]
PATIENCE = 600
"""Seconds that a rehearsal of few switches may take, beside what each of them does."""
OF_SWITCH = 60


def scratch(work, name):
    folder = work / "rehearsals" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


class Theatre:
    """Where it is rehearsed: the programs, the store, its two models, and the cores that all share."""

    def __init__(self, binaries, store, cores, work):
        self.program, self.server, self.store = binaries / "prowl-loadtest", binaries / "prowl-inference", f"file://{store}"
        self.cores, self.work = cores, work
        self.old, self.new = sorted(model.parent.name for model in store.glob("models/*/manifest.json"))[-2:]

    def rehearse(self, name, blue, green, *options, switches=0):
        """What came of it, whether or not it is as it has to be; nothing where it could not be played."""
        folder = scratch(self.work, name)
        command = [self.program, "rehearse", "--store", self.store, "--blue", blue, "--green", green, "--switches", switches]
        command += ["--output", folder, "--json", *options]
        log, patience = folder / "rehearse.log", PATIENCE + OF_SWITCH * switches
        code, printed = commands.run(command, self.cores, log, patience, codes=(0, 1, 3))
        return {**json.loads(printed), "holds": code == 0} if printed else {"gate": None, "holds": False, "why": commands.tail(log)}

    def break_green(self, fault, turn):
        # One model on both sides, so that nothing but the fault tells them apart; only a wrong model needs another.
        blue = self.old if fault == "wrong-model" else self.new
        # Dice of its own: with the same ones, ten runs would be one that is repeated.
        rehearsal = self.rehearse(f"{fault}-{turn}", blue, self.new, "--break", fault, "--seed", turn + 1)
        # Such a rehearsal holds where a check that is there for the fault has failed.
        return {**judged(rehearsal), "caught": rehearsal["holds"]}

    def gate(self, turn):
        """The gate as it comes, of two servers of the same model that nobody else asks. In a rehearsal the active side carries the load
        that is held, too, and green would be the faster one whatever it is."""
        folder = scratch(self.work, f"gate-{turn}")
        with self.serving(folder / "active.log") as active, self.serving(folder / "preview.log") as preview:
            command = [self.program, "gate", "--store", self.store, "--expect-version", self.new, "--output", folder / "verdict", "--json"]
            command += ["--active", active.grpc, "--active-http", active.http, "--preview", preview.grpc, "--preview-http", preview.http]
            command += ["--seed", turn + 1]
            _, printed = commands.run(command, self.cores, folder / "gate.log", PATIENCE, codes=(0, 1, 3))
        return judged({"gate": json.loads(printed) if printed else None, "why": commands.tail(folder / "gate.log")})

    def serving(self, log):
        grpc, http = free_port(), free_port()
        command = [self.server, "--insecure", "--store", self.store, "--model", self.new]
        command += ["--grpc-addr", f"127.0.0.1:{grpc}", "--http-addr", f"127.0.0.1:{http}"]
        server = sides.Server("prowl-inference", self.cores, command, [], sides.answers(f"http://127.0.0.1:{http}/readyz"), log)
        server.grpc, server.http = f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
        return server


def judged(rehearsal):
    """What a gate said, without what plots are made of. One that fails while it judges could not tell, which is never a go; what
    could not be played says nothing, and counts neither as caught nor as passed."""
    gate = rehearsal["gate"]
    if gate is None:
        failed = rehearsal.get("gate_failed")
        return {"decision": "unknown" if failed else "not played", "why": failed or rehearsal.get("why")}
    checks = {check["name"]: f"{check['observed']} (limit: {check['limit']})" for check in gate["checks"] if check["holds"] is not True}
    machine = gate["machine"]
    return {
        "decision": gate["decision"], "failing": checks, "seconds": gate["seconds"], "noise": machine["noise"],
        "load": machine["load"], "generator_limited": machine["generator_limited"],
    }  # fmt: skip
