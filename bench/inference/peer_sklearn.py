"""The Python servers' side of `make bench-inference`: a network of the model's shape, as each of them takes it.

    peer_sklearn.py mlserver|mlflow FOLDER INPUTS HIDDEN CODE

leaves in FOLDER the model, and as `request` the bytes of a call that has one vector reconstructed. The weights are those
of one pass over random rows: what a product costs does not depend on its factors.
"""

import json
import pathlib
import sys
import warnings

import numpy
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor


def network(inputs, hidden, code):
    rows = numpy.random.default_rng(1).standard_normal((512, inputs)).astype(numpy.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPRegressor(hidden_layer_sizes=(hidden, code, hidden), activation="tanh", max_iter=1, random_state=1).fit(rows, rows), rows[:1]


def mlserver(folder, model, vector):
    import joblib
    from mlserver.grpc import dataplane_pb2

    joblib.dump(model, folder / "model.joblib")
    settings = {
        "name": "autoencoder",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    tensor = dataplane_pb2.ModelInferRequest.InferInputTensor(name="predict", datatype="FP32", shape=vector.shape)
    request = dataplane_pb2.ModelInferRequest(model_name="autoencoder", inputs=[tensor], raw_input_contents=[vector.tobytes()])
    (folder / "request").write_bytes(request.SerializeToString())


def mlflow(folder, model, vector):
    import mlflow.sklearn

    mlflow.sklearn.save_model(model, folder / "model", pip_requirements=[], serialization_format="cloudpickle")
    (folder / "request").write_text(json.dumps({"inputs": vector.tolist()}))


def main():
    server, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    model, vector = network(*map(int, sys.argv[3:6]))
    {"mlserver": mlserver, "mlflow": mlflow}[server](folder, model, vector)


if __name__ == "__main__":
    main()
