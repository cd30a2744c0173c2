"""What belongs to a stage (stages.json): its images, the paths that its images are made of, those that only its checks read, its tests."""

import json
from pathlib import Path

# As git names its path.
FILE = "scripts/delivery/stages.json"


def targets(text):
    """The targets of all images, by the text of a stages.json."""
    return tuple(target for stage in json.loads(text)["stages"].values() for target in stage["images"])


_TEXT = Path(__file__).with_name("stages.json").read_text()
_ALL = json.loads(_TEXT)
NAMES = tuple(_ALL["stages"])
TARGETS = targets(_TEXT)


def images(stage):
    """The targets of its images."""
    return _ALL["stages"][stage]["images"]


def paths(stage):
    """Patterns of paths, as a path filter of GitHub takes them: a path, or a folder and /**."""
    return [*_ALL["everywhere"], *_ALL["stages"][stage]["paths"]]


def checked(stage):
    """Those that its lint and tests read as well."""
    return sorted([*paths(stage), *_ALL["checks"]])


def tests(stage):
    """Names of the test programs that cargo is to run for it."""
    return [*_ALL["tests"], *_ALL["stages"][stage]["tests"]]


def touches(stage, file):
    """Whether its workflow checks a change of a file."""
    return any(file.startswith(path.removesuffix("**")) if path.endswith("/**") else file == path for path in checked(stage))
