"""Write the low-precision node tests of onnx.backend.test: names, nodes, inputs, expected outputs.

A case is selected if a node of its graph is one of `OPERATORS`, or if an input or an output of the
graph has one of `TYPES`. Minifloats are written as their bytes, integers of less than a byte one to
a byte.
"""

import json
import warnings

import numpy as np
from exchange import answer
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "ConvInteger",
    "QLinearMatMul",
    "QLinearConv",
}
TYPES = {
    kind: name
    for name, kind in TensorProto.DataType.items()
    if name.startswith(("FLOAT8", "FLOAT6", "FLOAT4")) or name in ("INT4", "UINT4", "INT2", "UINT2")
}


def types_of(values):
    return [v.type.tensor_type.elem_type for v in values]


def is_selected(case):
    graph = case.model.graph
    found = types_of((*graph.input, *graph.output))
    return bool({n.op_type for n in graph.node} & OPERATORS or set(found) & set(TYPES))


def plain(array, kind):
    """Return an array in a dtype of NumPy's own."""
    if isinstance(array, TensorProto):
        array = numpy_helper.to_array(array)
    array = np.asarray(array)
    name = TYPES.get(kind, "BFLOAT16" if array.dtype.name == "bfloat16" else "")
    if name.startswith(("INT", "UINT")):
        return array.astype(np.int8 if name.startswith("I") else np.uint8)
    if name == "BFLOAT16":
        return array.view(np.uint16)
    return array.view(np.uint8) if name else array


def attributes_of(node):
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}


def cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators overflow on purpose
        chosen = [c for c in collect_testcases(None) if is_selected(c)]
    index, arrays = [], {}
    for number, case in enumerate(chosen):
        graph = case.model.graph
        nodes = graph.node
        op = nodes[0].op_type
        if len(nodes) > 1:  # the body of a function, written out
            op = "DynamicQuantizeLinear"
        kinds = types_of(graph.input), types_of(graph.output)
        order = [list(nodes[0].input), [i.name for i in graph.input]]
        entry = {
            "name": case.name,
            "op": op,
            "attributes": attributes_of(nodes[0]) if len(nodes) == 1 else {},
            "inputs": [[TensorProto.DataType.Name(k) for k in kinds[0]], order[1]],
            "outputs": [TensorProto.DataType.Name(k) for k in kinds[1]],
            "arguments": order[0] if len(nodes) == 1 else order[1],
        }
        index.append(entry)
        ((given, expected),) = case.data_sets
        for side, values, types in (("in", given, kinds[0]), ("out", expected, kinds[1])):
            for i, (value, kind) in enumerate(zip(values, types, strict=True)):
                arrays[f"{number}_{side}_{i}"] = plain(value, kind)
    return {"index": np.array(json.dumps(index)), **arrays}


answer(cases)
