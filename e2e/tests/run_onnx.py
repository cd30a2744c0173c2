"""Checks the model file and runs it: run_onnx.py MODEL FOLDER.

FOLDER holds an input as `<name>.f32`, little-endian float32, row by row; an output becomes a file of the same kind. What
the file says of itself is printed as JSON.
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
onnx.checker.check_model(model, full_check=True)

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
inputs = {
    value.name: numpy.fromfile(folder / f"{value.name}.f32", "<f4").reshape(-1, value.shape[1])
    for value in session.get_inputs()
}
names = [value.name for value in session.get_outputs()]
for name, output in zip(names, session.run(names, inputs)):
    assert output.dtype == numpy.float32, (name, output.dtype)
    output.astype("<f4").tofile(folder / f"{name}.f32")

shapes = lambda values: {value.name: value.shape for value in values}
print(
    json.dumps(
        {
            "inputs": shapes(session.get_inputs()),
            "outputs": shapes(session.get_outputs()),
            "metadata": session.get_modelmeta().custom_metadata_map,
        }
    )
)
