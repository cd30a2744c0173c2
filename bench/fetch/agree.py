"""Whether two exports, or a file and a collection, hold the same documents.

Arguments: `exports` and two lists of gzip files divided by `--`; or `collection`, URI and a file. Prints how many documents that are.
"""

import gzip
import hashlib
import sys

from bson import json_util
from pymongo import MongoClient


def digest(document):
    """A number for a document, whatever the order of its keys."""
    text = json_util.dumps(document, sort_keys=True, json_options=json_util.RELAXED_JSON_OPTIONS)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def total(documents):
    """Count and sum of digests, which do not depend on the order of the documents."""
    count, added = 0, 0
    for document in documents:
        count, added = count + 1, added + digest(document)
    return count, added


def lines(paths):
    for path in paths:
        opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
        with opened as text:
            for line in text:
                yield json_util.loads(line, json_options=json_util.RELAXED_JSON_OPTIONS)


def main():
    kind, *given = sys.argv[1:]
    if kind == "exports":
        at = given.index("--")
        ours, theirs = total(lines(given[:at])), total(lines(given[at + 1 :]))
    else:
        uri, path = given
        ours, theirs = total(MongoClient(uri)["prowl"]["pull_requests"].find()), total(lines([path]))
    if ours != theirs:
        sys.exit(f"{ours[0]} documents and {theirs[0]} documents are not the same")
    print(ours[0])


if __name__ == "__main__":
    main()
