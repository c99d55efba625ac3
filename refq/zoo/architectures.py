"""The small networks of the zoo, as graphs of untrained layers.

Conventions
-----------
Convolutions before a batch normalization have no bias. ``digits`` takes (1, 8, 8), ``fashion``
(1, 28, 28); both have one residual addition. The rivals are dense networks with so few parameters
that their float16 file is as small as the compressed one of the big network.
"""

from collections.abc import Callable

from ..core.checks import check_choice
from ..nn import (
    Add,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Model,
    Node,
    ReLU,
)

__all__ = ["ARCHITECTURES", "architecture"]


def _chain(nodes: list[Node], source: str, *layers: tuple[str, Layer]) -> str:
    """Append layers one after the other and return the last one's name."""
    for name, layer in layers:
        nodes.append(Node(name, layer, (source,)))
        source = name
    return source


def _block(index: int, inputs: int, outputs: int, stride: int = 1) -> list[tuple[str, Layer]]:
    """Return a 3x3 convolution with batch normalization and ReLU."""
    return [
        (f"conv{index}", Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)),
        (f"bn{index}", BatchNorm(outputs)),
        (f"relu{index}", ReLU()),
    ]


def _residual(nodes: list[Node], source: str, first: int, channels: int) -> str:
    """Append two convolutions whose result is added to what they read."""
    inner = _chain(nodes, source, *_block(first, channels, channels))
    outer = _chain(nodes, inner, *_block(first + 1, channels, channels)[:2])
    nodes.append(Node(f"add{first + 1}", Add(), (outer, source)))
    nodes.append(Node(f"relu{first + 1}", ReLU(), (f"add{first + 1}",)))
    return f"relu{first + 1}"


def _digits() -> Model:
    """Return 44,000 parameters for (1, 8, 8)."""
    nodes: list[Node] = []
    held = _chain(nodes, "input", *_block(1, 1, 24), ("pool1", MaxPool(2)))
    held = _chain(nodes, held, *_block(2, 24, 40))
    held = _residual(nodes, held, 3, 40)
    _chain(nodes, held, ("flatten", Flatten()), ("fc", Linear(640, 10)))
    return Model(nodes, (1, 8, 8))


def _digits_rival() -> Model:
    """Return a dense network for (1, 8, 8) without a fat to trim."""
    nodes: list[Node] = []
    held = _chain(nodes, "input", *_block(1, 1, 11), ("pool1", MaxPool(2)))
    held = _chain(nodes, held, *_block(2, 11, 20), ("pool2", MaxPool(2)))
    _chain(nodes, held, ("flatten", Flatten()), ("fc", Linear(80, 10)))
    return Model(nodes, (1, 8, 8))


def _fashion() -> Model:
    """Return 50,000 parameters for (1, 28, 28)."""
    nodes: list[Node] = []
    held = _chain(nodes, "input", *_block(1, 1, 16), ("pool1", MaxPool(2)))
    held = _chain(nodes, held, *_block(2, 16, 32), ("pool2", MaxPool(2)))
    held = _residual(nodes, held, 3, 32)
    held = _chain(nodes, held, *_block(5, 32, 64, stride=2))
    _chain(nodes, held, ("pool3", GlobalAvgPool()), ("fc", Linear(64, 10)))
    return Model(nodes, (1, 28, 28))


def _fashion_rival() -> Model:
    """Return a dense network for (1, 28, 28) without a fat to trim."""
    nodes: list[Node] = []
    held = _chain(nodes, "input", *_block(1, 1, 10), ("pool1", MaxPool(2)))
    held = _chain(nodes, held, *_block(2, 10, 15, stride=2), *_block(3, 15, 17, stride=2))
    _chain(nodes, held, ("pool3", GlobalAvgPool()), ("fc", Linear(17, 10)))
    return Model(nodes, (1, 28, 28))


#: name -> function that builds the untrained model
ARCHITECTURES: dict[str, Callable[[], Model]] = {
    "digits": _digits,
    "digits_small": _digits_rival,
    "fashion": _fashion,
    "fashion_small": _fashion_rival,
}


def architecture(name: str) -> Model:
    """Return an untrained model of the zoo.

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`.

    Returns
    -------
    Model
        Its weights are zero: call ``initialize``.

    Raises
    ------
    RangeError
        If there is no such model.

    Examples
    --------
    >>> architecture("digits").n_parameters
    44354
    """
    return ARCHITECTURES[check_choice(name, "name", ARCHITECTURES)]()
