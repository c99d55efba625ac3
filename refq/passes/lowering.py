"""Lowering: a calibrated model becomes a graph of integer layers.

Problem
-------
A calibrated model still computes in float. Its integer twin multiplies codes, and only codes: each
layer's scales collapse into one multiplier per output channel.

Equation
--------
``real = s_x (q_x - z_x)``, ``W = s_w q_w`` and ``y = s_y (q_y - z_y)`` give
``q_y = z_y + M (sum (q_x - z_x) q_w + b)`` with ``M = s_x s_w / s_y`` and ``b = round(bias / (s_x
s_w))``. M is computed exactly, as a fraction, and rounded once to 31 bits.

Conventions
-----------
Weights must be `ScaledEncoding` with integer elements, no zero point and no offset, per tensor or
per output channel: what `AffineQuantizer(scheme="symmetric")` gives. The walk keeps, for every float
node, either codes that exist already or work that still waits for its grid: an accumulator, perhaps
with a ReLU on top.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.checks import check_finite
from ..core.errors import RangeError
from ..encodings import DenseEncoding, Encoding, ScaledEncoding, dense
from ..nn import (
    Add,
    AvgPool,
    ClippedReLU,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    IntegerAdd,
    IntegerAvgPool,
    IntegerConv2d,
    IntegerGlobalAvgPool,
    IntegerLinear,
    IntegerMaxPool,
    IntegerRescale,
    Layer,
    Linear,
    MaxPool,
    Model,
    Node,
    Quantize,
    QuantizeInput,
    ReLU,
)
from ..ops.requantization import fixed_point_multiplier

__all__ = ["lower"]

LOGITS = formats.get("int32")


@dataclass(frozen=True)
class _Codes:
    """A node of the integer graph and the grid of its codes."""

    name: str
    grid: Quantize


@dataclass(frozen=True)
class _Waiting:
    """Float nodes whose result has no grid yet: a layer, its inputs, perhaps a ReLU on top."""

    node: Node
    inputs: tuple[_Codes, ...]
    rectified: bool = False
    ceiling: float = float("inf")


def lower(model: Model) -> Model:
    """Return the integer twin of a calibrated model.

    Parameters
    ----------
    model : Model
        From `calibrate`, with quantized weights.

    Returns
    -------
    Model
        Takes codes of the input's format, or floats, which its first node quantizes; gives int32
        logits on one common scale. Every activation in between is an integer array.

    Raises
    ------
    RangeError
        Naming the node that has no integer form, and why.

    Notes
    -----
    Tier T1: the lowered model gives the same bits on every machine.

    Examples
    --------
    >>> from refq import nn, passes
    >>> from refq.scalar import AffineQuantizer
    >>> layers = [nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)]
    >>> model = nn.Sequential(layers, input_shape=(3,)).initialize(0)
    >>> X = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    >>> small = passes.compress(model, {"fc*": AffineQuantizer(scheme="symmetric")})
    >>> integers = lower(passes.calibrate(small, X))
    >>> integers.predict(X).dtype, [type(n.layer).__name__ for n in integers.nodes]
    (dtype('int32'), ['QuantizeInput', 'IntegerLinear', 'IntegerLinear'])
    """
    held: dict[str, _Codes | _Waiting] = {}
    nodes: list[Node] = []
    for node in model.nodes:
        held[node.name] = _lower_node(node, held, nodes)
    last = held[model.nodes[-1].name]
    if isinstance(last, _Waiting):
        nodes.append(_logits(last))
    return Model(nodes, model.input_shape)


def _lower_node(
    node: Node, held: dict[str, _Codes | _Waiting], nodes: list[Node]
) -> _Codes | _Waiting:
    layer = node.layer
    if isinstance(layer, Quantize):
        return _quantized(node, layer, held, nodes)
    if node.inputs == ("input",) and "input" not in held:
        raise RangeError(f"{node.name} reads floats; calibrate the model before it is lowered")
    inputs = [held[name] for name in node.inputs]
    if isinstance(layer, (ReLU, ClippedReLU)) and isinstance(inputs[0], _Waiting):
        return replace(inputs[0], rectified=True, ceiling=_ceiling(layer))
    codes = [c for c in inputs if isinstance(c, _Codes)]
    if len(codes) != len(inputs):
        raise RangeError(f"{node.name} reads {node.inputs}, one of which has no grid: calibrate")
    if isinstance(layer, (Add, Concat, Conv2d, Linear)):
        return _Waiting(node, tuple(codes))
    if isinstance(layer, (ReLU, ClippedReLU)):
        return _Waiting(node, tuple(codes), True, _ceiling(layer))
    if isinstance(layer, Dropout):
        return codes[0]
    nodes.append(Node(node.name, _keeper(layer, node.name), (codes[0].name,)))
    return _Codes(node.name, codes[0].grid)


def _keeper(layer: Layer, name: str) -> Layer:
    """Return the integer layer that keeps its input's grid."""
    if isinstance(layer, Flatten):
        return layer
    if isinstance(layer, MaxPool):
        return IntegerMaxPool(**layer.config())
    if isinstance(layer, AvgPool):
        return IntegerAvgPool(**layer.config())
    if isinstance(layer, GlobalAvgPool):
        return IntegerGlobalAvgPool()
    raise RangeError(f"{name}: {layer!r} has no integer form here; fold or remove it first")


