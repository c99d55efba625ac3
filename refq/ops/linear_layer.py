"""A linear layer on a compressed weight: each noun multiplies in its own way.

Problem
-------
``x @ W.T`` needs W, but a compressed W need not be made: factors are multiplied one after the
other, a removed row is a zero, a codeword's product with x is needed once however often it is used.

Equation
--------
===============================  ================================================================
noun                             ``y = x @ decode(encoding).T`` computed as
===============================  ================================================================
Scaled, blocks of whole rows     ``(x @ (elements - zero_point).T) * scale``
Codebook of codewords in a row   ``y[o] = sum over p of table[p, codes[o, p]]`` with
                                 ``table[p, k] = x[p-th part] . codebook[p, k]`` [1]_
Factored, ``ir,rj->ij``          ``(x @ B.T) @ A.T``
Masked, whole rows or columns    kept rows, or kept columns against kept entries of x
Summed                           sum of the terms' products
Concatenated                     side by side (axis 0), or a sum over slices of x (axis 1)
everything else                  the weight is decoded
===============================  ================================================================

Activations may be an Encoding, too. Where both sides are integers of at most 8 bits with scales for
whole rows, the products are summed in int32, exactly: ``y = (q_x - z_x)(q_w - z_w).T * s_x s_w``.
Otherwise x is decoded first. So one call serves all widths:

=====  ===========================================================================================
W8A8   int8 rows of weights, `x` encoded by a fitted quantizer (static), or one fitted on it
       (dynamic), per tensor or per token
W8A16  int8 rows of weights, `x` encoded by ``Cast("float16")`` or ``Cast("bfloat16")``
W4A16  int4 groups of weights, `x` likewise
=====  ===========================================================================================

Conventions
-----------
Weights are (out, in), x is (..., in). The result and every sum in it are float64 where x, the bias
or the weight is (or the weight holds integers of more than 16 bits), else float32. Parts are
Encodings too, so quantized factors and masked codebooks follow from the table.

The bound, after [2]_: let ``u`` be half the precision's epsilon and ``gamma(k) = k u / (1 - k u)``.
A sum of products over ``in`` terms, in any order, is off by at most ``gamma(in) |x| |W|``. Let M be
what the weight becomes when the products and sums that decoding rounds get the magnitudes of their
operands, and r the number of roundings between a part and the decoded weight (1 for a scale, the
inner length for factors, one for each further term of a sum). Decoding first, or the table above,
both stay within
``gamma(in + r + 1) |x| M.T`` of the exact product while nothing leaves the precision's range, so
they differ by at most twice that. (A part that decodes in float32 rounds its share of r there, even
where the result is float64.) A bias adds itself to the magnitudes. The integer product is exact; it
is scaled, and the bias added, in float64, and rounded to the result once: within
``(u + 2^-50) (|y| + |b|)``.

References
----------
.. [1] H. Jegou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", IEEE
   Trans. Pattern Analysis and Machine Intelligence 33(1), 2011.
.. [2] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 2002, chapter 3.
"""

import re
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, shown
from ..core.errors import RangeError, ShapeError
from ..core.granularity import expand
from ..encodings import (
    CodebookEncoding,
    ConcatenatedEncoding,
    Encoding,
    FactoredEncoding,
    MaskedEncoding,
    ScaledEncoding,
    SummedEncoding,
)
from .matmul import matmul_integer

__all__ = ["linear"]

_CHAIN = re.compile(r"(.)(.),\2(.)->\1\3")  #: a product of two matrices, by any letters
_MAX_DEPTH = 64  #: deeper graphs are decoded, which needs no recursion
_MAX_VISITS = 10_000  #: so are graphs whose shared nodes would be visited more often


