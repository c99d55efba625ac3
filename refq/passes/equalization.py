"""Equalization: give neighbouring layers, or weights and activations, an even share of the range.

Problem
-------
With one scale for a whole tensor, a channel with a small range wastes most of the codes. Channels
between two layers can be rescaled for free (`refq.passes.channel_scaling`): so rescale them such
that ranges become even.

Equation
--------
Between two layers, with r1 the largest magnitude of a channel in the first weight and r2 that of
the same channel in the second ([1]_, equation 11)::

    s = sqrt(r1 r2) / r2,      W1 / s,  b1 / s,  W2 s

after which both ranges are ``sqrt(r1 r2)``. Between activations and weights, with m the largest
magnitude of the activations that enter the second layer ([2]_, equation 4)::

    s = m^alpha / r2^(1 - alpha),      activations / s,  W2 s

Conventions
-----------
A channel without weights (r1 or r2 zero) or without activations (m zero) keeps its unit. Computed
in float64, rounded once to the weights' dtype.

References
----------
.. [1] M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight
   Equalization and Bias Correction", ICCV 2019, arXiv:1906.04721.
.. [2] G. Xiao, J. Lin, M. Seznec, H. Wu, J. Demouth, S. Han, "SmoothQuant: Accurate and Efficient
   Post-Training Quantization for Large Language Models", ICML 2023, arXiv:2211.10438.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_float_array, check_integer, check_real
from ..core.errors import RangeError
from ..nn import Model
from .channel_scaling import (
    Link,
    by_input_channel,
    channel_links,
    float_tensor,
    power_of_two_near,
    rescale,
)

__all__ = ["equalize_layers", "equalizing_scale", "smooth_activations", "smoothing_scale"]

SETTLED = 1e-3  #: a sweep that changes no channel by more than this factor is the last


def equalizing_scale(r1: NDArray[np.float64], r2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what makes two ranges equal: ``sqrt(r1 r2) / r2``.

    Parameters
    ----------
    r1, r2 : ndarray of float64, shape (channels,)
        Largest magnitudes, not negative.

    Returns
    -------
    ndarray of float64, shape (channels,)
        1 where a range is zero.

    References
    ----------
    M. Nagel et al., arXiv:1906.04721, equation 11.

    Examples
    --------
    >>> equalizing_scale(np.array([8.0, 1.0]), np.array([2.0, 0.0]))
    array([2., 1.])
    """
    both = (r1 > 0) & (r2 > 0)
    return np.sqrt(np.where(both, r1, 1.0)) / np.sqrt(np.where(both, r2, 1.0))


def equalize_layers(model: Model, power_of_two: bool = False, sweeps: int = 20) -> Model:
    """Return the same function with the ranges of linked layers made even, channel by channel.

    Parameters
    ----------
    model : Model
        Untouched; fold its batch normalizations first.
    power_of_two : bool
        Round every scale to a power of two: then outputs are the same bits.
    sweeps : int
        At most so many passes over all links; layers in a row settle each other.

    Returns
    -------
    Model
        Without links, as it was.

    Raises
    ------
    RangeError
        If a weight is an Encoding already, or leaves its dtype.

    Notes
    -----
    Needs no data. The product of a layer's ranges is kept, so no output changes beyond the bound of
    `refq.passes.channel_scaling.rescale`. Biases grow where s is small; that can widen activations.
    Cost: linear in the weights for each sweep. Tier T3; T2 for powers of two.

    References
    ----------
    M. Nagel et al., arXiv:1906.04721, section 4.1.

    Examples
    --------
    >>> from refq import nn
    >>> first, second = nn.Linear(1, 2, weight=[[1], [8]]), nn.Linear(2, 1, weight=[[4, 2]])
    >>> layers = [first, nn.ReLU(), second]
    >>> model = equalize_layers(nn.Sequential(layers, (1,)))
    >>> model.parameters()["fc1.weight"].tolist(), model.parameters()["fc2.weight"].tolist()
    ([[2.0], [4.0]], [[2.0, 4.0]])
    """
    links = channel_links(model)
    for _ in range(check_integer(sweeps, "sweeps", 0)):
        largest = 0.0
        for link in links:
            scale = equalizing_scale(_output_range(model, link), _input_range(model, link))
            scale = power_of_two_near(scale) if power_of_two else scale
            model = rescale(model, link, scale)
            largest = max(largest, float(np.abs(np.log(scale)).max()))
        if largest < SETTLED:
            break
    return model


