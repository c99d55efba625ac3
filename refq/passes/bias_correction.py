"""Bias correction: quantized weights shift the mean of every output; the bias takes the shift back.

Problem
-------
The errors of a row's weights do not cancel against inputs whose mean is not zero, as after a ReLU.
The mean of the output moves, and all layers after it see inputs they were not trained on.

Equation
--------
With ``eps = W' - W``, the mean of the output moves by ``E[y'] - E[y] = eps E[x]``, channel by
channel ([1]_, section 4.2), and ``b' = b - eps E[x]``. E[x] is observed on data, or follows from
the batch normalization before: a normal variable with mean beta and deviation gamma, clipped to [a,
c] by the activation, has the mean (phi and Phi the standard normal density and distribution, ``l =
(a - beta)/gamma``, ``h = (c - beta)/gamma``)::

    gamma (phi(l) - phi(h)) + beta (Phi(h) - Phi(l)) + a Phi(l) + c (1 - Phi(h))

Conventions
-----------
Nodes are told by name: both models must have the corrected ones. Layers are corrected from the
first to the last, each after all before it, so that on the data every corrected mean is right at
the end, up to the bias's rounding. Computed in float64, rounded once to float32 (float64 where the
weight is). An encoded bias becomes an array: encode it afterwards.

References
----------
.. [1] M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight
   Equalization and Bias Correction", ICCV 2019, arXiv:1906.04721, section 4.2, appendices C, D.
"""

from math import erf, exp, inf, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_float_array
from ..core.errors import RangeError, ShapeError
from ..encodings import Encoding
from ..nn import (
    AvgPool,
    BatchNorm,
    ClippedReLU,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    Model,
    ReLU,
)
from ..nn.graph import INPUT
from .batchnorm_folding import fold_batchnorm

__all__ = ["clipped_normal_mean", "correct_bias", "correct_bias_from_statistics", "expected_inputs"]

MOVERS = (Dropout, Flatten)  #: layers that keep every number
MEAN_KEEPERS = (AvgPool, GlobalAvgPool, *MOVERS)  #: layers that keep the mean of each channel


def correct_bias(model: Model, original: Model, calibration: Any) -> Model:
    """Return the model with biases that keep the mean outputs of the original on data.

    Parameters
    ----------
    model : Model
        Compressed, calibrated or both; untouched.
    original : Model
        The float model, batch normalizations folded as in `model`.
    calibration : Split or array_like, shape ``(n, *input_shape)``
        What means are taken over: an array, or a split with ``X``.

    Returns
    -------
    Model
        Every Conv2d and Linear that both have has a bias.

    Raises
    ------
    RangeError
        If there is no example, or the models share no such layer.
    ShapeError
        If a layer's outputs differ in shape.

    Notes
    -----
    The mean error of each corrected channel, over examples and pixels, is at most ``u (|b| + |y|)``
    afterwards, to first order, u the unit roundoff of the outputs and of the bias, and what their
    sums in another order add. A `Quantize` behind a layer is no part of its output. Cost: as many
    runs of the model as it has layers. Tier T2.

    References
    ----------
    M. Nagel et al., arXiv:1906.04721, appendix D: empirical bias correction.

    Examples
    --------
    >>> from refq import nn
    >>> original = nn.Sequential([nn.Linear(2, 1, weight=[[0.3, 0.4]])], (2,))
    >>> rounded = original.replace({"fc1.weight": [[0.25, 0.5]]})
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> float((rounded.predict(X) - original.predict(X)).mean().round(6))
    0.2
    >>> corrected = correct_bias(rounded, original, X)
    >>> bool(abs((corrected.predict(X) - original.predict(X)).mean()) < 1e-7)
    True
    """
    X = check_float_array(getattr(calibration, "X", calibration), "calibration")
    if X.size == 0:
        raise RangeError("calibration is empty; means need at least one example")
    wanted = original.activations(X)
    names = _shared_layers(model, original)
    for name in names:
        got = model.activations(X)[name]
        if got.shape != wanted[name].shape:
            raise ShapeError(f"{name} gives {got.shape}; the original {wanted[name].shape}")
        shift = _channel_means(got.astype(np.float64) - wanted[name])
        model = _with_bias_less(model, name, shift)
    return model