def _ceiling(layer: Layer) -> float:
    return float(_array(layer.ceiling)) if isinstance(layer, ClippedReLU) else float("inf")


def _quantized(
    node: Node, grid: Quantize, held: dict[str, _Codes | _Waiting], nodes: list[Node]
) -> _Codes:
    (source,) = node.inputs
    if source == "input":
        nodes.append(Node(node.name, QuantizeInput(**grid.config(), **grid.tensors()), ("input",)))
        return _Codes(node.name, grid)
    work = held[source]
    if isinstance(work, _Codes):  # the same values on another grid
        work = _Waiting(node, (work,))
    name = work.node.name
    layer = work.node.layer
    low, high = _limits(work, grid)
    common = {
        "format": grid.format,
        "output_zero_point": grid.zero_point,
        "low": low,
        "high": high,
        "output_scale": dense(grid.scale_value, "float32"),
    }
    sources = tuple(c.name for c in work.inputs)
    if isinstance(layer, (Conv2d, Linear)):
        scale = Fraction(float(grid.scale_value))
        nodes.append(Node(name, _weighted(work, scale, common), sources))
    elif isinstance(layer, Add):
        nodes.append(Node(name, _addition(work, grid, common), sources))
    elif isinstance(layer, Concat):
        parts = [_rescaled(f"{name}_{i}", c, grid, common) for i, c in enumerate(work.inputs)]
        nodes += parts
        nodes.append(Node(name, layer, tuple(p.name for p in parts)))
    else:
        nodes.append(_rescaled(name, work.inputs[0], grid, common))
    return _Codes(name, grid)


def _limits(work: _Waiting, grid: Quantize) -> tuple[int, int]:
    """Return where codes saturate: a ReLU starts at the code of zero, a ceiling ends at its code."""
    form = grid.integers
    if not work.rectified:
        return form.low, form.high
    high = form.high
    if work.ceiling != float("inf"):
        high = min(high, int(grid.codes(np.float32(work.ceiling)[None])[0]))
    return grid.zero_point, high


def _rescaled(name: str, source: _Codes, grid: Quantize, common: dict[str, Any]) -> Node:
    ratio = Fraction(float(source.grid.scale_value)) / Fraction(float(grid.scale_value))
    mantissa, shift = _multipliers([ratio])
    layer = IntegerRescale(
        **common, input_zero_point=source.grid.zero_point, mantissa=mantissa, shift=shift
    )
    return Node(name, layer, (source.name,))


def _addition(work: _Waiting, grid: Quantize, common: dict[str, Any]) -> IntegerAdd:
    first, second = work.inputs
    step = Fraction(float(grid.scale_value))
    mantissas, shifts = _multipliers([Fraction(float(c.grid.scale_value)) / step for c in work.inputs])
    return IntegerAdd(
        **common,
        input_zero_point=first.grid.zero_point,
        second_zero_point=second.grid.zero_point,
        mantissas=mantissas,
        shifts=shifts,
    )


