"""The export as one writes it in an afternoon: a cursor of pymongo, relaxed extended JSON a line, gzip.

Arguments: URI, output. Prints a line of JSON: documents and seconds, without the start of Python.
"""

import gzip
import json
import sys
import time

from bson import json_util
from pymongo import MongoClient

# The level that ours has: Python's own, 9, takes more than twice the time.
LEVEL = 2

uri, output = sys.argv[1:]
client = MongoClient(uri)
began = time.perf_counter()
documents = 0
with gzip.open(output, "wb", compresslevel=LEVEL) as out:
    for document in client["prowl"]["pull_requests"].find():
        out.write(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS).encode() + b"\n")
        documents += 1
print(json.dumps({"documents": documents, "seconds": time.perf_counter() - began}))