def correct_bias_from_statistics(model: Model, original: Model) -> Model:
    """Return the model with biases corrected by what batch normalizations say about inputs.

    Parameters
    ----------
    model : Model
        Compressed, with folded batch normalizations; untouched.
    original : Model
        The float model before folding.

    Returns
    -------
    Model
        Where `expected_inputs` knows nothing, the layer is left.

    Raises
    ------
    RangeError
        If the models share no layer.
    ShapeError
        If a weight's shape differs from the folded one's.

    Notes
    -----
    Needs no data. It trusts that a channel is normally distributed with the statistics of training,
    and takes the zeros around an image for pixels like the others. It corrects the weights' errors,
    not those of the activations. Tier T3.

    References
    ----------
    M. Nagel et al., arXiv:1906.04721, section 4.2.

    Examples
    --------
    >>> from refq import nn
    >>> norm = nn.BatchNorm(2, bias=[1.0, 9.0])
    >>> layers = [nn.Linear(2, 2), norm, nn.ReLU(), nn.Linear(2, 1, weight=[[0.3, 0.4]])]
    >>> original = nn.Sequential(layers, (2,))
    >>> rounded = fold_batchnorm(original).replace({"fc2.weight": [[0.25, 0.5]]})
    >>> corrected = correct_bias_from_statistics(rounded, original)
    >>> corrected.parameters()["fc2.bias"].round(3)  # 0.05 * 1.083 - 0.1 * 9
    array([-0.846])
    """
    folded, expected = fold_batchnorm(original), expected_inputs(original)
    for name in _shared_layers(model, folded):
        if name not in expected:
            continue
        new, old = (_array(m.parameters()[f"{name}.weight"]) for m in (model, folded))
        if new.shape != old.shape:
            raise ShapeError(f"{name}.weight has shape {new.shape}; the original {old.shape}")
        layer = model.node(name).layer
        groups = layer.groups if isinstance(layer, Conv2d) else 1
        means = expected[name].reshape(groups, 1, -1)  # one for each channel, kernels summed
        errors = (new - old).reshape(groups, len(new) // groups, means.shape[2], -1).sum(axis=3)
        model = _with_bias_less(model, name, (errors * means).sum(axis=2).reshape(-1))
    return model


def expected_inputs(original: Model) -> dict[str, NDArray[np.float64]]:
    """Return the mean input of each layer, as far as batch normalizations tell it.

    Parameters
    ----------
    original : Model
        With its batch normalizations.

    Returns
    -------
    dict of str to ndarray of float64, shape (channels,)
        Conv2d and Linear nodes whose input comes from a BatchNorm through at most one ReLU or
        ClippedReLU and layers that keep the mean. A maximum does not: what lies behind is left out.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.BatchNorm(1, bias=[0.0]), nn.ReLU(), nn.Linear(1, 1)]
    >>> expected_inputs(nn.Sequential(layers, (1,)))["fc1"].round(4)  # 1 / sqrt(2 pi)
    array([0.3989])
    """
    means: dict[str, NDArray[np.float64]] = {}
    for node in original.nodes:
        if isinstance(node.layer, (Conv2d, Linear)):
            found = _mean_of(original, node.inputs[0])
            if found is not None:
                width = original.shapes()[node.inputs[0]][0]
                means[node.name] = np.repeat(found, width // len(found))
    return means


def clipped_normal_mean(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    """Return the mean of normal variables clipped to an interval.

    Parameters
    ----------
    mean, deviation : ndarray of float64, shape (n,)
        Of the variables; a deviation may be zero.
    low, high : float
        The interval; infinity leaves a side open.

    Returns
    -------
    ndarray of float64, shape (n,)
        Within [low, high].

    References
    ----------
    M. Nagel et al., arXiv:1906.04721, appendix C.

    Examples
    --------
    >>> clipped_normal_mean(np.array([0.0, 5.0]), np.array([1.0, 0.0]), 0.0, np.inf).round(4)
    array([0.3989, 5.    ])
    """
    pairs = zip(mean.tolist(), deviation.tolist(), strict=True)
    return np.array([_clipped(m, s, low, high) for m, s in pairs])


def _clipped(mean: float, deviation: float, low: float, high: float) -> float:
    if deviation == 0:
        return min(max(mean, low), high)
    total = mean
    for end, side in ((low, 1), (high, -1)):
        if abs(end) == inf:
            continue
        # E[max(end - x, 0)] lifts the mean at the lower end, its mirror lowers it at the upper
        z = side * (end - mean) / deviation
        density, below = exp(-z * z / 2) / sqrt(2 * pi), (1 + erf(z / sqrt(2))) / 2
        total += side * deviation * (z * below + density)
    return total


def _mean_of(model: Model, name: str) -> NDArray[np.float64] | None:
    """Walk up from a node's input to a batch normalization; at most one clip is met."""
    low, high, clips = -inf, inf, 0
    while name != INPUT:
        node = model.node(name)
        layer = node.layer
        if isinstance(layer, BatchNorm):
            deviation = np.abs(_array(layer.weight))
            return clipped_normal_mean(_array(layer.bias), deviation, low, high)
        if isinstance(layer, (ReLU, ClippedReLU)) and not clips:
            clips, low = 1, 0.0
            high = float(_array(layer.ceiling)) if isinstance(layer, ClippedReLU) else inf
        elif not isinstance(layer, MOVERS if clips else MEAN_KEEPERS):
            return None  # the clip of a mean is not the mean of the clipped
        name = node.inputs[0]
    return None


def _shared_layers(model: Model, original: Model) -> list[str]:
    others = {n.name for n in original.nodes if isinstance(n.layer, (Conv2d, Linear))}
    mine = [n.name for n in model.nodes if isinstance(n.layer, (Conv2d, Linear))]
    shared = [name for name in mine if name in others]
    if not shared:
        raise RangeError(f"the models share no Conv2d or Linear: {mine} and {sorted(others)}")
    return shared


def _channel_means(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over examples and pixels."""
    return x.mean(axis=(0, *range(2, x.ndim)))


def _with_bias_less(model: Model, name: str, shift: NDArray[np.float64]) -> Model:
    layer: Any = model.node(name).layer
    old = np.zeros(len(shift)) if layer.bias is None else _array(layer.bias)
    dtype = np.float64 if layer.weight.dtype == np.float64 else np.float32
    tensors = {**layer.tensors(), "bias": (old - shift).astype(dtype)}
    return model.replace_layer(name, type(layer).build({**layer.config(), "bias": True}, tensors))


def _array(tensor: Any) -> NDArray[np.float64]:
    decoded = tensor.decode() if isinstance(tensor, Encoding) else tensor
    return np.asarray(decoded, np.float64)
