"""A model: a graph of named layers that computes, differentiates and is never changed in place.

Conventions
-----------
Tensors are named ``node.tensor``. What training moves is *flat*: an array parameter under
``node.parameter``, and an `Encoding` parameter as its float leaves under ``node.parameter/path``.
Every method that would change the model returns another one; what did not change is shared.

The input has the batch axis first and is float32 or float64 for float layers; a model that begins
with an integer layer takes the integers that layer takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.checks import check_array, check_finite, check_integer, check_random_state
from ..core.errors import RangeError, ShapeError
from ..encodings.encoding import Encoding
from .graph import INPUT, Node, auto_names, check_nodes, infer_shapes
from .layer import Array, Layer, Shape, Tensor

__all__ = ["Model", "Node", "Sequential"]


class Model:
    """A graph of named layers.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order; the last one is the output.
    input_shape : tuple of int
        Of one example.

    Attributes
    ----------
    nodes : tuple of Node
        As given.
    input_shape : tuple of int
        As given.

    Raises
    ------
    RangeError
        If names, order or numbers of inputs are wrong; the message names the node.
    ShapeError
        If shapes do not fit; the message names the node.

    Examples
    --------
    >>> from refq.nn.linear import Linear
    >>> from refq.nn.shaping import Add
    >>> nodes = [Node("fc", Linear(2, 2), "input"), Node("sum", Add(), ("input", "fc"))]
    >>> Model(nodes, (2,))(np.ones((1, 2)))
    array([[1., 1.]])
    """

    def __init__(self, nodes: Sequence[Node], input_shape: Shape) -> None:
        self.nodes = check_nodes(nodes)
        self._shapes = infer_shapes(self.nodes, input_shape)
        self.input_shape = self._shapes[INPUT]

    # The graph ---------------------------------------------------------------------------

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Every layer by its node's name, in order; read-only."""
        return MappingProxyType({node.name: node.layer for node in self.nodes})

    def node(self, name: str) -> Node:
        """Return the node of that name.

        Parameters
        ----------
        name : str
            Of a node.

        Returns
        -------
        Node
            The node.

        Raises
        ------
        RangeError
            If there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise RangeError(f"no node {name!r}; there are {', '.join(n.name for n in self.nodes)}")

    def consumers(self, name: str) -> list[str]:
        """Return the names of the nodes that read `name`.

        Parameters
        ----------
        name : str
            Of a node, or ``"input"``.

        Returns
        -------
        list of str
            In order; empty for the output.

        Raises
        ------
        RangeError
            If there is no such node.
        """
        if name != INPUT:
            self.node(name)
        return [node.name for node in self.nodes if name in node.inputs]

    def shapes(self) -> dict[str, Shape]:
        """Return every output's shape without the batch axis.

        Returns
        -------
        dict of str to tuple of int
            ``"input"`` first.
        """
        return dict(self._shapes)

    # Computing ---------------------------------------------------------------------------

    def __call__(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return what `predict` returns."""
        return self.predict(x, batch_size)

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the output in inference.

        Parameters
        ----------
        x : array_like, shape ``(n, *input_shape)``
            Finite.
        batch_size : int
            Examples at a time; bounds the memory.

        Returns
        -------
        ndarray, shape ``(n, *output shape)``
            Of x's dtype for float layers.

        Raises
        ------
        ShapeError, DTypeError, RangeError
            If `x` has the wrong shape or kind, or is not finite.

        Notes
        -----
        Tier T2 for float layers: the batch size may move the last bit, since BLAS may sum in
        another order.
        """
        batch, size = self._checked(x), check_integer(batch_size, "batch_size", 1)
        starts = range(0, max(len(batch), 1), size)
        return np.concatenate([self._last(batch[start : start + size]) for start in starts])

    def _last(self, x: Array) -> Array:
        for _, output, _ in self._run(x, False, None):
            x = output
        return x

    def forward(
        self, x: ArrayLike, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Return the output and the tape that `backward` reads.

        Parameters
        ----------
        x : array_like, shape ``(n, *input_shape)``
            Finite; one batch.
        training : bool
            Use batch statistics and drop activations.
        rng : numpy.random.Generator or None
            For Dropout.

        Returns
        -------
        output : ndarray
            Of the last node.
        tape : dict of str to object
            Each node's cache by name.

        Raises
        ------
        ShapeError, DTypeError, RangeError
            If `x` does not fit, or a layer that draws has no `rng`.
        """
        output, tape = self._checked(x), {}
        for node, value, cache in self._run(output, training, rng):
            output, tape[node.name] = value, cache
        return output, tape

    def activations(self, x: ArrayLike) -> dict[str, Array]:
        """Return the output of every node in inference.

        Parameters
        ----------
        x : array_like, shape ``(n, *input_shape)``
            Finite; one batch, all of whose activations are kept.

        Returns
        -------
        dict of str to ndarray
            ``"input"`` first, then every node in order.

        Raises
        ------
        ShapeError, DTypeError, RangeError
            If `x` does not fit.
        """
        x = self._checked(x)
        return {INPUT: x, **{node.name: y for node, y, _ in self._run(x, False, None)}}

    def _run(
        self, x: Array, training: bool, rng: np.random.Generator | None
    ) -> Iterator[tuple[Node, Array, Any]]:
        values = {INPUT: x}
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs]
            with np.errstate(under="ignore"):  # a product too small for a float is zero
                output, cache = node.layer.forward(*inputs, training=training, rng=rng)
            values[node.name] = output
            yield node, output, cache

    def _checked(self, x: ArrayLike) -> Array:
        array = check_finite(check_array(x, "x", "fiu"), "x")
        if array.ndim == 0 or array.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, self.input_shape))
            raise ShapeError(f"x has shape {array.shape}; the model takes (n, {wanted})")
        return array

    def backward(self, grad: Array, tape: Mapping[str, Any]) -> tuple[Array, dict[str, Array]]:
        """Return the gradients of a loss, given its gradient with respect to the output.

        Parameters
        ----------
        grad : ndarray
            Of the output's shape.
        tape : mapping
            From the `forward` that made this output.

        Returns
        -------
        input_gradient : ndarray
            Of the input's shape.
        parameter_gradients : dict of str to ndarray
            By ``node.parameter``, with respect to the decoded parameters.

        Raises
        ------
        ShapeError
            If `grad` does not have the output's shape.
        """
        last = self.nodes[-1].name
        if grad.ndim == 0 or grad.shape[1:] != self._shapes[last]:
            raise ShapeError(
                f"grad has shape {grad.shape}; the output has (n, *{self._shapes[last]})"
            )
        waiting, gradients = {last: grad}, {}
        for node in reversed(self.nodes):
            with np.errstate(under="ignore"):
                inputs, parameters = node.layer.backward(waiting.pop(node.name), tape[node.name])
            gradients.update({f"{node.name}.{k}": g for k, g in parameters.items()})
            for name, g in zip(node.inputs, inputs, strict=True):
                # never in place: Add hands the same array to both of its inputs
                waiting[name] = waiting[name] + g if name in waiting else g
        return waiting[INPUT], gradients

    def updated_buffers(self, tape: Mapping[str, Any]) -> dict[str, Array]:
        """Return the running statistics after a training forward; pass them to `replace`.

        Parameters
        ----------
        tape : mapping
            From a `forward` with ``training=True``.

        Returns
        -------
        dict of str to ndarray
            By ``node.buffer``.
        """
        return {
            f"{node.name}.{name}": value
            for node in self.nodes
            for name, value in node.layer.updated_buffers(tape[node.name]).items()
        }

    # Tensors -----------------------------------------------------------------------------

    def parameters(self) -> dict[str, Tensor]:
        """Return every parameter.

        Returns
        -------
        dict of str to ndarray or Encoding
            By ``node.parameter``, in order.
        """
        return {
            f"{node.name}.{name}": tensor
            for node in self.nodes
            for name, tensor in node.layer.parameters().items()
        }

    @property
    def n_parameters(self) -> int:
        """How many numbers the decoded parameters hold; buffers do not count."""
        return sum(prod(tensor.shape) for tensor in self.parameters().values())

    def replace(self, tensors: Mapping[str, ArrayLike | Encoding]) -> "Model":
        """Return the model with other values in some tensors.

        Parameters
        ----------
        tensors : mapping of str to array_like or Encoding
            By ``node.parameter`` or ``node.buffer``.

        Returns
        -------
        Model
            Shares everything else with this one, which is untouched.

        Raises
        ------
        RangeError
            If there is no such node or tensor, or a value is not finite.
        ShapeError
            If a shape differs.
        """
        by_node: dict[str, dict[str, Any]] = {}
        for key, tensor in tensors.items():
            name, _, tensor_name = key.partition(".")
            by_node.setdefault(name, {})[tensor_name] = tensor
        layers = {}
        for name, new in by_node.items():
            try:
                layers[name] = self.node(name).layer.replace(**new)
            except ShapeError as error:
                raise ShapeError(f"node {name!r}: {error}") from error
            except RangeError as error:
                raise RangeError(f"node {name!r}: {error}") from error
        return self._with_layers(layers)

    def _with_layers(self, layers: Mapping[str, Layer]) -> "Model":
        nodes = [
            replace(node, layer=layers[node.name]) if node.name in layers else node
            for node in self.nodes
        ]
        return Model(nodes, self.input_shape)

    def initialize(self, random_state: Any) -> "Model":
        """Return the model with drawn weights.

        Parameters
        ----------
        random_state : int, SeedSequence, Generator or None
            The nodes draw from it in order.

        Returns
        -------
        Model
            Ready to train.

        Raises
        ------
        RangeError
            If `random_state` is something else.
        """
        rng = check_random_state(random_state)
        return self._with_layers({node.name: node.layer.initialize(rng) for node in self.nodes})

    # Training ----------------------------------------------------------------------------

    def trainable(self) -> dict[str, Array]:
        """Return the flat arrays that training moves.

        Returns
        -------
        dict of str to ndarray
            ``node.parameter`` for arrays, ``node.parameter/path`` for the float leaves of
            Encodings. The arrays are shared with the model: do not write to them.
        """
        flat: dict[str, Array] = {}
        for key, tensor in self.parameters().items():
            if isinstance(tensor, Encoding):
                leaves = tensor.float_leaves()
                flat.update({f"{key}/{path}": leaf.decode() for path, leaf in leaves.items()})
            else:
                flat[key] = tensor
        return flat

    def gradients(self, parameter_gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Return the gradients with respect to the flat arrays.

        Parameters
        ----------
        parameter_gradients : mapping of str to ndarray
            From `backward`, or part of them.

        Returns
        -------
        dict of str to ndarray
            By the keys of `trainable`; through `Encoding.pullback` where a parameter is encoded.

        Raises
        ------
        RangeError
            If a key is no parameter.
        """
        parameters = self.parameters()
        flat: dict[str, Array] = {}
        for key, grad in parameter_gradients.items():
            tensor = _known(parameters, key)
            if isinstance(tensor, Encoding):
                flat.update({f"{key}/{path}": g for path, g in tensor.pullback(grad).items()})
            else:
                flat[key] = grad
        return flat

    def with_trainable(self, arrays: Mapping[str, Array]) -> "Model":
        """Return the model with other values in some flat arrays.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            By the keys of `trainable`; all or some of them. An array parameter keeps its dtype.

        Returns
        -------
        Model
            Shares the rest with this one.

        Raises
        ------
        RangeError
            If a key is unknown or a value is not finite.
        ShapeError
            If a shape differs.
        """
        parameters, new = self.parameters(), {}
        leaves: dict[str, dict[str, Array]] = {}
        for key, array in arrays.items():
            name, slash, path = key.partition("/")
            tensor = _known(parameters, name)
            if isinstance(tensor, Encoding) != bool(slash):
                raise RangeError(f"{key!r} is no flat array; those are {sorted(self.trainable())}")
            if isinstance(tensor, Encoding):
                leaves.setdefault(name, {})[path] = array
            else:
                new[name] = np.asarray(array, tensor.dtype)
        encoded = {k: _as_encoding(parameters[k]).replace_leaves(v) for k, v in leaves.items()}
        return self.replace({**new, **encoded})

    # Surgery -----------------------------------------------------------------------------

    def replace_layer(self, name: str, layer: Layer) -> "Model":
        """Return the model with another layer in one node.

        Parameters
        ----------
        name : str
            Of the node.
        layer : Layer
            Takes as many inputs, of the same shapes.

        Returns
        -------
        Model
            With all shapes checked again.

        Raises
        ------
        RangeError, ShapeError
            If there is no such node, or the layer does not fit.
        """
        self.node(name)
        return self._with_layers({name: layer})

    def without(self, name: str) -> "Model":
        """Return the model without one node; what read it reads its input instead.

        Parameters
        ----------
        name : str
            Of a node with a single input.

        Returns
        -------
        Model
            With all shapes checked again.

        Raises
        ------
        RangeError
            If there is no such node, it has several inputs, or it is the only one.
        ShapeError
            If the shapes do not fit without it.
        """
        gone = self.node(name)
        if len(gone.inputs) != 1:
            raise RangeError(
                f"node {name!r} has {len(gone.inputs)} inputs; only one can be bridged"
            )
        nodes = [
            replace(node, inputs=tuple(gone.inputs[0] if i == name else i for i in node.inputs))
            for node in self.nodes
            if node.name != name
        ]
        return Model(nodes, self.input_shape)

    def __repr__(self) -> str:
        lines = [f"nn.Model(input_shape={self.input_shape}, n_parameters={self.n_parameters})"]
        for node in self.nodes:
            lines.append(f"  {node.name}: {node.layer!r} <- {', '.join(node.inputs)}")
        return "\n".join(lines)


def Sequential(layers: Sequence[Layer | tuple[str, Layer]], input_shape: Shape) -> Model:
    """Return the model in which every layer reads the one before it.

    Parameters
    ----------
    layers : sequence of Layer or (str, Layer)
        In order; one without a name becomes ``conv1``, ``bn1``, ``relu1``, ``fc1``, ...
    input_shape : tuple of int
        Of one example.

    Returns
    -------
    Model
        A chain.

    Raises
    ------
    RangeError, ShapeError
        As `Model` does.

    Examples
    --------
    >>> from refq.nn.activations import ReLU
    >>> from refq.nn.linear import Linear
    >>> Sequential([Linear(4, 3), ReLU(), ("head", Linear(3, 2))], (4,))
    nn.Model(input_shape=(4,), n_parameters=23)
      fc1: nn.Linear(4, 3) <- input
      relu1: nn.ReLU() <- fc1
      head: nn.Linear(3, 2) <- relu1
    """
    nodes, before = [], INPUT
    for name, layer in auto_names(layers):
        nodes.append(Node(name, layer, (before,)))
        before = name
    return Model(nodes, input_shape)


def _known(parameters: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in parameters:
        raise RangeError(f"no parameter {key!r}; there are {sorted(parameters)}")
    return parameters[key]


def _as_encoding(tensor: Tensor) -> Encoding:
    if not isinstance(tensor, Encoding):
        raise RangeError(f"{tensor!r} is no Encoding")
    return tensor
