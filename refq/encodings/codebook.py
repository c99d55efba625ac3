"""The node of every codebook: codes that gather codewords.

Equation
--------
Row r, position p, gives the codeword ``codebook[p mod n_books, codes[r, p]]``; the codewords of a
row lie side by side, and the rows are reshaped to the array's shape.

Conventions
-----------
Codes have shape (n_rows, n_positions); the codebook (n_books, n_codewords, codeword_size), with one
book for all positions (k-means, vector quantization) or one for each (product quantization). Codes
decode to integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_shape
from ..core.errors import FormatError, ShapeError
from .encoding import Encoding, check_part

__all__ = ["CodebookEncoding"]


@dataclass(frozen=True, eq=False, repr=False)
class CodebookEncoding(Encoding):
    """Codes that gather codewords out of one or several stacked codebooks.

    Parameters
    ----------
    codes : Encoding
        Integers, shape (n_rows, n_positions).
    codebook : Encoding
        Shape (n_books, n_codewords, codeword_size); n_books is 1 or n_positions.
    array_shape : tuple of int
        The decoded array's shape, of ``n_rows * n_positions * codeword_size`` elements.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DTypeError
        If a part is no Encoding.
    FormatError
        On decoding, if a code has no codeword.

    Notes
    -----
    Tier T1: gathering changes no bit.

    Examples
    --------
    >>> from .dense_leaf import dense
    >>> book = dense([[[0.0], [0.5]]], "float16")
    >>> CodebookEncoding(dense([[0, 1], [1, 1]], "uint1"), book, (2, 2)).decode()
    array([[0. , 0.5],
           [0.5, 0.5]], dtype=float32)
    """

    codes: Encoding
    codebook: Encoding
    array_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = check_shape(self.array_shape, "array_shape")
        object.__setattr__(self, "array_shape", shape)
        check_part(self.codebook, "codebook")
        if check_part(self.codes, "codes").ndim != 2 or self.codes.dtype.kind not in "iu":
            raise ShapeError(f"codes must be integers (n_rows, n_positions), not {self.codes}")
        if self.codebook.ndim != 3 or not self.codebook.shape[2]:
            raise ShapeError(
                f"codebook has shape {self.codebook.shape}; "
                "it needs three axes and a value in each codeword"
            )
        books, _, width = self.codebook.shape
        if books not in (1, self.codes.shape[1]):
            raise ShapeError(
                f"{books} books for {self.codes.shape[1]} positions; one, or one for each"
            )
        if self.codes.size * width != prod(shape):
            raise ShapeError(
                f"{self.codes.shape} codes of {width} values do not fill array_shape {shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape it was given."""
        return self.array_shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The codebook's dtype."""
        return self.codebook.dtype

    def config(self) -> dict[str, Any]:
        """Return the array's shape."""
        return {"array_shape": self.array_shape}

    def _where(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return each code's row in the books laid one under the other."""
        books, n_codewords, _ = self.codebook.shape
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < n_codewords:
            raise FormatError(
                f"codes lie in {codes.min()}..{codes.max()}; the book has {n_codewords} codewords"
            )
        first = np.arange(books, dtype=np.int64) * n_codewords
        return first[None, :] + codes.astype(np.int64)  # (n_rows, n_positions)

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the gathered codewords, reshaped."""
        books = parts["codebook"].reshape(-1, self.codebook.shape[2])
        return books[self._where(parts["codes"])].reshape(self.array_shape)

    def pull(
        self, grad: NDArray[Any], parts: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return each codeword's gradient: the sum over the places that use it.

        Notes
        -----
        S. Han et al., "Deep Compression", arXiv:1510.00149, section 3.3, equation 3.
        """
        books, n_codewords, width = self.codebook.shape
        where = self._where(parts["codes"]).reshape(-1)
        columns = grad.reshape(-1, width)
        sums = [
            np.bincount(where, columns[:, j], minlength=books * n_codewords) for j in range(width)
        ]
        return {"codebook": np.stack(sums, axis=-1).reshape(self.codebook.shape)}
