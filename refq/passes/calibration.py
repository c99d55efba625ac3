"""Calibration: look at activations, choose their grids, put them into the graph.

Problem
-------
A weight's range is known; an activation's must be observed on data. Static quantization observes
once and freezes.

Conventions
-----------
`calibrate` inserts a `Quantize` node, named ``<node>_q``, at every point where an integer model
will store codes: the input, and each result that is not merely passed on. A ReLU after a
convolution or an addition is fused, so only its output is observed. Pooling and flattening keep
codes as they are, and the last node keeps its accumulator: logits are not quantized.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_float_array
from ..core.errors import RangeError
from ..encodings import Cast
from ..nn import (
    Add,
    AvgPool,
    ClippedReLU,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Model,
    Node,
    Quantize,
    ReLU,
)
from ..scalar import AffineQuantizer, format_of

__all__ = ["calibrate", "quantization_points"]

KEEPERS = (AvgPool, Dropout, Flatten, GlobalAvgPool, MaxPool)  #: layers that keep their input's grid
RECTIFIERS = (ReLU, ClippedReLU)  #: layers that fuse into what comes before


def quantization_points(model: Model) -> list[str]:
    """List the nodes after which an integer model stores codes on a grid of their own.

    Parameters
    ----------
    model : Model
        With batch normalization folded.

    Returns
    -------
    list of str
        "input" first.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)]
    >>> quantization_points(nn.Sequential(layers, input_shape=(3,)))
    ['input', 'relu2']
    """
    points = ["input"]
    for node in model.nodes[:-1]:
        readers = [model.node(name).layer for name in model.consumers(node.name)]
        fused = len(readers) == 1 and isinstance(readers[0], RECTIFIERS)
        if not isinstance(node.layer, KEEPERS) and not (
            fused and isinstance(node.layer, (Add, Concat, Conv2d, Linear))
        ):
            points.append(node.name)
    return points


def calibrate(model: Model, calibration: Any, method: AffineQuantizer | None = None) -> Model:
    """Return the model with a `Quantize` node at every quantization point.

    Parameters
    ----------
    model : Model
        A float model; fold its batch normalizations first.
    calibration : Split or array_like, shape (n, *input_shape)
        What activations are observed on: an array, or a split with ``X``.
    method : AffineQuantizer or None
        Chooses scale and zero point from the observed values; per tensor. None means asymmetric
        uint8 from the smallest to the largest value, the scale kept in float32.

    Returns
    -------
    Model
        Floats in, floats out, activations rounded to the grids.

    Raises
    ------
    RangeError
        If the calibration set is empty or the method is not per tensor.

    Notes
    -----
    Keeps all activations of the calibration set in memory. Tier T2.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)]
    >>> model = nn.Sequential(layers, input_shape=(3,)).initialize(0)
    >>> X = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    >>> [node.name for node in calibrate(model, X).nodes]
    ['input_q', 'fc1', 'relu2', 'relu2_q', 'fc3']
    """
    X = check_float_array(getattr(calibration, "X", calibration), "calibration")
    if not len(X):
        raise RangeError("calibration is empty; activations need at least one example")
    chooser = AffineQuantizer(scale_method=Cast("float32")) if method is None else method
    observed = model.activations(X)
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    points = set(quantization_points(model))
    for node in [None, *model.nodes]:
        name = "input" if node is None else node.name
        if node is not None:
            inputs = tuple(renamed.get(i, i) for i in node.inputs)
            nodes.append(Node(name, node.layer, inputs))
        if name in points:
            renamed[name] = f"{name}_q"
            nodes.append(Node(f"{name}_q", _grid(observed[name], chooser, name), (name,)))
    return Model(nodes, model.input_shape)


def _grid(values: NDArray[Any], method: AffineQuantizer, name: str) -> Quantize:
    fitted = method.clone().fit(values.reshape(-1))
    scale = np.asarray(fitted.scale_)
    if scale.size != 1 or not math.isfinite(float(scale.item())):
        raise RangeError(f"{name}: the method has {scale.size} scales; activations take one")
    zero_point = 0 if fitted.zero_point_ is None else int(np.asarray(fitted.zero_point_).item())
    return Quantize(format_of(fitted.bits, fitted.scheme), zero_point, np.float32(scale.item()))
