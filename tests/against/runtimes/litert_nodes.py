"""Run one-operator models by LiteRT's kernels; each node is described in JSON, by array names.

`nodes` is a list of ``{"op", "options", "inputs": [tensor, ...], "output": tensor}``; a tensor is
``{"data", "scale", "zero_point", "axis", "constant"}`` for an input (names of arrays given), and
``{"dtype", "shape", "scale", "zero_point"}`` for the output. `kernels` says whose: "reference",
"builtin" (optimized, no delegate) or "xnnpack". The answer of node i is the array str(i).
"""

import json

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from exchange import answer

RESOLVERS = {
    "reference": OpResolverType.BUILTIN_REF,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
}
#: operators whose table of options has another name than the operator
OPTIONS = {
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "LOGISTIC": None,
    "LEAKY_RELU": "LeakyReluOptions",
    "SOFTMAX": "SoftmaxOptions",
}


def tensor_of(dtype, shape, scale, zero_point, axis, buffer):
    """Return a tensor's table; a scale is a number or one per index of `axis`."""
    made = schema.TensorT()
    made.shape, made.buffer = list(shape), buffer
    made.type = getattr(schema.TensorType, np.dtype(dtype).name.upper())
    if scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.float32(scale).ravel().tolist()
        zeros = np.broadcast_to(np.int64(zero_point), np.shape(made.quantization.scale))
        made.quantization.zeroPoint = zeros.tolist()
        made.quantization.quantizedDimension = axis
    return made


def model_of(node, arrays):
    """Return a model's bytes, and what to feed it."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, fed = 3, [schema.BufferT()], []
    graph.tensors, graph.inputs = [], []
    for given in node["inputs"]:
        x, where = arrays[given["data"]], 0
        if given.get("constant"):
            stored = schema.BufferT()
            stored.data = np.frombuffer(x.tobytes(), np.uint8)
            model.buffers.append(stored)
            where = len(model.buffers) - 1
        else:
            graph.inputs.append(len(graph.tensors))
            fed.append(x)
        scale = arrays[given["scale"]] if "scale" in given else None
        zero_point = given.get("zero_point", 0)
        axis = given.get("axis", 0)
        graph.tensors.append(tensor_of(x.dtype, x.shape, scale, zero_point, axis, where))
    out = node["output"]
    scale = arrays[out["scale"]] if "scale" in out else None
    graph.tensors.append(
        tensor_of(
            out["dtype"], out["shape"], scale, out.get("zero_point", 0), out.get("axis", 0), 0
        )
    )
    graph.outputs = [len(graph.tensors) - 1]
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, node["op"])
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    operator.inputs = list(range(len(node["inputs"])))
    operator.outputs = graph.outputs
    name = OPTIONS[node["op"]]
    if name is not None:
        options = getattr(schema, name + "T")()
        for key, value in node.get("options", {}).items():
            setattr(options, key, value)
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    graph.operators, model.operatorCodes, model.subgraphs = [operator], [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), fed


def run(nodes, kernels, **arrays):
    found = {}
    for i, node in enumerate(json.loads(str(nodes))):
        model, fed = model_of(node, arrays)
        interpreter = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=RESOLVERS[str(kernels)],
        )
        interpreter.allocate_tensors()
        for details, x in zip(interpreter.get_input_details(), fed, strict=True):
            interpreter.set_tensor(details["index"], x)
        interpreter.invoke()
        found[str(i)] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        if str(kernels) == "xnnpack":
            names = [op["op_name"] for op in interpreter._get_ops_details()]
            found[f"delegated{i}"] = np.bool_("DELEGATE" in names)
    return found


if __name__ == "__main__":
    answer(run)
