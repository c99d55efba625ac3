"""Where ONNX Runtime quantizes by a loop over elements, not by a vector kernel.

Problem
-------
The loop converts to int32 before it clips, the kernels clip first, so the two differ on infinities
and huge numbers (`refq.core.int32_quantize`).

Conventions
-----------
The loop serves float16 scales, codes of 2 bits, and blocks along an axis with something after it.
Of codes of 4 bits, two to a byte in C order, it serves those whose byte holds a code of another
channel or block, or nothing else.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import normalize_axis

__all__ = ["in_scalar_loop"]


def in_scalar_loop(
    shape: tuple[int, ...], scale: NDArray[Any], bits: int, axis: int, block_size: int | None
) -> NDArray[np.bool_]:
    """Return which elements ``semantics.quantize_scalar`` serves.

    Parameters
    ----------
    shape : tuple of int
        Of the numbers.
    scale : ndarray
        As given to `quantize_linear`: a scalar, one per index of `axis`, or one per block.
    bits : int
        Width of a code.
    axis : int
        Where the scales lie.
    block_size : int or None
        Length of a block.

    Returns
    -------
    ndarray of bool
        Of that shape.

    Examples
    --------
    >>> in_scalar_loop((2, 3), np.ones(2, np.float32), 4, 0, None)
    array([[False, False,  True],
           [ True, False, False]])
    """
    blocked = block_size is not None and scale.ndim > 0
    along = normalize_axis(axis, len(shape)) if scale.size > 1 else len(shape) - 1
    inner = blocked and math.prod(shape[along + 1 :]) != 1
    if scale.dtype == np.float16 or bits == 2 or inner:
        return np.ones(shape, bool)
    if bits != 4:
        return np.zeros(shape, bool)
    # a run of elements shares one scale; two of one run in the same byte go through a vector kernel
    starts = np.zeros(shape, bool)
    if scale.size > 1:
        first = [slice(0, 1)] * (len(shape) - 1 - along)
        starts[(..., slice(None, None, block_size if blocked else 1), *first)] = True
    run = np.cumsum(starts.ravel())
    padded = np.concatenate([run, [-1] * (run.size % 2)]).reshape(-1, 2)
    lone = padded[:, 0] != padded[:, 1]
    return np.repeat(lone, 2)[: run.size].reshape(shape)
