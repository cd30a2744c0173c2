"""Upserts by pymongo's `bulk_write`, unordered, in batches of the size that ours has, into a collection with the same indexes.

Arguments: URI, file of extended JSON. Prints a line of JSON: documents, and the seconds in `bulk_write` alone.
"""

import json
import sys
import time

from bson import json_util
from pymongo import ASCENDING, MongoClient, ReplaceOne

BATCH = 1_000

uri, path = sys.argv[1:]
collection = MongoClient(uri)["prowl"]["pull_requests"]
collection.create_index([("base.repo.full_name", ASCENDING), ("number", ASCENDING)], unique=True)
collection.create_index("updated_at")
documents, seconds = 0, 0.0


def write(batch):
    global documents, seconds
    began = time.perf_counter()
    collection.bulk_write(batch, ordered=False)
    seconds += time.perf_counter() - began
    documents += len(batch)


batch = []
with open(path) as lines:
    for line in lines:
        document = json_util.loads(line, json_options=json_util.RELAXED_JSON_OPTIONS)
        batch.append(ReplaceOne({"_id": document["_id"]}, document, upsert=True))
        if len(batch) == BATCH:
            write(batch)
            batch = []
if batch:
    write(batch)
print(json.dumps({"documents": documents, "seconds": seconds}))