def linear(
    encoding: Encoding, x: ArrayLike | Encoding, bias: ArrayLike | None = None
) -> NDArray[Any]:
    """Return ``x @ encoding.decode().T + bias``, computed by the noun where it can.

    Parameters
    ----------
    encoding : Encoding, shape (out, in)
        The weight.
    x : array_like or Encoding, shape (..., in)
        Finite numbers, or an Encoding of them.
    bias : array_like or None, shape (out,)
        Added to every row.

    Returns
    -------
    ndarray of float32 or float64, shape (..., out)
        float64 where x, the bias or the weight needs it.

    Raises
    ------
    ShapeError
        If shapes do not fit.
    RangeError
        If an element of x, of the bias or of the result is NaN or infinite.
    AccumulatorOverflow
        If an integer sum could leave int32 with the weights that there are.

    Notes
    -----
    Differs from the decoded product by the bound in the module's text. Tier T2. No gradient of x is
    kept: layers that train decode.

    Examples
    --------
    >>> from ..encodings import dense
    >>> column, row = dense([[1.0], [2.0]], "float16"), dense([[3.0, 4.0]], "float16")
    >>> linear(FactoredEncoding((column, row), "ir,rj->ij", (2, 2)), [[1.0, 1.0]], [0.5, 0.0])
    array([[ 7.5, 14. ]])
    """
    integers = _integer_pair(encoding, x)
    a = check_float_array(x.decode() if isinstance(x, Encoding) else x, "x")
    if encoding.ndim != 2:
        raise ShapeError(f"the weight has shape {encoding.shape}; (out, in) is needed")
    if not a.ndim or a.shape[-1] != encoding.shape[1]:
        raise ShapeError(f"x has shape {a.shape}; the weight {encoding.shape} needs (..., in)")
    b = None if bias is None else check_float_array(bias, "bias")
    if b is not None and b.shape != encoding.shape[:1]:
        raise ShapeError(f"bias has shape {b.shape}; the weight {encoding.shape} needs (out,)")
    dtype = np.result_type(a, a if b is None else b, encoding.dtype, np.float32)
    rows = a.reshape(prod(a.shape[:-1]), a.shape[-1])
    with np.errstate(all="ignore"):  # what leaves the range is found below
        if integers is not None:
            return _checked(_integer_product(*integers, b, dtype))
        product = _product if _is_shallow(encoding) else _decoded_product
        y = product(encoding, rows.astype(dtype))
        y = y if b is None else y + b.astype(dtype)
    return _checked(y.reshape(*a.shape[:-1], encoding.shape[0]))


def _integer_pair(
    weight: Encoding, x: ArrayLike | Encoding
) -> tuple[ScaledEncoding, ScaledEncoding] | None:
    """Return activations and weight, if their products can be summed in integers."""
    if not isinstance(x, ScaledEncoding) or not isinstance(weight, ScaledEncoding):
        return None
    for side in (x, weight):
        whole_rows = side.ndim == 2 and side.scale.shape[1] == 1 and side.offset is None
        zero = side.zero_point
        integers = side.elements.dtype.kind in "iu" and side.elements.dtype.itemsize == 1
        if not (whole_rows and integers and (zero is None or zero.dtype.kind in "iu")):
            return None
    return x, weight


def _integer_product(
    x: ScaledEncoding, weight: ScaledEncoding, bias: NDArray[Any] | None, dtype: Any
) -> NDArray[Any]:
    """Sum in int32, scale and add the bias in float64, round once."""
    zeros = []
    for side in (x, weight):
        z = None if side.zero_point is None else side.zero_point.decode()
        zeros.append(z if z is None or z.size == 1 else _per_row(z, side).ravel())
    codes = x.elements.decode(), weight.elements.decode().T
    total = matmul_integer(*codes, *zeros, overflow="weights").astype(np.float64)
    scales = [_per_row(side.scale.decode().astype(np.float64), side) for side in (x, weight)]
    y = total * (scales[0] * scales[1].T)
    return np.asarray(y if bias is None else y + bias.astype(np.float64)).astype(dtype)


def _per_row(parameter: NDArray[Any], side: ScaledEncoding) -> NDArray[Any]:
    """Return one parameter per row, (rows, 1)."""
    return expand(parameter, (side.shape[0], 1), (side.block_shape[0], 1))


def _checked(y: NDArray[Any]) -> NDArray[Any]:
    bad = ~np.isfinite(y)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), y.shape)
        raise RangeError(
            f"y{shown(index)} = {y[index]} is not finite: the product leaves {y.dtype}, or the "
            "weight has a scale that is not finite; scale x down or pass it as float64"
        )
    return y


def _is_shallow(encoding: Encoding) -> bool:
    """Return whether recursion over the graph stays small; shared nodes count every time."""
    depth: dict[int, int] = {}
    visits: dict[int, int] = {}
    for node in encoding.nodes():
        parts = [id(part) for part in node.parts().values()]
        depth[id(node)] = 1 + max((depth[p] for p in parts), default=0)
        visits[id(node)] = 1 + sum(visits[p] for p in parts)
    return depth[id(encoding)] <= _MAX_DEPTH and visits[id(encoding)] <= _MAX_VISITS