def _logits(work: _Waiting) -> Node:
    """Return the last layer: int32 logits on the largest channel's scale, so they can be compared."""
    if not isinstance(work.node.layer, (Conv2d, Linear)):
        raise RangeError(f"{work.node.name}: the last layer must be Linear or Conv2d")
    scale = max(_weight_scales(work.node)) * Fraction(float(work.inputs[0].grid.scale_value))
    common = {
        "format": LOGITS.name,
        "output_zero_point": 0,
        "low": 0 if work.rectified else -(1 << 31),
        "high": (1 << 31) - 1,
        "output_scale": dense(np.float32(float(scale)), "float32"),
    }
    sources = tuple(c.name for c in work.inputs)
    return Node(work.node.name, _weighted(work, scale, common), sources)


def _weighted(
    work: _Waiting, output_scale: Fraction, common: dict[str, Any]
) -> IntegerConv2d | IntegerLinear:
    layer, source = work.node.layer, work.inputs[0]
    assert isinstance(layer, (Conv2d, Linear))
    step = Fraction(float(source.grid.scale_value))
    units = [step * s for s in _weight_scales(work.node)]  # what one accumulator step is worth
    mantissa, shift = _multipliers([u / output_scale for u in units])
    bias = np.zeros(layer.weight.shape[0]) if layer.bias is None else _array(layer.bias)
    structure = {k: v for k, v in layer.config().items() if k != "bias"}
    kind = IntegerConv2d if isinstance(layer, Conv2d) else IntegerLinear
    return kind(
        **structure,
        **common,
        input_zero_point=source.grid.zero_point,
        weight=_weight(work.node).elements,
        bias=_integer_bias(bias, units, work.node.name),
        mantissa=mantissa,
        shift=shift,
    )


def _weight(node: Node) -> ScaledEncoding:
    weight = node.layer.tensors()["weight"]
    ok = (
        isinstance(weight, ScaledEncoding)
        and weight.elements.dtype.kind in "iu"
        and weight.zero_point is None
        and weight.offset is None
        and weight.scale.size in (1, weight.shape[0])
        and weight.scale.shape[0] == weight.scale.size
    )
    if not ok:
        raise RangeError(
            f"{node.name}.weight must be a ScaledEncoding of integers without zero point, per "
            f"tensor or per axis 0, not {weight if isinstance(weight, Encoding) else 'floats'}; "
            "compress it by AffineQuantizer(scheme='symmetric') first"
        )
    assert isinstance(weight, ScaledEncoding)
    return weight


def _weight_scales(node: Node) -> list[Fraction]:
    weight = _weight(node)
    scales = [Fraction(float(s)) for s in weight.scale.decode().reshape(-1)]
    return scales * weight.shape[0] if len(scales) == 1 else scales


def _multipliers(ratios: list[Fraction]) -> tuple[DenseEncoding, DenseEncoding]:
    """Return mantissas and shifts, one each where they differ, one for all where they agree."""
    distinct = ratios if len(set(ratios)) > 1 else ratios[:1]
    pairs = [fixed_point_multiplier(r) for r in distinct]
    mantissas = np.array([m for m, _ in pairs], np.int64)
    return dense(mantissas, "int32"), dense(np.array([s for _, s in pairs]), "uint8")


def _integer_bias(bias: NDArray[Any], units: list[Fraction], name: str) -> DenseEncoding:
    check_finite(bias, f"{name}.bias")
    steps = [round(Fraction(float(b)) / u) for b, u in zip(bias, units, strict=True)]
    for i, step in enumerate(steps):
        if not -(1 << 31) <= step < 1 << 31:
            raise RangeError(f"{name}.bias[{i}] = {bias[i]} takes {step} steps: more than int32")
    return dense(np.array(steps, np.int64), "int32")


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.decode() if isinstance(tensor, Encoding) else tensor, np.float64)
