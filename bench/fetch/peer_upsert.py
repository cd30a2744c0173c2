"""Upserts by pymongo's `bulk_write`, unordered, into a collection with the same indexes, and as ours forward only: a stored
version that is as new or newer does not match, so that the insertion in its place is refused as a duplicate, which is let pass.

Arguments: URI, file of extended JSON. Prints a line of JSON: documents, and the seconds in `bulk_write` alone.
"""

import json
import sys
import time

from bson import json_util
from pymongo import ASCENDING, MongoClient, ReplaceOne
from pymongo.errors import BulkWriteError

BATCH = 1_000
DUPLICATE = 11000

uri, path = sys.argv[1:]
collection = MongoClient(uri)["prowl"]["pull_requests"]
collection.create_index([("base.repo.full_name", ASCENDING), ("number", ASCENDING)], unique=True)
collection.create_index("updated_at")
documents, seconds = 0, 0.0


def write(batch):
    global documents, seconds
    began = time.perf_counter()
    try:
        collection.bulk_write(batch, ordered=False)
    except BulkWriteError as error:
        if any(each["code"] != DUPLICATE for each in error.details["writeErrors"]):
            raise
    seconds += time.perf_counter() - began
    documents += len(batch)


batch = []
with open(path) as lines:
    for line in lines:
        document = json_util.loads(line, json_options=json_util.RELAXED_JSON_OPTIONS)
        older = {"_id": document["_id"], "updated_at": {"$lt": document["updated_at"]}}
        batch.append(ReplaceOne(older, document, upsert=True))
        if len(batch) == BATCH:
            write(batch)
            batch = []
if batch:
    write(batch)
print(json.dumps({"documents": documents, "seconds": seconds}))
