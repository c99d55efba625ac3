"""Small models that the laws of models judge: every way in which layers share channels."""

from collections.abc import Iterator

from ..nn import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Model,
    Node,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)

__all__ = ["model_examples"]


def model_examples() -> Iterator[tuple[str, Model]]:
    """Yield small models with a name each.

    Yields
    ------
    name : str
        What it is.
    model : Model
        Untrained; its weights are zeros.

    Examples
    --------
    >>> len(dict(model_examples()))
    7
    """
    yield "dense", Sequential([Linear(3, 4), Sigmoid(), Linear(4, 3), ReLU(), Linear(3, 2)], (3,))
    yield (
        "flattened",
        Sequential(
            [
                *(Conv2d(2, 3, 3, padding=1, bias=False), BatchNorm(3), ReLU(), MaxPool(2)),
                *(Flatten(), Linear(12, 4), BatchNorm(4), Linear(4, 2)),
            ],
            (2, 4, 4),
        ),
    )
    yield (
        "depthwise",
        Sequential(
            [
                *(Conv2d(1, 4, 1), Conv2d(4, 4, 3, padding=1, groups=4), ReLU()),
                *(Conv2d(4, 3, 1), AvgPool(2), GlobalAvgPool(), Linear(3, 2)),
            ],
            (1, 4, 4),
        ),
    )
    yield "residual", _residual()
    yield "concatenated", _concatenated()
    yield (
        "grouped",
        Sequential(
            [Conv2d(2, 4, 1), Conv2d(4, 6, 1, groups=2), Conv2d(6, 4, 1), Conv2d(4, 2, 1)],
            (2, 2, 2),
        ),
    )
    yield "softmax", Sequential([Linear(3, 4), Softmax(), Linear(4, 4), Linear(4, 2)], (3,))


def _residual() -> Model:
    """Return a graph whose addition ties three convolutions, one of them depthwise."""
    nodes = [
        Node("conv1", Conv2d(2, 4, 1), ("input",)),
        Node("conv2", Conv2d(4, 4, 3, padding=1), ("conv1",)),
        Node("add1", Add(), ("conv1", "conv2")),
        Node("conv3", Conv2d(4, 4, 1, groups=4), ("add1",)),
        Node("add2", Add(), ("conv3", "conv1")),
        Node("bn", BatchNorm(4), ("add2",)),
        Node("out", Conv2d(4, 2, 1), ("bn",)),
    ]
    return Model(nodes, (2, 2, 2))


def _concatenated() -> Model:
    """Return a graph that joins two branches, one of them twice, along channels and pixels."""
    nodes = [
        Node("conv1", Conv2d(1, 3, 1), ("input",)),
        Node("conv2", Conv2d(1, 2, 1), ("input",)),
        Node("cat", Concat(), ("conv1", "conv2", "conv1")),
        Node("conv3", Conv2d(8, 3, 1), ("cat",)),
        Node("wide", Concat(-1), ("conv1", "conv3")),
        Node("flat", Flatten(), ("wide",)),
        Node("fc", Linear(24, 2), ("flat",)),
    ]
    return Model(nodes, (1, 2, 2))
