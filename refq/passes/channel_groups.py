"""Channels that live and die together, and the physically smaller model without some of them.

Problem
-------
Removing a filter removes an output channel, its bias, its batch normalization, and the slice of
every layer that reads it. A residual addition ties the channels of both its inputs.

Equation
--------
Every channel that a Conv2d or Linear makes gets a number; layers that keep channels pass the
numbers on, `Add` unites them (union-find), `Concat` lays them side by side, `Flatten` repeats each
over its pixels. All slices that carry one united number form a `Unit`, and a unit is removed whole
([1]_, where such sets are called groups of coupled parameters).

Conventions
-----------
The model's inputs and outputs are never removed. Grouped convolutions are handled where they are
depthwise (one channel in, one out: the channel passes through); the channels around any other
grouped convolution are kept.

References
----------
.. [1] G. Fang et al., "DepGraph: Towards Any Structural Pruning", arXiv:2301.12900, 2023.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError, ShapeError
from ..encodings import Encoding
from ..nn import Add, BatchNorm, Concat, Conv2d, Flatten, Layer, Linear, Model

__all__ = ["Unit", "channel_units", "mask_units", "prunable_layers", "remove_units"]

FROZEN = -1  #: the number of a channel that may not be removed


@dataclass(frozen=True)
class Unit:
    """One channel with everything that makes, normalizes and reads it.

    Parameters
    ----------
    makers : tuple of str
        The nodes that make the channel, in the model's order.
    slices : tuple of (str, int, tuple of int)
        "node.tensor", axis, indices along it.

    Examples
    --------
    >>> Unit(("fc1",), (("fc1.weight", 0, (3,)),)).makers
    ('fc1',)
    """

    makers: tuple[str, ...]
    slices: tuple[tuple[str, int, tuple[int, ...]], ...]

    def made_by(self, node: str) -> tuple[int, ...]:
        """Return the channel's indices among the outputs of a node that makes it.

        Parameters
        ----------
        node : str
            One of `makers`.

        Returns
        -------
        tuple of int
            Usually one.
        """
        return next(i for name, axis, i in self.slices if name == f"{node}.weight" and axis == 0)


class _Numbers:
    """Union-find over channel numbers; a set that touches a frozen channel is frozen."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.frozen: set[int] = set()

    def fresh(self, count: int) -> NDArray[np.int64]:
        start = len(self.parent)
        self.parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def unite(self, a: Iterable[int], b: Iterable[int]) -> None:
        for i, j in zip(a, b, strict=True):
            low, high = sorted((self.root(int(i)), self.root(int(j))))
            self.parent[high] = low

    def freeze(self, numbers: Iterable[int]) -> None:
        self.frozen.update(int(i) for i in numbers)

    def is_frozen(self) -> set[int]:
        return {self.root(i) for i in self.frozen}


def channel_units(model: Model) -> list[Unit]:
    """List the channels that may be removed, each with all its slices.

    Parameters
    ----------
    model : Model
        Of any layers; a layer that refq does not know how to shrink keeps its channels.

    Returns
    -------
    list of Unit
        In the order of the makers' channels.

    Notes
    -----
    Cost: linear in the number of channels times layers, up to the union-find's inverse Ackermann
    factor.

    Examples
    --------
    >>> from refq import nn
    >>> layers = [nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 4)]
    >>> [unit.slices for unit in channel_units(nn.Sequential(layers, input_shape=(3,)))][0]
    (('fc1.weight', 0, (0,)), ('fc1.bias', 0, (0,)), ('fc3.weight', 1, (0,)))
    """
    numbers = _Numbers()
    shapes = {"input": model.input_shape, **model.shapes()}
    held = {"input": numbers.fresh(model.input_shape[0])}
    numbers.freeze(held["input"])
    carried: list[tuple[str, int, NDArray[np.int64]]] = []  # tensor, axis, number of each index
    made: list[tuple[str, NDArray[np.int64]]] = []
    for node in model.nodes:
        inputs = [held[name] for name in node.inputs]
        out = _numbers_out(node.layer, inputs, shapes[node.inputs[0]], shapes[node.name], numbers)
        held[node.name] = out
        carried += [
            (f"{node.name}.{t}", axis, out if side == "out" else inputs[0])
            for t, axis, side in _slices_of(node.layer)
        ]
        if isinstance(node.layer, (Conv2d, Linear)) and not _passes_through(node.layer):
            made.append((node.name, out))
    numbers.freeze(held[model.nodes[-1].name])
    return _collect(numbers, carried, made)


def _numbers_out(
    layer: Layer,
    inputs: list[NDArray[np.int64]],
    shape_in: tuple[int, ...],
    shape_out: tuple[int, ...],
    numbers: _Numbers,
) -> NDArray[np.int64]:
    if isinstance(layer, (Conv2d, Linear)) and not _passes_through(layer):
        if isinstance(layer, Conv2d) and layer.groups > 1:
            numbers.freeze(inputs[0])
            out = numbers.fresh(shape_out[0])
            numbers.freeze(out)
            return out
        return numbers.fresh(shape_out[0])
    if isinstance(layer, Add):
        for other in inputs[1:]:
            numbers.unite(inputs[0], other)
    if isinstance(layer, Concat):
        if layer.axis != 1:
            raise ShapeError(f"{layer!r} joins along axis {layer.axis}; channels are axis 1")
        return np.concatenate(inputs)
    if isinstance(layer, Flatten):
        return np.repeat(inputs[0], int(np.prod(shape_in[1:], dtype=np.int64)))
    if inputs[0].size != shape_out[0]:
        raise ShapeError(f"{layer!r} changes the channels in a way that is not known here")
    return inputs[0]


