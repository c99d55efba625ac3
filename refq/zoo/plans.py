"""The standard plans that ``refq compress`` compares, in the order of its table.

Conventions
-----------
A plan gets the float model with batch normalizations folded, and looks at the training split only.
It returns the model whose file is weighed and tested, and, for integer models, also the float
simulation whose weights can be compared with the original's. Every number here was chosen on
training data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.granularity import Granularity, PerAxis, PerBlock, PerTensor
from ..encodings import Cast, Encoding, Method
from ..lowrank import SVDFactorizer, break_even_rank, rank_of_energy
from ..nn import Model
from ..passes import calibrate, compress, lower, prune_channels
from ..pruning import MagnitudePruner
from ..scalar import AffineQuantizer
from ..training import deep_compression
from ..vector import KMeansQuantizer, ProductQuantizer
from .datasets import Dataset
from .distilling import distill, lesson

__all__ = ["PLANS", "StandardPlan"]

Build = Callable[[Model, Dataset, int], Model | tuple[Model, Model]]


@dataclass(frozen=True)
class StandardPlan:
    """A named way to compress a model of the zoo.

    Parameters
    ----------
    name : str
        Its row in the table.
    sentence : str
        What it does, in one line.
    build : callable
        ``(model, data, random_state) -> Model``, or ``(integer model, float simulation)``.
    """

    name: str
    sentence: str
    build: Build


def _integers(granularity: Granularity) -> Build:
    """Return the plan of an integer network: int8 weights, uint8 activations, int32 logits."""

    def build(model: Model, data: Dataset, random_state: int) -> tuple[Model, Model]:
        method = AffineQuantizer(
            bits=8, scheme="symmetric", granularity=granularity, scale_method=Cast("float32")
        )
        simulated = calibrate(compress(model, {"*": method}), data.calibration)
        return lower(simulated), simulated

    return build


def _int4(model: Model, data: Dataset, random_state: int) -> Model:
    plan: dict[str, Method] = {}
    for name, weight in _weights(model).items():
        # a kernel stays together: four of them make a group, as 32 weights of a row do
        block = (1, 4, *weight.shape[2:]) if weight.ndim == 4 else (1, 32)
        plan[name] = AffineQuantizer(bits=4, scheme="symmetric", granularity=PerBlock(block))
    return compress(model, plan)


def _kmeans(model: Model, data: Dataset, random_state: int) -> Model:
    return compress(model, {"*": KMeansQuantizer(n_codewords=16, random_state=random_state)})


def _product(model: Model, data: Dataset, random_state: int) -> Model:
    plan: dict[str, Method] = {}
    for name, weight in _weights(model).items():
        rows, width = weight.shape[0], weight[0].size
        piece = next((d for d in (9, 8, 6, 4) if width % d == 0), None)
        plan[name] = (
            ProductQuantizer(width // piece, 16, random_state=random_state)
            if piece is not None and width > piece and rows >= 32
            else Cast("float16")
        )
    student = compress(model, plan)
    return distill(student, lesson(model, data.train.X), 1, 1e-3, random_state)


def _svd(model: Model, data: Dataset, random_state: int) -> Model:
    plan: dict[str, Method] = {}
    for name, weight in _weights(model).items():
        matrix = weight.reshape(len(weight), -1)
        values = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
        rank = rank_of_energy(values, 0.85)
        saves = rank < break_even_rank(matrix.shape)
        plan[name] = SVDFactorizer(rank=rank) if saves else Cast("float16")
    student = compress(model, plan)
    return distill(student, lesson(model, data.train.X), 1, 1e-3, random_state)


def _filters(model: Model, data: Dataset, random_state: int) -> Model:
    student = prune_channels(model, 0.5)
    return distill(student, lesson(model, data.train.X), 2, 4e-3, random_state)


@dataclass(frozen=True)
class _Recipe:
    """The numbers of the combined plan, chosen on training images for a factor of 20."""

    sparsity: float
    n_codewords: int
    epochs: tuple[int, int, int, int]  # at 70 %, 91 % and all of the sparsity, and after sharing


_DIGITS = _Recipe(0.88, 8, (1, 1, 8, 2))
_RECIPES = {"fashion": _Recipe(0.84, 16, (1, 1, 5, 2))}


def _combined(model: Model, data: Dataset, random_state: int) -> Model:
    """Deep Compression: prune in three steps, share by k-means, retrain, entropy-code."""
    recipe = _RECIPES.get(data.name, _DIGITS)
    taught = lesson(model, data.train.X)

    def retrain(held: Model, step: int) -> Model:
        rate = 8e-3 if step < 3 else 3e-3
        return distill(held, taught, recipe.epochs[step], rate, random_state + step)

    stages = deep_compression(
        model,
        retrain,
        pruning=[_pruners(model, part * recipe.sparsity) for part in (0.7, 0.91, 1.0)],
        sharing={
            "*": KMeansQuantizer(n_codewords=recipe.n_codewords, random_state=random_state),
            "*.*": Cast("float16"),
        },
    )
    return stages[-1].model


def _pruners(model: Model, sparsity: float) -> dict[str, Method]:
    """Prune every weight; a small layer loses at most half: it costs little, and all pass it."""
    return {
        name: MagnitudePruner(sparsity=min(sparsity, 0.5) if weight.size < 1000 else sparsity)
        for name, weight in _weights(model).items()
    }


def _array(tensor: Any) -> Any:
    return tensor.decode() if isinstance(tensor, Encoding) else tensor


def _weights(model: Model) -> dict[str, Any]:
    """Return the weight arrays by node."""
    return {
        name.removesuffix(".weight"): _array(tensor)
        for name, tensor in model.parameters().items()
        if name.endswith(".weight")
    }


_ALL = [
    StandardPlan(
        "int8 per tensor",
        "int8 weights with one scale a tensor, uint8 activations, run in integers only",
        _integers(PerTensor()),
    ),
    StandardPlan(
        "int8 per channel",
        "int8 weights with one scale an output channel, run in integers only",
        _integers(PerAxis(0)),
    ),
    StandardPlan(
        "int4 per group",
        "int4 weights, one float16 scale for 32 weights of a row or for four kernels",
        _int4,
    ),
    StandardPlan("k-means", "16 shared float16 values a tensor, codes of 4 bits", _kmeans),
    StandardPlan(
        "product quantization",
        "16 codewords for every kernel position of the wide layers; codebooks retrained once",
        _product,
    ),
    StandardPlan(
        "truncated SVD",
        "float16 factors that keep 85 % of the energy where that saves; retrained once",
        _svd,
    ),
    StandardPlan(
        "filter pruning",
        "half of the channels physically removed, the rest in float32; retrained twice",
        _filters,
    ),
    StandardPlan(
        "combined",
        "most weights pruned, the rest share 8 or 16 values a tensor; retrained, entropy-coded",
        _combined,
    ),
]

PLANS = {plan.name: plan for plan in _ALL}  #: every standard plan by its name, in table order
