"""The nodes of a model, and the checks that make them a graph.

Conventions
-----------
Nodes stand in topological order: a node's inputs come before it. ``input`` names what the caller
passes in; the last node is the output. A name is made of letters, digits, ``_`` and ``-``, because
``node.tensor`` and ``node.tensor/path`` are names too and plans match them with patterns.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..core.checks import check_shape
from ..core.errors import RangeError, ShapeError
from .layer import Layer, Shape

__all__ = ["INPUT", "Node", "auto_names", "check_nodes", "infer_shapes"]

INPUT = "input"  #: the name of what the caller passes in

_KINDS = {"Conv2d": "conv", "Linear": "fc", "BatchNorm": "bn"}


@dataclass(frozen=True)
class Node:
    """A named layer and where its inputs come from.

    Parameters
    ----------
    name : str
        Unique in its model.
    layer : Layer
        What it computes.
    inputs : tuple of str
        Names of earlier nodes, or ``"input"``; a single string stands for a tuple of one.

    Examples
    --------
    >>> from refq.nn.activations import ReLU
    >>> Node("relu1", ReLU(), "conv1").inputs
    ('conv1',)
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    def __post_init__(self) -> None:
        given: str | Sequence[str] = self.inputs
        object.__setattr__(self, "inputs", (given,) if isinstance(given, str) else tuple(given))


def check_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes as a tuple if they form a graph in topological order.

    Parameters
    ----------
    nodes : iterable of Node
        At least one.

    Returns
    -------
    tuple of Node
        The same nodes.

    Raises
    ------
    RangeError
        Naming the node whose name is taken or malformed, whose input does not come before it, whose
        number of inputs is wrong, or which feeds nothing.

    Examples
    --------
    >>> from refq.nn.activations import ReLU
    >>> check_nodes([Node("a", ReLU(), "b"), Node("b", ReLU(), "input")])
    Traceback (most recent call last):
    refq.core.errors.RangeError: node 'a' reads 'b', which does not come before it; known: 'input'
    """
    order = tuple(nodes)
    if not order:
        raise RangeError("a model needs at least one node")
    known = [INPUT]
    for node in order:
        if not isinstance(node.name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", node.name):
            raise RangeError(f"node name {node.name!r} may hold letters, digits, '_' and '-' only")
        if node.name in known:
            raise RangeError(f"node name {node.name!r} is taken; names must be unique")
        if not isinstance(node.layer, Layer):
            raise RangeError(f"node {node.name!r} holds {node.layer!r}, which is no Layer")
        for name in node.inputs:
            if name not in known:
                listed = ", ".join(map(repr, known))
                raise RangeError(
                    f"node {node.name!r} reads {name!r}, which does not come before it; "
                    f"known: {listed}"
                )
        _check_arity(node)
        known.append(node.name)
    read = {name for node in order for name in node.inputs}
    for node in order[:-1]:
        if node.name not in read:
            raise RangeError(f"node {node.name!r} feeds no other node; remove it")
    return order


def _check_arity(node: Node) -> None:
    wanted, got = node.layer.n_inputs, len(node.inputs)
    if got == 0 or (wanted is not None and got != wanted):
        need = "one or more" if wanted is None else wanted
        raise RangeError(f"node {node.name!r} has {got} input(s); {node.layer!r} takes {need}")


def infer_shapes(nodes: Sequence[Node], input_shape: Shape) -> dict[str, Shape]:
    """Return the shape of every node's output, without the batch axis.

    Parameters
    ----------
    nodes : sequence of Node
        As `check_nodes` returns them.
    input_shape : tuple of int
        Of one example.

    Returns
    -------
    dict of str to tuple of int
        ``"input"`` first, then every node in order.

    Raises
    ------
    ShapeError
        Naming the first node whose inputs do not fit.

    Examples
    --------
    >>> from refq.nn.linear import Linear
    >>> infer_shapes([Node("fc1", Linear(3, 2), "input")], (4,))
    Traceback (most recent call last):
    refq.core.errors.ShapeError: node 'fc1': nn.Linear(3, 2) takes shape (3,), not (4,)
    """
    shapes = {INPUT: check_shape(input_shape, "input_shape")}
    if not shapes[INPUT] or 0 in shapes[INPUT]:
        raise ShapeError(f"input_shape = {shapes[INPUT]} must have at least one element and axis")
    for node in nodes:
        try:
            shapes[node.name] = node.layer.output_shape(*(shapes[name] for name in node.inputs))
        except ShapeError as error:
            raise ShapeError(f"node {node.name!r}: {error}") from error
    return shapes


def auto_names(layers: Sequence[Layer | tuple[str, Layer]]) -> list[tuple[str, Layer]]:
    """Return (name, layer) pairs; a layer without a name gets one from its kind and a count.

    Parameters
    ----------
    layers : sequence of Layer or (str, Layer)
        In order.

    Returns
    -------
    list of (str, Layer)
        ``conv1``, ``bn1``, ``relu1``, ``fc1``, ... A number that a given name has taken is left
        out.

    Examples
    --------
    >>> from refq.nn.linear import Linear
    >>> [name for name, _ in auto_names([Linear(2, 2), ("head", Linear(2, 2)), Linear(2, 2)])]
    ['fc1', 'head', 'fc2']
    """
    taken = {item[0] for item in layers if isinstance(item, tuple)}
    counts: dict[str, int] = {}
    pairs = []
    for item in layers:
        if isinstance(item, tuple):
            pairs.append(item)
            continue
        kind = _KINDS.get(type(item).__name__, type(item).__name__.lower())
        counts[kind] = counts.get(kind, 0) + 1
        while f"{kind}{counts[kind]}" in taken:
            counts[kind] += 1
        pairs.append((f"{kind}{counts[kind]}", item))
    return pairs