def _passes_through(layer: Layer) -> bool:
    """Whether it is a depthwise convolution: channel i comes from channel i alone."""
    return (
        isinstance(layer, Conv2d)
        and layer.groups > 1
        and layer.groups == layer.in_channels == layer.out_channels
    )


def _slices_of(layer: Layer) -> list[tuple[str, int, str]]:
    if isinstance(layer, BatchNorm):
        return [(name, 0, "out") for name in ("weight", "bias", "running_mean", "running_var")]
    if not isinstance(layer, (Conv2d, Linear)):
        return []
    found = [("weight", 0, "out")]
    if layer.bias is not None:
        found.append(("bias", 0, "out"))
    if not _passes_through(layer):
        found.append(("weight", 1, "in"))
    return found


def _collect(
    numbers: _Numbers,
    carried: list[tuple[str, int, NDArray[np.int64]]],
    made: list[tuple[str, NDArray[np.int64]]],
) -> list[Unit]:
    slices: dict[int, list[tuple[str, int, tuple[int, ...]]]] = {}
    makers: dict[int, list[str]] = {}
    for name, out in made:
        for root in dict.fromkeys(numbers.root(int(i)) for i in out):
            makers.setdefault(root, []).append(name)
    for tensor, axis, of in carried:
        where: dict[int, list[int]] = {}
        for index, number in enumerate(of):
            where.setdefault(numbers.root(int(number)), []).append(index)
        for root, indices in where.items():
            slices.setdefault(root, []).append((tensor, axis, tuple(indices)))
    frozen = numbers.is_frozen()
    return [Unit(tuple(makers[r]), tuple(slices[r])) for r in makers if r not in frozen]


def prunable_layers(units: list[Unit]) -> dict[tuple[str, ...], list[Unit]]:
    """Group units by the nodes that make them: a budget is spent within such a group.

    Parameters
    ----------
    units : list of Unit
        From `channel_units`.

    Returns
    -------
    dict of tuple of str to list of Unit
        By makers.

    Examples
    --------
    >>> list(prunable_layers([Unit(("conv1",), ())]))
    [('conv1',)]
    """
    groups: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.makers, []).append(unit)
    return groups


def mask_units(model: Model, units: Iterable[Unit]) -> Model:
    """Return the model with every slice of some units set to zero; shapes stay.

    Parameters
    ----------
    model : Model
        Its sliced tensors are arrays.
    units : iterable of Unit
        What to switch off.

    Returns
    -------
    Model
        Switched-off channels are zero everywhere (running variances are left, they do not matter).
    """
    new: dict[str, NDArray[Any]] = {}
    for name, axis, indices in _all_slices(units):
        if name.endswith("running_var"):
            continue
        array = new.get(name, _plain(model, name).copy())
        array[(slice(None),) * axis + (list(indices),)] = 0
        new[name] = array
    return model.replace(new)


def remove_units(model: Model, units: Iterable[Unit]) -> Model:
    """Return the physically smaller model without some units.

    Parameters
    ----------
    model : Model
        Its sliced tensors are arrays: shrink first, then compress.
    units : iterable of Unit
        What to remove; from `channel_units` of this model.

    Returns
    -------
    Model
        The same function as ``mask_units(model, units)``, up to the order of float sums.

    Raises
    ------
    RangeError
        If nothing of a layer would be left.
    """
    gone: dict[tuple[str, int], list[int]] = {}
    for name, axis, indices in _all_slices(units):
        gone.setdefault((name, axis), []).extend(indices)
    nodes = []
    for node in model.nodes:
        tensors: dict[str, Any] = {}
        for name, value in node.layer.tensors().items():
            full = f"{node.name}.{name}"
            lost = {axis: gone[full, axis] for axis in (0, 1) if (full, axis) in gone}
            tensors[name] = _without(_plain(model, full), lost, full) if lost else value
        layer = type(node.layer).build(_resized(node.layer, tensors), tensors)
        nodes.append(type(node)(node.name, layer, node.inputs))
    return Model(nodes, model.input_shape)


def _without(array: NDArray[Any], lost: Mapping[int, list[int]], name: str) -> NDArray[Any]:
    for axis, indices in lost.items():
        if len(set(indices)) == array.shape[axis]:
            raise RangeError(f"{name}: nothing would be left along axis {axis}")
        array = np.delete(array, indices, axis)
    return array


def _resized(layer: Layer, tensors: Mapping[str, Any]) -> dict[str, Any]:
    config = layer.config()
    if isinstance(layer, BatchNorm):
        config["num_features"] = tensors["weight"].shape[0]
    elif isinstance(layer, Linear):
        config["out_features"], config["in_features"] = tensors["weight"].shape
    elif isinstance(layer, Conv2d):
        config["out_channels"] = tensors["weight"].shape[0]
        if _passes_through(layer):
            config["in_channels"] = config["groups"] = config["out_channels"]
        else:
            config["in_channels"] = tensors["weight"].shape[1] * layer.groups
    return config


def _all_slices(units: Iterable[Unit]) -> Iterable[tuple[str, int, tuple[int, ...]]]:
    return (s for unit in units for s in unit.slices)


def _plain(model: Model, name: str) -> NDArray[Any]:
    node, _, tensor = name.rpartition(".")
    value = next(n for n in model.nodes if n.name == node).layer.tensors()[tensor]
    if isinstance(value, Encoding):
        raise RangeError(f"{name} is {value!r}; channels are removed before compression")
    return np.asarray(value)
