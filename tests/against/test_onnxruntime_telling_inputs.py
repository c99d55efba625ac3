"""ONNX Runtime gives the answers that refq's telling inputs say it gives."""

import numpy as np
import pytest

from refq.conformance.telling_inputs import TELLING_INPUTS

pytestmark = pytest.mark.peers("onnx", "onnxruntime")

TOLD = [
    (t, t.answer_a if t.preset_a == "onnxruntime 1.31" else t.answer_b)
    for t in TELLING_INPUTS
    if "onnxruntime 1.31" in (t.preset_a, t.preset_b)
]
NODES = {
    "quantize_linear": "QuantizeLinear",
    "dequantize_linear": "DequantizeLinear",
    "qlinear_matmul": "QLinearMatMul",
    "qlinear_conv": "QLinearConv",
    "cast": "Cast",
}
TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16"}
NUMBERS = {"float8_e4m3fn": 17, "float8_e5m2": 19}  # of the types, in TensorProto


def onnx_type(name):
    return TYPES.get(name, name.upper().replace("_", ""))


@pytest.mark.parametrize(("told", "expected"), TOLD, ids=lambda v: getattr(v, "op", ""))
def test_the_runtime_answers_as_written(ask_onnxruntime, told, expected):
    arrays = {k: v for k, v in told.arguments.items() if isinstance(v, (np.ndarray, np.generic))}
    attributes = {k: v for k, v in told.arguments.items() if k in ("axis", "block_size")}
    form = told.arguments.get("format")
    types = {name: onnx_type(value.dtype.name) for name, value in arrays.items()}
    if told.op == "quantize_linear" and form is not None:
        arrays["zero_point"] = np.zeros((), np.uint8)
        types["zero_point"] = onnx_type(form)
    if told.op == "cast":
        saturate = int(told.arguments.get("saturate", True))
        attributes = {"to": NUMBERS[form], "saturate": saturate}
    result = {
        "cast": form,
        "dequantize_linear": "float32",
        "quantize_linear": form or "uint8",
    }.get(told.op, "uint8")
    inputs = [[name, types[name], "feed"] for name in arrays]
    opset = 25 if form == "uint2" else 21
    found = ask_onnxruntime(
        NODES[told.op], inputs, [onnx_type(result)], attributes, opset, **arrays
    )[0]
    assert found.tolist() == expected
