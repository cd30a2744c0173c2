"""Fills a collection with the newest version of each document of an export, as a collector leaves it, by plain insertions: whoever looks
for what is stored first has the database read all of the collection for each batch, since it uses no index for that.

Arguments: URI, gzip files of extended JSON. Prints how many documents that are.
"""

import gzip
import json
import sys

from bson import json_util
from pymongo import ASCENDING, MongoClient

BATCH = 1_000

uri, *paths = sys.argv[1:]
collection = MongoClient(uri)["prowl"]["pull_requests"]
collection.create_index([("base.repo.full_name", ASCENDING), ("number", ASCENDING)], unique=True)
collection.create_index("updated_at")


def lines():
    for path in paths:
        with gzip.open(path, "rt") as text:
            yield from text


newest = {}
for place, line in enumerate(lines()):
    document = json.loads(line)
    # An older version has another `_id`.
    identity = (document["base"]["repo"]["full_name"], document["number"])
    newest[identity] = max(newest.get(identity, ("", 0)), (document["updated_at"]["$date"], place))
kept = {place for _, place in newest.values()}

batch = []
for place, line in enumerate(lines()):
    if place in kept:
        batch.append(json_util.loads(line, json_options=json_util.RELAXED_JSON_OPTIONS))
    if len(batch) == BATCH:
        collection.insert_many(batch, ordered=False)
        batch = []
if batch:
    collection.insert_many(batch, ordered=False)
print(len(kept))
