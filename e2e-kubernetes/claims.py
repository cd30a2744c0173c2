"""The register of what is claimed of Prowl in a cluster. A claim is a function that raises Failed where it does not hold, and gives a
sentence about what it has found. Claims build on each other, in the order in which they are written."""

from dataclasses import dataclass

from place import Failed

CLAIMS, BREAKS = {}, {}


@dataclass
class World:
    """What earlier claims leave to later ones."""

    digests: dict  # of the images, by target
    first: str = ""  # models, by name
    second: str = ""
    client: object = None


def claim(function):
    CLAIMS[function.__name__] = function
    return function


def breaks(name):
    """Beside a claim stands the cause that has to break it: planted right before the claim, it has to make it fail."""
    def register(function):
        BREAKS[name] = function
        return function
    return register


def check(holds, otherwise):
    if not holds:
        raise Failed(otherwise)
