"""Check an ONNX model given as bytes, and run it on `x` with all optimizations, then with none."""

import numpy as np
import onnx
import onnxruntime
from exchange import answer


def run(model, x):
    onnx.checker.check_model(onnx.load_from_string(model.tobytes()), full_check=True)
    found = {}
    levels = onnxruntime.GraphOptimizationLevel
    for name, level in (("all", levels.ORT_ENABLE_ALL), ("none", levels.ORT_DISABLE_ALL)):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(
            model.tobytes(), options, providers=["CPUExecutionProvider"]
        )
        codes, output = session.run(["codes", "output"], {"input": x})
        found[f"codes_{name}"], found[f"output_{name}"] = codes, np.asarray(output)
    return found


answer(run)
