"""Asks Prowl as clients of KServe, Triton and MLServer do: python open_inference.py grpc|http HOST:PORT FILE

It needs `pip install tritonclient[grpc,http]`. FILE holds pull requests as GitHub's REST API writes them, one a line. Where the
server asks for a token, PROWL_TOKEN holds it.
"""

import importlib
import json
import os
import sys

import numpy


def main(protocol, address, path):
    triton = importlib.import_module(f"tritonclient.{protocol}")
    token = os.environ.get("PROWL_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    client = triton.InferenceServerClient(address)
    if not (client.is_server_live() and client.is_server_ready() and client.is_model_ready("prowl", headers=headers)):
        sys.exit("the server is not ready")

    with open(path, "rb") as file:
        documents = numpy.array([line for line in file if line.strip()], dtype=object)
    tensor = triton.InferInput("pull_request", list(documents.shape), "BYTES")
    tensor.set_data_from_numpy(documents)
    outputs = [triton.InferRequestedOutput(name) for name in ("score", "percentile", "risk", "category")]
    answer = client.infer("prowl", [tensor], outputs=outputs, headers=headers)
    columns = [answer.as_numpy(name) for name in ("score", "percentile", "risk", "category")]
    for score, percentile, risk, category in zip(*columns, strict=True):
        row = {"score": float(score), "percentile": float(percentile), "category": category.decode()}
        print(json.dumps(row if numpy.isnan(risk) else {**row, "risk": float(risk)}))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("grpc", "http"):
        sys.exit("usage: python open_inference.py grpc|http HOST:PORT FILE")
    main(*sys.argv[1:])
