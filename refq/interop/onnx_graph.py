"""A lowered model as an ONNX graph whose integers, in ONNX Runtime, are refq's.

Conventions
-----------
Every node here is an operator whose arithmetic ONNX Runtime's preset describes exactly. Products
are QLinearConv and MatMulInteger. What ONNX has no operator for (adding codes, rescaling them,
requantizing a matrix product) is written out in float32 steps, each an IEEE operation: Cast, Sub,
Mul, Add, Div, Round, Clip. A chain of DequantizeLinear, Add and QuantizeLinear would be shorter,
but ONNX Runtime fuses it into an operator of other arithmetic.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError
from ..encodings import Encoding
from ..nn import (
    Concat,
    Flatten,
    IntegerMaxPool,
    Model,
    QLinearAdd,
    QLinearConv2d,
    QLinearLinear,
    QLinearRescale,
    QuantizeInput,
)
from ..nn.graph import Node

__all__ = ["EXPORTED", "check_layers", "model_proto"]

FLOAT, INT32, OPSET = 1, 6, 21  # two data types of TensorProto; the operator set of 2024
NUMPY = {"uint8": 2, "int8": 3, "int32": INT32}  # the data types of codes


#: the layers whose arithmetic a node of ONNX Runtime has, or a few of them
EXPORTED = (
    QuantizeInput,
    QLinearConv2d,
    QLinearLinear,
    QLinearRescale,  # a QLinearAdd is one
    IntegerMaxPool,
    Flatten,
    Concat,
)


def check_layers(model: Model) -> None:
    """Refuse a model with a layer that has no exact ONNX form.

    Parameters
    ----------
    model : Model
        From ``lower(model, semantics)``.

    Raises
    ------
    RangeError
        Naming the first such node.

    Examples
    --------
    >>> from refq.nn import ReLU, Sequential
    >>> check_layers(Sequential([ReLU()], input_shape=(3,)))
    Traceback (most recent call last):
    refq.core.errors.RangeError: relu1: nn.ReLU() has no exact ONNX form here; lower the model with
    semantics=refq.semantics.get('onnxruntime'), and without average pooling
    """
    for node in model.nodes:
        if not isinstance(node.layer, EXPORTED):
            raise RangeError(
                f"{node.name}: {node.layer!r} has no exact ONNX form here; lower the model with "
                "semantics=refq.semantics.get('onnxruntime'), and without average pooling"
            )


def model_proto(model: Model) -> Any:
    """Return the ONNX model of a lowered model.

    Parameters
    ----------
    model : Model
        From ``lower(model, semantics)``.

    Returns
    -------
    onnx.ModelProto
        Takes "input" (float32), gives "codes" (integers) and "output" (float32, what they mean).

    Raises
    ------
    RangeError
        Naming the node that has no exact ONNX form.

    Notes
    -----
    Imports the package onnx.
    """
    from onnx import helper

    check_layers(model)
    writer = _Writer()
    for node in model.nodes:
        writer.visit(node)
    grid = writer.grids[model.nodes[-1].name]
    writer.finish(model.nodes[-1].name, *grid)
    value = helper.make_tensor_value_info
    shape, last = ["n", *model.input_shape], ["n", *model.shapes()[model.nodes[-1].name]]
    outputs = [value("codes", NUMPY[grid[0]], last), value("output", FLOAT, last)]
    graph = helper.make_graph(
        writer.nodes, "refq", [value("input", FLOAT, shape)], outputs, writer.constants
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10, producer_name="refq")


def _array(tensor: Any) -> NDArray[Any]:
    return tensor.decode() if isinstance(tensor, Encoding) else np.asarray(tensor)


class _Writer:
    """The nodes and constants so far, and the grid of every node's codes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        #: node name -> (format, scale, zero point)
        self.grids: dict[str, tuple[str, NDArray[Any], int]] = {}

    def visit(self, node: Node) -> None:
        layer, name = node.layer, node.name
        if isinstance(layer, QuantizeInput):
            self._check(layer.format, name)
            scale = np.float32(layer.scale_value)
            self.grids[name] = (layer.format, np.asarray(scale), layer.zero_point)
            zero = np.dtype(layer.format).type(layer.zero_point)
            given = ["input", self._constant(scale), self._constant(zero)]
            self._node("QuantizeLinear", given, name)
        elif isinstance(layer, QLinearConv2d):
            self._convolution(node, layer)
        elif isinstance(layer, QLinearLinear):
            self._product(node, layer)
        elif isinstance(layer, QLinearRescale):  # a QLinearAdd is one
            self._numbers(node, layer)
        elif isinstance(layer, IntegerMaxPool):
            pads = [*layer.padding, *layer.padding]
            sizes = {"kernel_shape": list(layer.kernel_size), "strides": list(layer.stride)}
            self._node("MaxPool", node.inputs, name, **sizes, pads=pads)
            self.grids[name] = self.grids[node.inputs[0]]
        else:  # Flatten or Concat
            self._node(type(layer).__name__, node.inputs, name, axis=1)
            self.grids[name] = self.grids[node.inputs[0]]

    def finish(self, last: str, format: str, scale: NDArray[Any], zero_point: int) -> None:
        """Name the last codes, and add what they mean."""
        self._node("Identity", [last], "codes")
        self._number(last, scale, zero_point, "output")

    def _constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        if np.ndim(value) == 0:
            del self.constants[-1].dims[:]  # ascontiguousarray gives scalars an axis
        return name

    def _node(self, op: str, inputs: Any, output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def _float(self, op: str, x: str, value: Any, output: str) -> str:
        """Append an operation with a float32 constant."""
        return self._node(op, [x, self._constant(np.asarray(value, np.float32))], output)

    @staticmethod
    def _check(format: str, name: str) -> None:
        if format not in NUMPY:
            raise RangeError(f"{name}: codes of {format} have no ONNX type here; {set(NUMPY)} have")

    def _number(self, codes: str, scale: Any, zero_point: int, output: str) -> str:
        x = self._node("Cast", [codes], f"{output}_cast", to=FLOAT)
        if zero_point:
            x = self._float("Sub", x, zero_point, f"{output}_difference")
        return self._float("Mul", x, scale, output)

    def _coded(self, x: str, layer: Any, name: str) -> None:
        """Append rounding, zero point, limits and the cast to codes."""
        self._check(layer.format, name)
        x = self._node("Round", [x], f"{name}_round")
        if layer.output_zero_point:
            x = self._float("Add", x, layer.output_zero_point, f"{name}_shift")
        limits = np.iinfo(np.int32)
        if (layer.low, layer.high) != (limits.min, limits.max):
            ends = (self._constant(np.float32(end)) for end in (layer.low, layer.high))
            x = self._node("Clip", [x, *ends], f"{name}_clip")
        self._node("Cast", [x], name, to=NUMPY[layer.format])
        self.grids[name] = (layer.format, _array(layer.output_scale), layer.output_zero_point)

    def _convolution(self, node: Node, layer: QLinearConv2d) -> None:
        name, kind = node.name, np.dtype(layer.format).type
        self._check(layer.format, name)
        x_kind = np.dtype(self.grids[node.inputs[0]][0]).type
        weight = _array(layer.weight)
        given = [
            _array(layer.input_scale).astype(np.float32),
            x_kind(layer.input_zero_point),
            weight,
            _array(layer.weight_scale).astype(np.float32),
            np.zeros(len(weight), weight.dtype),
            _array(layer.output_scale).astype(np.float32),
            kind(layer.output_zero_point),
            _array(layer.bias).astype(np.int32),
        ]
        limits = np.iinfo(kind)
        whole = (layer.low, layer.high) == (limits.min, limits.max)
        self._node(
            "QLinearConv",
            [node.inputs[0], *map(self._constant, given)],
            name if whole else f"{name}_whole",
            pads=[*layer.padding, *layer.padding],
            strides=list(layer.stride),
            dilations=list(layer.dilation),
            group=layer.groups,
        )
        if not whole:
            ends = (self._constant(kind(end)) for end in (layer.low, layer.high))
            self._node("Clip", [f"{name}_whole", *ends], name)
        self.grids[name] = (layer.format, _array(layer.output_scale), layer.output_zero_point)

    def _product(self, node: Node, layer: QLinearLinear) -> None:
        name, (source,) = node.name, node.inputs
        weight = _array(layer.weight).T
        zero = np.dtype(self.grids[source][0]).type(layer.input_zero_point)
        given = [source, self._constant(weight), self._constant(zero)]
        sums = self._node("MatMulInteger", given, f"{name}_sums")
        bias = self._constant(_array(layer.bias).astype(np.int32))
        sums = self._node("Add", [sums, bias], f"{name}_biased")
        x = self._node("Cast", [sums], f"{name}_float", to=FLOAT)
        self._coded(self._float("Mul", x, layer.multiplier, f"{name}_scaled"), layer, name)

    def _numbers(self, node: Node, layer: QLinearRescale) -> None:
        name = node.name
        x = self._number(
            node.inputs[0], _array(layer.input_scale), layer.input_zero_point, f"{name}_first"
        )
        if isinstance(layer, QLinearAdd):
            second = self._number(
                node.inputs[1], _array(layer.second_scale), layer.second_zero_point,
                f"{name}_second",
            )  # fmt: skip
            x = self._node("Add", [x, second], f"{name}_sum")
        scale = _array(layer.output_scale)
        self._coded(self._float("Div", x, scale, f"{name}_quotient"), layer, name)
