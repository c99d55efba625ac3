"""Mistakes in gradients: L10."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.granularity import blocks_of
from ...encodings import (
    CodebookEncoding,
    Encoding,
    FactoredEncoding,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
)
from .registry import noun_subjects, plant

__all__: list[str] = []

Parts = Mapping[str, NDArray[Any]]


Grads = dict[str, NDArray[Any]]
_honest_pull = {n: n.pull for n in (ScaledEncoding, CodebookEncoding, FactoredEncoding)}


def _first_of_block(self: Any, x: NDArray[Any]) -> NDArray[Any]:
    firsts = [x[block].flat[0] for block in blocks_of(self.shape, self.block_shape)]
    return np.array(firsts).reshape(self.scale.shape)


def _mean_of_block(self: Any, x: NDArray[Any]) -> NDArray[Any]:
    means = [x[block].mean() for block in blocks_of(self.shape, self.block_shape)]
    return np.array(means).reshape(self.scale.shape)


def _assigned(self: Any, grad: NDArray[Any], parts: Parts) -> Grads:
    books, words, width = self.codebook.shape
    sums = np.zeros((books * words, width))
    sums[self._where(parts["codes"]).reshape(-1)] += grad.reshape(-1, width)
    return {"codebook": sums.reshape(self.codebook.shape)}


def _unmasked(self: Any, grad: NDArray[Any], parts: Parts) -> Grads:
    return {"values": grad.reshape(-1)[: self.values.size].reshape(self.values.shape)}


def _uncentred(self: Any, grad: NDArray[Any], parts: Parts) -> Grads:
    pulled: Grads = _honest_pull[ScaledEncoding](self, grad, parts)
    return {**pulled, "scale": self._gather(grad * parts["elements"])}


def _first_term(self: Any, grad: NDArray[Any], parts: Parts) -> Grads:
    return {name: grad for name in list(parts)[:1] if parts[name].dtype.kind == "f"}


def _overwritten(self: Encoding, grad: NDArray[Any]) -> Grads:
    values = self._decoded()
    total = {id(self): grad.astype(np.float64)}
    for node in reversed(self.nodes()):
        parts = node.parts()
        if parts and id(node) in total:
            decoded = {k: values[id(p)] for k, p in parts.items()}
            for name, g in node.pull(total[id(node)], decoded).items():
                total[id(parts[name])] = g
    return {
        path: total.get(id(leaf), np.zeros(leaf.shape))
        for path, leaf in self.float_leaves().items()
    }


def _swapped(self: Any, grad: NDArray[Any], parts: Parts) -> Grads:
    pulled: Grads = _honest_pull[FactoredEncoding](self, grad, parts)
    return {k: g.T.reshape(g.shape) for k, g in pulled.items()}


_L10 = "L10 pullback"
plant(
    "gradient of the block's first element",
    _L10,
    "A scale hears one element of its block.",
    ScaledEncoding,
    "_gather",
    _first_of_block,
    noun_subjects,
)
plant(
    "gradient averaged over the block",
    _L10,
    "The mean stands where the sum belongs.",
    ScaledEncoding,
    "_gather",
    _mean_of_block,
    noun_subjects,
)
plant(
    "zero point forgotten in the scale's gradient",
    _L10,
    "d/ds = q instead of q - z.",
    ScaledEncoding,
    "pull",
    _uncentred,
    noun_subjects,
)
plant(
    "codeword gradient assigned",
    _L10,
    "sums[codes] += grad keeps one use of each codeword.",
    CodebookEncoding,
    "pull",
    _assigned,
    noun_subjects,
)
plant(
    "gradient not masked",
    _L10,
    "The first entries are taken, not the kept ones.",
    MaskedEncoding,
    "pull",
    _unmasked,
    noun_subjects,
)
plant(
    "only the first term trains",
    _L10,
    "The residual stages get no gradient.",
    SummedEncoding,
    "pull",
    _first_term,
    noun_subjects,
)
plant(
    "shared part overwritten",
    _L10,
    "A part reached twice keeps the last gradient only.",
    Encoding,
    "pullback",
    _overwritten,
    noun_subjects,
)
plant(
    "factor gradient transposed",
    _L10,
    "Each factor's gradient is read by columns.",
    FactoredEncoding,
    "pull",
    _swapped,
    noun_subjects,
)
