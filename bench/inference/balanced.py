"""A client of several replicas: python balanced.py RATE FILE HOST:PORT...

It is grpcio as it comes, with its policy round_robin and no retries but those that every gRPC client makes by itself: of calls that
no server has begun, such as those that a GOAWAY turns away. It scores the pull requests of FILE, a document a line, RATE times a
second, whether or not answers come, until its input ends, and prints one line of JSON: calls by code, and answers by model.
"""

import asyncio
import collections
import itertools
import json
import re
import sys
import time

import grpc

OPTIONS = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # Without it, that of each call would be the list of all addresses, which is no authority.
    ("grpc.default_authority", "prowl"),
]
DEADLINE = 10
"""Seconds of one call."""
DIGEST = re.compile(rb"@([0-9a-f]{64})")
"""A digest in an answer, after its length."""


def request(document):
    """`ScoreRequest { github_json: document }`, in the encoding of the protocol."""
    length, varint = len(document), bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    return bytes([0x12, *varint, length]) + document


async def main(rate, path, addresses):
    with open(path, "rb") as lines:
        requests = [request(line.strip()) for line in lines if line.strip()]
    codes, models, running = collections.Counter(), collections.Counter(), set()
    async with grpc.aio.insecure_channel(f"ipv4:{','.join(addresses)}", options=OPTIONS) as channel:
        score = channel.unary_unary("/prowl.v1.Scoring/Score")
        await channel.channel_ready()

        async def call(message):
            try:
                answer = await score(message, timeout=DEADLINE)
            except grpc.aio.AioRpcError as error:
                codes[f"{error.code().name}: {error.details()}"] += 1
            else:
                codes["OK"] += 1
                models[DIGEST.search(answer)[1].decode()] += 1

        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        due = time.monotonic()
        for message in itertools.cycle(requests):
            due += 1 / rate
            await asyncio.sleep(max(0, due - time.monotonic()))
            if ended.done():
                break
            task = asyncio.create_task(call(message))
            running.add(task)
            task.add_done_callback(running.discard)
        while running:
            await asyncio.wait(running)
    print(json.dumps({"codes": codes, "models": models}))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
