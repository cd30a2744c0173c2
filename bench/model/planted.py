"""How many planted oddities of generated pull requests stand out, by the programs as a user runs them: as `make demo`, for any seed."""

import gzip
import json
import re
import subprocess
import time

TOP = 0.02
COUNT, ODDITIES = 6000, 20


def planted(programs, folder, seed):
    """The share of the oddities that are within the most unusual 2% of the fifth of the documents that changed last, by a model
    that learnt from the others."""
    store = f"file://{folder}/store"
    run = lambda program, *options: subprocess.run([programs / program, *map(str, options)], check=True, capture_output=True)
    run("prowl-fetch", "synth", "--count", COUNT, "--seed", seed, "--oddities", ODDITIES, "--store", store)
    export = next((folder / "store" / "exports").iterdir())
    documents = [line for part in sorted(export.glob("part-*.json.gz")) for line in gzip.open(part).readlines()]
    known = len(documents) * 4 // 5
    (folder / "known.ndjson").write_bytes(b"".join(documents[:known]))
    (folder / "new.ndjson").write_bytes(b"".join(documents[known:]))
    run("prowl-preprocess", "--store", store, "--export", folder / "known.ndjson")
    run("prowl-trainer", "train", "--store", store)
    # Of versions of one pull request the newest counts.
    scores = {(answer["repository"], answer["number"]): answer["anomaly"] for answer in served(programs, folder, store)}
    ranking = sorted(scores, key=scores.get, reverse=True)
    highest = set(ranking[: int(TOP * len(ranking))])
    odd = json.loads((export / "planted.json").read_text())
    return sum((oddity["repository"], oddity["number"]) in highest for oddity in odd) / len(odd)


def served(programs, folder, store):
    """What the service answers to the new documents."""
    address = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]
    command = [programs / "prowl-inference", "--store", store, "--model", "latest", "--insecure", *address]
    log = folder / "inference.log"
    with log.open("w") as errors:
        server = subprocess.Popen(command, stderr=errors, env={"PROWL_LOG": "info", "PROWL_LOG_FORMAT": "json"})
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r'"message":"listening".*"grpc":"([^"]*)"', log.read_text())):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"prowl-inference does not serve: {log.read_text()}")
            time.sleep(0.1)
        command = [programs / "prowl", "score", folder / "new.ndjson", "--server", f"http://{found[1]}", "--json"]
        answers = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in answers.splitlines()]
    finally:
        server.terminate()
        server.wait()
