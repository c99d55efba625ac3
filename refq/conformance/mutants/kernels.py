"""Mistakes in kernels: L5."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import ops  # noqa: F401  (registers its kernels)
from ...core.twins import Kernel
from ...core.twins import registry as twins
from ..strategies.tie_draws import near_tie
from ..subjects import KernelSubject
from .registry import Mutant, register

__all__: list[str] = []


def quantize_rows(x: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    """Return ``clip(rint(x / scale))``: the definition that the planted kernels miss.

    Parameters
    ----------
    x : ndarray of float32
        Any shape.
    scale : float32
        Positive.

    Returns
    -------
    ndarray of int8
        Codes.

    Examples
    --------
    >>> quantize_rows(np.array([0.5, 1.5], np.float32), np.float32(1))
    array([0, 2], dtype=int8)
    """
    return np.clip(np.rint(x / scale), -128, 127).astype(np.int8)


def _half_up(x: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    return np.clip(np.floor(x / scale + np.float32(0.5)), -128, 127).astype(np.int8)


def _reciprocal(x: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    return np.clip(np.rint(x * (np.float32(1) / scale)), -128, 127).astype(np.int8)


def _wide(x: NDArray[np.float32], scale: np.float32) -> NDArray[Any]:
    return np.clip(np.rint(x / scale), -128, 127).astype(np.int32)


def _in_place(x: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    codes = quantize_rows(x, scale)
    x[...] = codes
    return codes


def _honest(x: NDArray[np.float32], scale: np.float32) -> NDArray[np.int8]:
    return quantize_rows(x, scale)


_PAIRS = twins["refq.ops.saturating_pairs._pairs_definition"]
_planted: dict[str, Any] = {"kernel": _honest, "pairs": _PAIRS.python}


class _Plant:
    """Put a kernel in its place for the time of a ``with`` block."""

    def __init__(self, kernel: Any, place: str = "kernel") -> None:
        self.kernel, self.place, self.honest = kernel, place, _planted[place]

    def __enter__(self) -> None:
        _planted[self.place] = self.kernel

    def __exit__(self, *error: object) -> None:
        _planted[self.place] = self.honest


def _subjects() -> list[Any]:
    pair: Kernel[..., Any] = Kernel(quantize_rows, _planted["kernel"], False)
    found = []
    for scale in (1.0, 0.1, 1 / 3):
        x = [near_tie(scale, k, True, u) for k in range(-40, 40) for u in (-1, 0, 1)]
        arguments = (np.array(x, np.float32), np.float32(scale))
        found.append(KernelSubject(pair, arguments, python=True))
    return found


def _plant(name: str, kernel: Any, description: str) -> None:
    register(Mutant(name, "L5 twins", description, lambda: _Plant(kernel), _subjects))


_plant("kernel rounds half up", _half_up, "floor(x + 0.5) where the definition rounds to even.")
_plant("kernel multiplies", _reciprocal, "The division was made a multiplication, for speed.")
_plant("kernel returns int32", _wide, "The same numbers in another dtype.")
_plant("kernel writes into its input", _in_place, "The caller's array serves as a buffer.")


def _unsaturated_pairs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    return np.asarray(a.astype(np.int32) @ b.astype(np.int32).T)


def _saturated_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    terms = a.astype(np.int32)[:, None, :] * b.astype(np.int32)[None, :, :]
    return np.asarray(np.clip(terms, -(1 << 15), (1 << 15) - 1).sum(axis=2), np.int32)


def _pair_subjects() -> list[Any]:
    pair: Kernel[..., Any] = Kernel(_PAIRS.definition, _planted["pairs"], False)
    a = np.array([[255, 255, 1, 0], [128, 128, 3, 4]], np.uint8)
    b = np.array([[127, 127, -1, 5], [-128, -128, 0, 1]], np.int8)
    return [KernelSubject(pair, (a, b), python=True)]


def _plant_pairs(name: str, kernel: Any, description: str) -> None:
    register(Mutant(name, "L5 twins", description, lambda: _Plant(kernel, "pairs"), _pair_subjects))


_plant_pairs("pairs do not saturate", _unsaturated_pairs, "The exact product: what VNNI computes.")
_plant_pairs(
    "products saturate one by one",
    _saturated_products,
    "Each product is cut off, not the sum of two: no 8-bit product leaves int16.",
)
