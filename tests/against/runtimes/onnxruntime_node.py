"""Run one ONNX node in ONNX Runtime's CPU provider, without graph optimizations.

`spec` is JSON: op, domain, opset, attributes, inputs ([array name or "", ONNX type, "const", "feed"
or "each"]) and outputs (ONNX types). An array that is "each" holds one input for every run along
its first axis, and the outputs are stacked; only inputs that stay the same may be constants. Codes
narrower than a byte come one per byte and are packed here; minifloats come as their bytes. What is
narrower than a byte leaves the graph through a Cast to int8 or uint8.
"""

import ctypes
import json

import numpy as np
import onnxruntime
from exchange import answer
from onnx import TensorProto, helper

NARROW = {"INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2, "FLOAT4E2M1": 4}


def packed(codes, bits):
    """Return codes of `bits` bits, the first in the lowest bits of a byte."""
    per_byte = 8 // bits
    flat = codes.ravel().view(np.uint8) & ((1 << bits) - 1)
    flat = np.pad(flat, (0, -flat.size % per_byte)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(flat << shifts, axis=1).astype(np.uint8)


def as_initializer(name, array, kind):
    data = packed(array, NARROW[kind]) if kind in NARROW else np.ascontiguousarray(array)
    tensor = TensorProto(name=name, data_type=getattr(TensorProto, kind), dims=array.shape)
    tensor.raw_data = data.tobytes()
    return tensor


def as_value(array, kind):
    """Return an OrtValue; NumPy has no dtype for minifloats and bfloat16."""
    if kind.startswith("FLOAT8") or kind == "BFLOAT16":
        number = getattr(TensorProto, kind)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def session_of(spec, arrays):
    """Return a session, and the names of its outputs."""
    inputs, initializers = [], []
    for name, kind, role in spec["inputs"]:
        if name and (role == "const" or kind in NARROW):
            initializers.append(as_initializer(name, arrays[name], kind))
        elif name:
            shape = arrays[name].shape[1:] if role == "each" else arrays[name].shape
            number = getattr(TensorProto, kind)
            inputs.append(helper.make_tensor_value_info(name, number, shape))
    names = [f"y{i}" for i in range(len(spec["outputs"]))]
    node = helper.make_node(
        spec["op"],
        [name for name, _, _ in spec["inputs"]],
        names,
        domain=spec.get("domain", ""),
        **spec.get("attributes", {}),
    )
    nodes, outputs = [node], []
    for name, kind in zip(names, spec["outputs"], strict=True):
        shown, wide = name, kind
        if kind in NARROW:
            shown = f"{name}_wide"
            wide = "UINT8" if kind.startswith("U") else "INT8" if kind.startswith("I") else "FLOAT"
            to = getattr(TensorProto, wide)
            nodes.append(helper.make_node("Cast", [name], [shown], to=to))
        outputs.append(helper.make_tensor_value_info(shown, getattr(TensorProto, wide), None))
    graph = helper.make_graph(nodes, "one_node", inputs, outputs, initializers)
    opset = spec.get("opset", 21)
    opsets = [helper.make_opsetid("", opset)]
    if spec.get("domain"):
        opsets.append(helper.make_opsetid(spec["domain"], 1))
    model = helper.make_model(graph, opset_imports=opsets, ir_version=12 if opset > 22 else 10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, [output.name for output in outputs]


def run(spec, **arrays):
    spec = json.loads(str(spec))
    session, outputs = session_of(spec, arrays)
    fed = {i.name for i in session.get_inputs()}
    each = {name for name, _, role in spec["inputs"] if role == "each"}
    kinds = {name: kind for name, kind, _ in spec["inputs"]}
    runs = len(arrays[min(each)]) if each else 1
    stacks = [[] for _ in outputs]
    for i in range(runs):
        binding = session.io_binding()
        for name in fed:
            array = arrays[name][i] if name in each else arrays[name]
            binding.bind_ortvalue_input(name, as_value(np.array(array, order="C"), kinds[name]))
        for output in outputs:
            binding.bind_output(output, "cpu")
        session.run_with_iobinding(binding)
        for stack, value in zip(stacks, binding.get_outputs(), strict=True):
            stack.append(bytes_of(value))
    return {f"y{i}": np.stack(s) if each else s[0] for i, s in enumerate(stacks)}


def bytes_of(value):
    """Return an output as NumPy, minifloats as their bytes."""
    kind = value.data_type()
    if "float8" in kind or "bfloat16" in kind:
        shape = value.shape()
        size = 2 if "bfloat16" in kind else 1
        count = int(np.prod(shape, dtype=np.int64)) * size
        raw = ctypes.string_at(value.data_ptr(), count)
        return np.frombuffer(raw, np.uint16 if size == 2 else np.uint8).reshape(shape)
    return value.numpy()


if __name__ == "__main__":
    answer(run)
