"""The files of values that staging and production have of their own, and the table of helm/environments/README.md, which says what may
stand in them. Promotion needs nothing but Python, so they are read without a parser of YAML."""

import re

from release import Refused

FOLDER = "helm/environments"
TABLE = f"{FOLDER}/README.md"
NAMES = ("staging", "production")

_ROW = re.compile(r"\| `([\w.]+)` \| `([^`]+)` \| `([^`]+)` \| .+ \|")
_NOTHING = re.compile(r" *(#.*)?")
_KEY = re.compile(r"( *)([A-Za-z]\w*):(?: +([^ #].*))?(?: +#.*)? *")


def table(text):
    """The rows: value -> (of staging, of production), as they are written."""
    return {row[1]: (row[2], row[3]) for row in map(_ROW.fullmatch, text.splitlines()) if row}


def own(environment, text):
    """What a file sets: value -> as it is written. Refuses all but a key and its value on a line, so that nothing is set unseen."""
    found, above = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if _NOTHING.fullmatch(line):
            continue
        entry = _KEY.fullmatch(line)
        if not entry:
            raise Refused(f"line {number} of {FOLDER}/{environment}.yaml is no key with its value: write `key: value`")
        above = [part for part in above if part[0] < len(entry[1])]
        parent = ".".join(key for _, key in above)
        # What has something below it sets nothing by itself; `key:` alone sets null, which takes a default away.
        if found.get(parent) == "":
            del found[parent]
        above.append((len(entry[1]), entry[2]))
        found[".".join(key for _, key in above)] = entry[3] or ""
    return found


def check(environment, text, rows):
    """Refuses a file that sets what is no row of the table."""
    more = sorted(own(environment, text).keys() - rows.keys())
    if more:
        raise Refused(f"{FOLDER}/{environment}.yaml sets {', '.join(more)}, which {TABLE} does not list: add a row, or set it in base.yaml")
