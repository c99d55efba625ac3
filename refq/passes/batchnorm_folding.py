"""Fold batch normalization into the convolution or linear layer before it.

Problem
-------
At inference, batch normalization is an affine map per channel. Integer networks have no such layer:
its scale goes into the weights, its shift into the bias.

Equation
--------
With ``g = gamma / sqrt(variance + eps)``: ``W' = g W`` per output channel and
``b' = beta + g (b - mean)`` ([1]_, equation 14).

Conventions
-----------
Computed in float64, rounded once to the weight's dtype. A batch normalization is folded where a
Conv2d or Linear is its only producer and it is that layer's only consumer; others are left.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", arXiv:1712.05877, 2017.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError
from ..encodings import Encoding
from ..nn import BatchNorm, Conv2d, Linear, Model

__all__ = ["fold_batchnorm"]


def fold_batchnorm(model: Model) -> Model:
    """Return the same function of the input without the batch normalizations that can be folded.

    Parameters
    ----------
    model : Model
        Untouched.

    Returns
    -------
    Model
        Every folded layer has a bias.

    Raises
    ------
    RangeError
        If a weight is an Encoding already: fold first, then compress.

    Notes
    -----
    The outputs agree with the model's in inference up to float rounding: tier T3.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(3, 2), nn.BatchNorm(2)], input_shape=(3,)).initialize(0)
    >>> [node.name for node in fold_batchnorm(model).nodes]
    ['fc1']
    """
    for node in model.nodes:
        if not isinstance(node.layer, BatchNorm):
            continue
        before = next((n for n in model.nodes if n.name == node.inputs[0]), None)
        if before is None or not isinstance(before.layer, (Conv2d, Linear)):
            continue
        if len(model.consumers(before.name)) == 1:
            folded = _folded(before.name, before.layer, node.layer)
            model = model.replace_layer(before.name, folded).without(node.name)
    return model


def _folded(name: str, layer: Conv2d | Linear, norm: BatchNorm) -> Conv2d | Linear:
    weight = layer.weight
    if isinstance(weight, Encoding):
        raise RangeError(f"{name}.weight is {weight!r}; fold the model before it is compressed")
    gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + _array(norm.eps))
    bias = np.zeros(weight.shape[0]) if layer.bias is None else _array(layer.bias)
    bias = _array(norm.bias) + gain * (bias - _array(norm.running_mean))
    scaled = weight.astype(np.float64) * gain.reshape(-1, *[1] * (weight.ndim - 1))
    config = {**layer.config(), "bias": True}
    tensors = {"weight": scaled.astype(weight.dtype), "bias": bias.astype(weight.dtype)}
    return type(layer).build(config, tensors)


def _array(tensor: Any) -> NDArray[np.float64]:
    decoded = tensor.decode() if isinstance(tensor, Encoding) else tensor
    return np.asarray(decoded, np.float64)