# One product per noun; x is (n, in) in the result's dtype -------------------------------------


def _decoded_product(encoding: Encoding, x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x @ encoding.decode().astype(x.dtype).T)


@singledispatch
def _product(encoding: Encoding, x: NDArray[Any]) -> NDArray[Any]:
    """Return ``x @ encoding.decode().T``: the definition, for nouns that know nothing better."""
    return _decoded_product(encoding, x)


@_product.register
def _scaled_product(encoding: ScaledEncoding, x: NDArray[Any]) -> NDArray[Any]:
    zero = encoding.zero_point
    integers = encoding.elements.dtype.kind in "iu" and (zero is None or zero.dtype.kind in "iu")
    if encoding.scale.shape[1] != 1 or encoding.offset is not None or not integers:
        return _decoded_product(encoding, x)
    q = encoding.elements.decode().astype(np.int64)
    if zero is not None:
        q = q - expand(zero.decode().astype(np.int64), encoding.shape, encoding.block_shape)
    scale = expand(encoding.scale.decode(), encoding.shape, encoding.block_shape)  # (out or 1, 1)
    return np.asarray((x @ q.astype(x.dtype).T) * scale.astype(x.dtype).T)


@_product.register
def _codebook_product(encoding: CodebookEncoding, x: NDArray[Any]) -> NDArray[Any]:
    n_rows, n_positions = encoding.codes.shape
    n_books, n_codewords, width = encoding.codebook.shape
    codes = encoding.codes.decode().astype(np.int64)
    legal = not codes.size or 0 <= codes.min() <= codes.max() < n_codewords
    if (n_rows, n_positions * width) != encoding.shape or width < 2 or not legal:
        return _decoded_product(
            encoding, x
        )  # codewords of one save no product; decode judges codes
    books = encoding.codebook.decode().astype(x.dtype)
    y = np.zeros((x.shape[0], n_rows), x.dtype)
    for p in range(n_positions):
        table = x[:, p * width : (p + 1) * width] @ books[p if n_books > 1 else 0].T
        y += table[:, codes[:, p]]  # (n, n_codewords) gathered to (n, out)
    return y


@_product.register
def _factored_product(encoding: FactoredEncoding, x: NDArray[Any]) -> NDArray[Any]:
    left, right = encoding.factors[0], encoding.factors[-1]
    chain = _CHAIN.fullmatch(encoding.subscripts) is not None
    if not chain or encoding.shape != (left.shape[0], right.shape[1]):
        return _decoded_product(encoding, x)
    return _product(left, _product(right, x))


@_product.register
def _masked_product(encoding: MaskedEncoding, x: NDArray[Any]) -> NDArray[Any]:
    mask, values = encoding.mask.decode(), encoding.values
    n_out, n_in = encoding.shape
    kept = np.flatnonzero(mask)
    if mask.size and not 0 <= mask.min() <= mask.max() <= 1:
        return _decoded_product(encoding, x)  # which refuses the mask
    if mask.shape == (n_out, 1) and values.shape == (kept.size, n_in):
        y = np.zeros((x.shape[0], n_out), x.dtype)
        y[:, kept] = _product(values, x)
        return y
    if mask.shape == (1, n_in) and values.shape == (n_out, kept.size):
        return _product(values, x[:, kept])
    return _decoded_product(encoding, x)


@_product.register
def _summed_product(encoding: SummedEncoding, x: NDArray[Any]) -> NDArray[Any]:
    y = _product(encoding.terms[0], x)
    for term in encoding.terms[1:]:
        y = y + _product(term, x)
    return y


@_product.register
def _concatenated_product(encoding: ConcatenatedEncoding, x: NDArray[Any]) -> NDArray[Any]:
    if encoding.axis == 0:
        return np.concatenate([_product(piece, x) for piece in encoding.pieces], axis=1)
    stops = np.cumsum([piece.shape[1] for piece in encoding.pieces])[:-1]
    first, *others = zip(encoding.pieces, np.split(x, stops, axis=1), strict=True)
    y = _product(*first)
    for piece, part in others:
        y = y + _product(piece, part)
    return y
