"""The leaf that holds codes: a fixed number format, kept under a coding.

Equation
--------
``decode = format.values[codes]``. The coding changes how many bits the codes take, never what they
mean: ``raw`` takes ``size * bits``, ``huffman`` about the entropy, ``gaps`` serves sparse masks.

Examples
--------
>>> leaf = dense(np.array([0.5, -1.0]), "float16")
>>> leaf
DenseEncoding(shape=(2,), format='float16', coding='raw', bits_per_weight=16)
>>> leaf.decode()
array([ 0.5, -1. ], dtype=float32)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import codings, formats
from ..core.checks import check_array, check_shape
from ..core.errors import FormatError, LimitError, ShapeError
from .container import check_claim
from .encoding import Leaf

__all__ = ["MAX_LEAF_ELEMENTS", "DenseEncoding", "dense", "from_codes"]

MAX_LEAF_ELEMENTS = 1 << 28  #: a leaf that a file claims may not be larger


@dataclass(frozen=True, eq=False, repr=False)
class DenseEncoding(Leaf):
    """Codes in a fixed number format, kept under a coding.

    Parameters
    ----------
    codes : ndarray
        Of the format's dtype: integers for integer formats, bit patterns for the others.
    format : str
        The name of a format in `refq.formats`.
    coding : str
        The name of a coding in `refq.codings`.

    Raises
    ------
    FormatError
        If a code does not exist in the format.
    RangeError
        If there is no such format or coding.

    Notes
    -----
    The array is copied and made read-only. Tier T1.
    """

    codes: NDArray[Any]
    format: str
    coding: str = "raw"

    def __post_init__(self) -> None:
        object.__setattr__(self, "coding", codings.get(self.coding).name)
        given = np.asarray(self.codes)
        form = formats.check_registered(formats.get(self.format))  # only its name is stored
        codes = form.check_codes(given)
        codes = np.array(codes, order="C", copy=True)
        codes.flags.writeable = False
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "format", form.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The codes' shape."""
        return self.codes.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the format's values."""
        return formats.get(self.format).value_dtype

    @property
    def bits(self) -> int:
        """Width of one code before entropy coding."""
        return formats.get(self.format).bits

    def combine(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the values of the codes."""
        return formats.get(self.format).decode(self.codes)

    @cached_property
    def leaf_bits(self) -> int:
        """The bits under the leaf's coding, its table included."""
        return codings.get(self.coding).nbits(self._patterns, self.bits)

    @property
    def _patterns(self) -> NDArray[Any]:
        return formats.get(self.format).to_patterns(self.codes).reshape(-1)

    @property
    def is_trainable(self) -> bool:
        """Whether the format is a floating-point one."""
        return isinstance(formats.get(self.format), formats.NativeFloat)

    def rewritten(self, array: NDArray[Any], format: str | None = None) -> "DenseEncoding":
        """Return a leaf of other values, under the same coding."""
        return dense(array, self.format if format is None else format, self.coding)

    def with_coding(self, coding: str) -> "DenseEncoding":
        """Return the same codes under another coding.

        Parameters
        ----------
        coding : str
            The name of a coding.

        Returns
        -------
        DenseEncoding
            Decodes to the same values.
        """
        return replace(self, coding=coding)

    def config(self) -> dict[str, Any]:
        """Return shape, format and coding."""
        return {"coding": self.coding, "format": self.format, "shape": list(self.shape)}

    def payload(self) -> bytes:
        """Return the codes under the coding."""
        _check_size(self.size)
        buffer = codings.get(self.coding).write(self._patterns, self.bits)[0]
        check_claim(self.size, len(buffer))
        return buffer

    @classmethod
    def from_payload(cls, config: Mapping[str, Any], payload: bytes) -> "DenseEncoding":
        """Return the leaf; sizes are checked before the payload is read."""
        if set(config) != {"coding", "format", "shape"}:
            raise FormatError(f"a dense leaf has fields {sorted(config)}")
        shape = check_shape(config["shape"])
        size = int(np.prod(shape, dtype=object)) if shape else 1
        _check_size(size)
        check_claim(size, len(payload))
        form = formats.get(config["format"])
        patterns = codings.get(config["coding"]).read(payload, size, form.bits)
        return cls(form.from_patterns(patterns).reshape(shape), form.name, config["coding"])

    def __repr__(self) -> str:
        return (
            f"DenseEncoding(shape={self.shape}, format={self.format!r}, coding={self.coding!r}, "
            f"bits_per_weight={self.bits_per_weight:.4g})"
        )


def _check_size(size: int) -> None:
    if size > MAX_LEAF_ELEMENTS:
        raise LimitError(
            f"a leaf of {size} elements; a file holds at most {MAX_LEAF_ELEMENTS}: "
            "split it by ConcatenatedEncoding"
        )


def dense(
    x: ArrayLike, format: str | formats.Format | None = None, coding: str = "raw"
) -> DenseEncoding:
    """Keep numbers in a format: round once, half to even; overflow and NaN are errors.

    Parameters
    ----------
    x : array_like
        Numbers.
    format : str, Format or None
        None keeps the array's own dtype.
    coding : str
        The name of a coding.

    Returns
    -------
    DenseEncoding
        The leaf.

    Raises
    ------
    RangeError
        If a value is NaN or does not fit the format.

    Examples
    --------
    >>> dense([1, 2, 3], "uint4").stored_bits
    12
    """
    a = check_array(x)
    if a.dtype.kind == "b":
        a = a.astype(np.uint8)
    form = formats.get(a.dtype.name if format is None else format)
    return DenseEncoding(form.encode(a, overflow="error"), form.name, coding)


def from_codes(codes: NDArray[Any], n_codes: int, coding: str = "raw") -> DenseEncoding:
    """Keep indices 0..n_codes-1 in the narrowest unsigned format.

    Parameters
    ----------
    codes : ndarray of integers
        Indices.
    n_codes : int
        How many different ones there may be; at least one.
    coding : str
        The name of a coding.

    Returns
    -------
    DenseEncoding
        Of ``ceil(log2(n_codes))`` bits a code, at least one.

    Raises
    ------
    ShapeError
        If an index is outside.

    Examples
    --------
    >>> from_codes(np.array([0, 4]), 5).format
    'uint3'
    """
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < n_codes:
        raise ShapeError(f"codes lie in {codes.min()}..{codes.max()}; allowed 0..{n_codes - 1}")
    bits = max(1, (n_codes - 1).bit_length())
    return dense(codes, f"uint{bits if bits <= 16 else 32}", coding)
