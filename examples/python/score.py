"""Scores pull requests over gRPC: python score.py HOST:PORT FILE

The stubs are made from Prowl's own protocol, once, in the folder of this file:

    pip install grpcio-tools googleapis-common-protos
    python -m grpc_tools.protoc -I ../../proto/proto --python_out=. --grpc_python_out=. prowl/v1/scoring.proto

FILE holds pull requests as GitHub's REST API writes them, one a line. Where the server asks for a token, PROWL_TOKEN holds it.
"""

import os
import sys

import grpc

from prowl.v1 import scoring_pb2, scoring_pb2_grpc


def main(address, path):
    token = os.environ.get("PROWL_TOKEN")
    metadata = [("authorization", f"Bearer {token}")] if token else []
    failed = 0
    with open(path, "rb") as file, grpc.insecure_channel(address) as channel:
        service = scoring_pb2_grpc.ScoringStub(channel)
        requests = (
            scoring_pb2.ScoreStreamRequest(request=scoring_pb2.ScoreRequest(github_json=line)) for line in file if line.strip()
        )
        for answer in service.ScoreStream(requests, metadata=metadata):
            if answer.HasField("error"):
                print(f"not scored: {answer.error.message}", file=sys.stderr)
                failed += 1
                continue
            response = answer.response
            band = scoring_pb2.Band.Name(response.band).removeprefix("BAND_").replace("_", " ").lower()
            if not response.HasField("percentile"):
                print(f"{response.repository}#{response.number} says too little to be judged")
                continue
            print(f"{response.repository}#{response.number} {band}, more unusual than {response.percentile:.1f}%")
            for reason in response.reasons:
                print(f"  it {reason.sentence}")
    if failed:
        sys.exit(f"{failed} could not be scored")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python score.py HOST:PORT FILE")
    main(sys.argv[1], sys.argv[2])
