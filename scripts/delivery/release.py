"""What an environment runs: helm/environments/release.yaml, and the record of what was tested in staging."""

import json
import re
from pathlib import Path

import stages

RELEASE = "helm/environments/release.yaml"
TESTED = "helm/environments/tested.json"

# What a cluster renders, as git names paths. Values of production differ from those of staging by design, and the record is written
# after the test.
RENDERED = ["helm", f":(exclude){TESTED}", ":(exclude)helm/environments/production.yaml", ":(exclude,glob)helm/**/*.md"]

# Stands in for a digest before the first build.
NOT_BUILT = "sha256:" + "0" * 64

# Stands in for a model before the first one.
NO_MODEL = "none"

# The record holds so many releases; older ones are in the history of its file.
KEPT = 50

VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z")
MODEL_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECTION = re.compile(r"(digests|model):\s*(#.*)?")
_ENTRY = re.compile(r"""(?P<head>  (?P<key>[a-z]+):\s+)(?P<value>"[^"]*"|'[^']*'|[^\s#]+)(?P<tail>\s*(#.*)?)""")


class Refused(Exception):
    """A release that may not be, with the reason."""


def read(text, targets=stages.TARGETS):
    """The digests by target, and version and digest of the model. Refuses a file that holds anything else, since it goes to production as
    it is. A file without the digest of the model knows none."""
    found = {f"{section}.{key}": value for _, section, key, value in _entries(text)}
    release = {
        "digests": {target: found.pop(f"digests.{target}", "") for target in targets},
        "model": found.pop("model.version", NO_MODEL).replace(NO_MODEL, ""),
        "model_digest": found.pop("model.digest", ""),
    }
    if found:
        raise Refused(f"{RELEASE} holds {', '.join(sorted(found))}: only digests of {', '.join(targets)}, model.version and model.digest belong there")
    for target, digest in release["digests"].items():
        if digest and not _DIGEST.fullmatch(digest):
            raise Refused(f"{RELEASE}: the digest of {target} is {digest!r}, and not sha256: and 64 digits")
    if release["model"] and not VERSION.fullmatch(release["model"]):
        raise Refused(f"{RELEASE}: model.version is {release['model']!r}, and not the name of a model, such as 20261124T214500Z")
    if release["model_digest"] and not MODEL_DIGEST.fullmatch(release["model_digest"]):
        raise Refused(f"{RELEASE}: model.digest is {release['model_digest']!r}, and not 64 digits of a SHA-256")
    return release


def write(text, digests=None, model=None, model_digest=None):
    """The same file with other digests or another model; comments stay."""
    wanted = {f"digests.{target}": digest for target, digest in (digests or {}).items()}
    if model is not None:
        wanted["model.version"] = model
        # The digest of the model before is none of another one.
        if model_digest or model != read(text)["model"]:
            wanted["model.digest"] = model_digest or ""
    lines = text.splitlines(keepends=True)
    for number, section, key, _ in list(_entries(text)):
        value = wanted.pop(f"{section}.{key}", None)
        if value is not None:
            entry = _ENTRY.fullmatch(lines[number].rstrip("\n"))
            quote = entry["value"][0] if entry["value"][0] in "\"'" else ""
            lines[number] = f"{entry['head']}{quote}{value}{quote}{entry['tail']}\n"
    missing = sorted(key for key, value in wanted.items() if value)
    if missing:
        raise Refused(f"{RELEASE} has no line for {', '.join(missing)}: add it")
    text = "".join(lines)
    read(text)
    return text


def whole(release):
    """The same release, if nothing of it is missing."""
    built(release, *release["digests"])
    if not release["model"]:
        raise Refused(f"{RELEASE} says nothing of model.version")
    return release


def of(show):
    """The whole release of a commit, of which `show` gives a file by its path: with the stages of that commit, which may be one more, or one
    less, than the scripts that judge it know."""
    return whole(read(show(RELEASE), stages.targets(show(stages.FILE))))


def built(release, *targets):
    """Refuses where one of these images has no digest yet."""
    for digest, what in (NOT_BUILT, "has zeros for {}: not built yet"), ("", "says nothing of {}"):
        if missing := [target for target in targets if release["digests"][target] == digest]:
            raise Refused(f"{RELEASE} {what.format(', '.join(missing))}")


def read_tested(text):
    """The releases that were healthy in staging, the newest first."""
    return json.loads(text)["releases"] if text.strip() else []


def add_tested(text, entry):
    """The record with one more release."""
    releases = [entry, *read_tested(text)][:KEPT]
    return json.dumps({"releases": releases}, indent=2) + "\n"


def same(one, other):
    """Whether two releases, or records of them, name the same images and the same model. Older records have no digest of the model."""
    return _named(one) == _named(other)


def find_tested(release, tested):
    """The records of this very combination, the newest first: it may have been tested with several charts. Where there is none, the
    reason names what was not tested."""
    found = [entry for entry in tested if same(entry, release)]
    if found:
        return found
    reasons = []
    for target, digest in release["digests"].items():
        if all(entry["digests"].get(target) != digest for entry in tested):
            reasons.append(f"{target} at {digest} was never healthy in staging")
    if all(_named(entry)[1:] != _named(release)[1:] for entry in tested):
        digest = f" with the digest {release['model_digest']}" if release["model_digest"] else ""
        reasons.append(f"model {release['model']}{digest} was never healthy in staging")
    raise Refused("; ".join(reasons) or "its parts were healthy in staging, but not all of them together")


def file_in(root):
    """Path of the release file in a working tree."""
    file = Path(root) / RELEASE
    if not file.is_file():
        raise Refused(f"there is no {RELEASE} below {Path(root).resolve()}: run this in the root of the repository")
    return file


def _named(of):
    return of["digests"], of["model"], of.get("model_digest", "")


def _entries(text):
    section = None
    for number, line in enumerate(text.splitlines()):
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        heading = _SECTION.fullmatch(line)
        if heading:
            section = heading[1]
            continue
        entry = _ENTRY.fullmatch(line)
        if not entry or section is None:
            raise Refused(f"line {number + 1} of {RELEASE} is no digest and no model version: {line.strip()!r}")
        yield number, section, entry["key"], entry["value"].strip("\"'")
