"""ONNX Runtime's side of the network: peer_onnx.py MODEL FOLDER BATCH SECONDS

FOLDER holds `features.f32` and `text.f32`, which are its inputs, and `reconstruction.f32`, which our side made of them. It
prints one line of JSON: seconds a vector, one by one and in batches, and how far the reconstructions lie apart.
"""

import json
import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime

OUTPUTS = ["reconstruction", "score"]


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def plain(running, inputs):
    return lambda: running.run(OUTPUTS, inputs)


def bound(running, inputs):
    """Without a search for inputs by name and without new memory for outputs: what a service in Python would hold on to."""
    binding, options = running.io_binding(), onnxruntime.RunOptions()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for name in OUTPUTS:
        binding.bind_output(name)
    return lambda: running.run_with_iobinding(binding, options)


def seconds(call, most):
    found, until = [], time.perf_counter() + most
    while not found or time.perf_counter() < until:
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main():
    model, folder, batch, most = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    running = session(model)
    read = lambda name, width: numpy.fromfile(folder / f"{name}.f32", "<f4").reshape(-1, width)
    inputs = {value.name: read(value.name, value.shape[1]) for value in running.get_inputs()}
    found = running.run(["reconstruction"], inputs)[0]
    ours = read("reconstruction", found.shape[1])
    apart = float(numpy.max(numpy.abs(found - ours) / numpy.maximum(1, numpy.abs(ours))))
    # Both ways of asking; the faster one counts.
    fastest = lambda rows: min(
        seconds(way(running, {name: numpy.ascontiguousarray(value[:rows]) for name, value in inputs.items()}), most / 2)
        for way in [plain, bound]
    )
    print(json.dumps({"one": fastest(1), "many": fastest(batch) / batch, "apart": apart}))


if __name__ == "__main__":
    main()
