"""Channels between two layers, and how to rescale them without changing the model.

Problem
-------
What one layer gives, another one takes. Between them a channel may have any unit: divide the first
layer's output by s, multiply the second layer's input weights by s, and nothing changes, if all in
between commutes with a positive factor.

Equation
--------
``f(x / s) = f(x) / s`` for s > 0 holds for ReLU, for maxima and means, and for layers that only
move numbers. It does not hold for a ClippedReLU, a sigmoid, a softmax, or a batch normalization:
fold that first.

Conventions
-----------
A *link* is a chain whose nodes each have one reader: Conv2d or Linear, then any number of such
layers, then Conv2d or Linear. Every layer is in at most one link on each side.

Exactness
---------
With powers of two, every product and every sum is the old one times a power of two: the outputs of
the model are the same bits, unless something over- or underflows. With other factors the scaled
weights are rounded, by one unit each.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_finite
from ..core.errors import RangeError
from ..encodings import Encoding
from ..nn import (
    AvgPool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Model,
    ReLU,
)

__all__ = ["Link", "channel_links", "power_of_two_near", "rescale"]

#: Layers that commute with a positive factor for each channel
HOMOGENEOUS = (AvgPool, Dropout, Flatten, GlobalAvgPool, MaxPool, ReLU)


@dataclass(frozen=True)
class Link:
    """Two layers that only each other's channels concern.

    Parameters
    ----------
    source, target : str
        Nodes of a Conv2d or Linear.
    copies : int
        How many inputs of the target belong to one channel: more than one after a Flatten.
    """

    source: str
    target: str
    copies: int


def channel_links(model: Model) -> list[Link]:
    """Return all links, in the order of their sources.

    Parameters
    ----------
    model : Model
        With batch normalization folded: one that is left ends a chain.

    Returns
    -------
    list of Link
        Empty where nothing can be rescaled.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)]
    >>> channel_links(nn.Sequential(layers, (1, 2, 2)))
    [Link(source='conv1', target='fc1', copies=4)]
    """
    found = []
    for node in model.nodes:
        readers = model.consumers(node.name) if isinstance(node.layer, (Conv2d, Linear)) else []
        while len(readers) == 1 and isinstance(model.node(readers[0]).layer, HOMOGENEOUS):
            readers = model.consumers(readers[0])
        if len(readers) == 1 and isinstance(model.node(readers[0]).layer, (Conv2d, Linear)):
            channels = model.shapes()[node.name][0]
            width = model.shapes()[model.node(readers[0]).inputs[0]][0]
            found.append(Link(node.name, readers[0], width // channels))
    return found


def power_of_two_near(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power of two that is nearest in ratio.

    Parameters
    ----------
    scale : ndarray of float64
        Positive.

    Returns
    -------
    ndarray of float64
        Exact; sqrt(2) and above go up.

    Examples
    --------
    >>> power_of_two_near(np.array([0.7, 1.4, 1.5, 3.0]))
    array([0.5, 1. , 2. , 4. ])
    """
    fraction, exponent = np.frexp(scale)  # fraction in [0.5, 1)
    return np.ldexp(1.0, exponent - (fraction < np.sqrt(0.5)))


def rescale(model: Model, link: Link, scale: NDArray[np.float64]) -> Model:
    """Return the model whose source gives ``1/s`` of each channel, and whose target takes it back.

    Parameters
    ----------
    model : Model
        Untouched.
    link : Link
        From `channel_links`.
    scale : ndarray of float64, shape (channels,)
        *s*, positive.

    Returns
    -------
    Model
        The same function up to the rounding of the weights.

    Raises
    ------
    RangeError
        If a weight is an Encoding already, or leaves its dtype; the message names it.

    Notes
    -----
    For scales that are no powers of two: with u the unit roundoff, a product of two rescaled layers
    has two rounded weights and the rounding of the activation between. Both models are within
    ``(k1 + k2 + 8) u S`` of the exact output to first order, k1 and k2 the numbers of summands, S
    the output of the model with the magnitudes of all weights, biases and inputs; a mean in between
    adds its number of summands. Tier T3; T2 for powers of two.

    Examples
    --------
    >>> from refq import nn
    >>> first, second = nn.Linear(1, 2, weight=[[1], [8]]), nn.Linear(2, 1, weight=[[4, 2]])
    >>> layers = [first, nn.ReLU(), second]
    >>> model = nn.Sequential(layers, (1,))
    >>> new = rescale(model, channel_links(model)[0], np.array([0.5, 2.0]))
    >>> new.parameters()["fc1.weight"].tolist(), new.parameters()["fc2.weight"].tolist()
    ([[2.0], [4.0]], [[2.0, 4.0]])
    """
    tensors: dict[str, NDArray[Any]] = {}
    for name in (f"{link.source}.weight", f"{link.source}.bias"):
        if name in model.parameters():
            values = float_tensor(model, name)
            factor = scale.reshape(-1, *[1] * (values.ndim - 1))
            tensors[name] = _rounded(values / factor, values.dtype, name)
    name = f"{link.target}.weight"
    weight = float_tensor(model, name)
    grouped = by_input_channel(model, link)
    spread = scale.reshape(grouped.shape[0], 1, grouped.shape[2], *[1] * (grouped.ndim - 3))
    tensors[name] = _rounded((grouped * spread).reshape(weight.shape), weight.dtype, name)
    return model.replace(tensors)


def by_input_channel(model: Model, link: Link) -> NDArray[np.float64]:
    """Return the target's weight with its input channels on axes 0 and 2.

    Parameters
    ----------
    model : Model
        Of the link.
    link : Link
        Names the target.

    Returns
    -------
    ndarray of float64, shape (groups, outputs of a group, channels of a group, ...)
        The source's channel is ``group * channels of a group + channel``.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.Conv2d(1, 6, 1), nn.Conv2d(6, 4, 3, groups=2)]
    >>> model = nn.Sequential(layers, (1, 3, 3))
    >>> by_input_channel(model, channel_links(model)[0]).shape
    (2, 2, 3, 9)
    """
    weight = float_tensor(model, f"{link.target}.weight").astype(np.float64)
    layer = model.node(link.target).layer
    groups = layer.groups if isinstance(layer, Conv2d) else 1
    channels = weight.shape[1] // link.copies
    inner = link.copies * prod(weight.shape[2:])
    return weight.reshape(groups, len(weight) // groups, channels, inner)


def float_tensor(model: Model, name: str) -> NDArray[Any]:
    """Return a parameter that is an array; an encoded one is refused.

    Parameters
    ----------
    model : Model
        Whose parameter it is.
    name : str
        ``node.tensor``.

    Returns
    -------
    ndarray of float
        As it is.

    Raises
    ------
    RangeError
        If it is an Encoding.

    Examples
    --------
    >>> from refq import nn
    >>> model = nn.Sequential([nn.Linear(1, 1, weight=[[2.0]])], (1,))
    >>> float_tensor(model, "fc1.weight")
    array([[2.]])
    """
    tensor = model.parameters()[name]
    if isinstance(tensor, Encoding):
        raise RangeError(f"{name} is {tensor!r}; do this before the model is compressed")
    return tensor


def _rounded(values: NDArray[np.float64], dtype: Any, name: str) -> NDArray[Any]:
    with np.errstate(over="ignore", under="ignore"):  # an overflow is refused by name
        return check_finite(values.astype(dtype), f"{name}, rescaled,")