def smoothing_scale(
    activations: NDArray[np.float64], weights: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Return how much of the activations' range goes into the weights: ``m^a / r^(1 - a)``.

    Parameters
    ----------
    activations, weights : ndarray of float64, shape (channels,)
        Largest magnitudes, not negative.
    alpha : float
        0 gives the weights an even range, 1 the activations.

    Returns
    -------
    ndarray of float64, shape (channels,)
        1 where a range is zero.

    References
    ----------
    G. Xiao et al., arXiv:2211.10438, equation 4.

    Examples
    --------
    >>> smoothing_scale(np.array([16.0, 0.0]), np.array([4.0, 1.0]), 0.5)
    array([2., 1.])
    """
    both = (activations > 0) & (weights > 0)
    m, r = np.where(both, activations, 1.0), np.where(both, weights, 1.0)
    return np.asarray(m**alpha / r ** (1 - alpha))


def smooth_activations(
    model: Model, calibration: Any, alpha: float = 0.5, power_of_two: bool = False
) -> Model:
    """Return the same function with the activations between linked layers made smaller.

    Parameters
    ----------
    model : Model
        Untouched; fold its batch normalizations first.
    calibration : Split or array_like, shape ``(n, *input_shape)``
        What activations are observed on: an array, or a split with ``X``.
    alpha : float
        Share of the activations' range that moves into the weights, in [0, 1].
    power_of_two : bool
        Round every scale to a power of two: then outputs are the same bits.

    Returns
    -------
    Model
        Without links, as it was. The division of the activations is done by the layer before, so
        only linked layers are reached.

    Raises
    ------
    RangeError
        If there is no example, `alpha` is out of range, a weight is an Encoding already, or leaves
        its dtype.

    Notes
    -----
    Links are rescaled from the first to the last, against activations of the model as given and
    weights as they are then. Tier T3; T2 for powers of two.

    References
    ----------
    G. Xiao et al., arXiv:2211.10438.

    Examples
    --------
    >>> from refq import nn
    >>> first, second = nn.Linear(1, 2, weight=[[1], [16]]), nn.Linear(2, 1, weight=[[4, 4]])
    >>> model = nn.Sequential([first, nn.ReLU(), second], (1,))
    >>> model = smooth_activations(model, [[1.0]])
    >>> model.activations([[1.0]])["relu1"].tolist(), model.parameters()["fc2.weight"].tolist()
    ([[2.0, 8.0]], [[2.0, 8.0]])
    """
    X = check_float_array(getattr(calibration, "X", calibration), "calibration")
    if X.size == 0:
        raise RangeError("calibration is empty; activations need at least one example")
    alpha = check_real(alpha, "alpha", 0.0, 1.0)
    seen = model.activations(X)
    for link in channel_links(model):
        entering = np.abs(seen[model.node(link.target).inputs[0]].astype(np.float64))
        channels = model.shapes()[link.source][0]
        # a Flatten keeps the numbers of a channel together
        largest = entering.reshape(len(entering), channels, -1).max(axis=(0, 2))
        scale = smoothing_scale(largest, _input_range(model, link), alpha)
        model = rescale(model, link, power_of_two_near(scale) if power_of_two else scale)
    return model


def _output_range(model: Model, link: Link) -> NDArray[np.float64]:
    """Return the largest magnitude of each filter of the source."""
    weight = float_tensor(model, f"{link.source}.weight").astype(np.float64)
    return np.abs(weight.reshape(len(weight), -1)).max(axis=1)


def _input_range(model: Model, link: Link) -> NDArray[np.float64]:
    """Return the largest magnitude with which the target weighs each channel of the source."""
    return np.abs(by_input_channel(model, link)).max(axis=(1, 3)).reshape(-1)
