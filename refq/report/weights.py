"""What the weights of a model stand for, so that two models can be compared number by number.

Problem
-------
A float model holds its weights, a compressed one holds Encodings of them, and a lowered one holds
integers whose scale has gone into a multiplier. Batch normalization may have been folded in
between, which changes every weight of a layer without any loss.

Equation
--------
A lowered layer requantizes with ``M = mantissa 2^-shift = s_x s_w / s_y``, so its weights stand for
``s_w q_w`` with ``s_w = M s_y / s_x``: one scale per output channel, or one for all.

Conventions
-----------
Weights are those of convolutions and linear layers, by "node.weight". A comparison is made only
where it means something: when one tensor has no counterpart of its shape, the ratio over all
weights is None, not the ratio over the rest.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..encodings import Encoding
from ..nn.batchnorm import BatchNorm
from ..nn.conv import Conv2d
from ..nn.graph import Node
from ..nn.integer_layers import IntegerConv2d, IntegerLinear
from ..nn.linear import Linear
from ..nn.model import Model
from ..nn.quantize import QuantizeInput
from ..passes.batchnorm_folding import fold_batchnorm

__all__ = ["real_weights", "reference_of", "weights_sqnr_db"]

Floats = NDArray[np.float64]


def real_weights(model: Model) -> dict[str, Floats]:
    """Return the numbers that the weights of a model stand for.

    Parameters
    ----------
    model : Model
        Float, compressed or lowered.

    Returns
    -------
    dict of str to ndarray of float64
        By "node.weight", for every convolution and linear layer.

    Notes
    -----
    Exact for float and compressed models. For a lowered one the multiplier's 31 bits bound the
    relative error by 2^-30. Tier T3.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(2, 1), nn.ReLU()], input_shape=(2,)).initialize(0)
    >>> list(real_weights(model))
    ['fc1.weight']
    """
    found = {}
    for node in model.nodes:
        layer = node.layer
        if isinstance(layer, (Conv2d, Linear)):
            found[f"{node.name}.weight"] = _array(layer.weight)
        elif isinstance(layer, (IntegerConv2d, IntegerLinear)):
            found[f"{node.name}.weight"] = _dequantized(model, node)
    return found


def _dequantized(model: Model, node: Node) -> Floats:
    layer = node.layer
    assert isinstance(layer, (IntegerConv2d, IntegerLinear))
    codes = _array(layer.weight)
    multiplier = np.ldexp(_array(layer.mantissa), -_array(layer.shift).astype(np.int64))
    scale = multiplier * _array(layer.output_scale) / _step(model, node.inputs[0])
    return codes * scale.reshape(-1, *[1] * (codes.ndim - 1))


def _step(model: Model, name: str) -> float:
    """Return what one step of a node's codes is worth; pooling and the like keep their input's."""
    node = model.node(name)
    while True:
        if isinstance(node.layer, QuantizeInput):
            return float(node.layer.scale_value)
        scale = node.layer.tensors().get("output_scale")
        if scale is not None:
            return float(_array(scale))
        node = model.node(node.inputs[0])


def reference_of(before: Model, after: Model) -> Model:
    """Return the float model whose weights those of `after` were made from.

    Parameters
    ----------
    before : Model
        The original.
    after : Model
        What became of it.

    Returns
    -------
    Model
        `before`, or `before` with batch normalization folded where `after` has none left.

    Examples
    --------
    >>> from refq import nn
    >>> before = nn.Sequential([nn.Linear(3, 2), nn.BatchNorm(2)], input_shape=(3,))
    >>> after = nn.Sequential([nn.Linear(3, 2)], input_shape=(3,))
    >>> len(reference_of(before, after).nodes), len(reference_of(before, before).nodes)
    (1, 2)
    """
    encoded = any(isinstance(t, Encoding) for t in before.parameters().values())
    if encoded or not _has_norm(before) or _has_norm(after):
        return before
    return fold_batchnorm(before)


def _has_norm(model: Model) -> bool:
    return any(isinstance(node.layer, BatchNorm) for node in model.nodes)


def weights_sqnr_db(before: Model, after: Model) -> float | None:
    """Return the signal to quantization noise ratio over all weights together.

    Parameters
    ----------
    before : Model
        The original.
    after : Model
        What became of it.

    Returns
    -------
    float or None
        ``10 log10(sum W^2 / sum (W - W')^2)`` over every weight of every layer, in decibels;
        infinity where nothing was lost; None if a weight of either model has no counterpart of its
        shape, since a ratio over the rest would flatter.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(2, 1)], input_shape=(2,)).initialize(0)
    >>> weights_sqnr_db(model, model)
    inf
    """
    old, new = real_weights(reference_of(before, after)), real_weights(after)
    if {k: w.shape for k, w in old.items()} != {k: w.shape for k, w in new.items()}:
        return None
    signal = sum(float(np.sum(w**2)) for w in old.values())
    noise = sum(float(np.sum((w - new[k]) ** 2)) for k, w in old.items())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _array(tensor: NDArray[np.generic] | Encoding) -> Floats:
    decoded = tensor.decode() if isinstance(tensor, Encoding) else tensor
    return np.asarray(decoded, np.float64)
