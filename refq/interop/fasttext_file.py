"""fastText's binary files, quantized ones (`.ftz`) among them: bytes to words and Encodings.

Conventions
-----------
Little-endian throughout. A file is: magic and version; thirteen settings; the dictionary (words,
then labels, each a zero-terminated UTF-8 string, a count and a kind; then the buckets that survived
pruning); the input matrix; the output matrix. A quantized matrix holds codes of product
quantization over sub-vectors of a fixed width (the last may be narrower), 256 codewords each, and,
where norms are kept apart, one more code for the norm of each row. Every size is checked against
what is left of the file before anything is allocated.

References
----------
.. [1] A. Joulin et al., "FastText.zip: Compressing text classification models", 2016,
   arXiv:1612.03651.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FormatError
from ..encodings import CodebookEncoding, ConcatenatedEncoding, Encoding, ScaledEncoding, dense

__all__ = ["FastTextFile", "FastTextSettings", "parse"]

MAGIC, VERSION = 793712314, 12
CODEWORDS = 256  #: of every sub-quantizer
LOSSES = {1: "hierarchical softmax", 2: "negative sampling", 3: "softmax", 4: "one against all"}
_SETTINGS = (
    *("dim", "window", "epochs", "min_count", "negatives", "word_ngrams", "loss", "model"),
    *("buckets", "min_n", "max_n", "update_rate"),
)


@dataclass(frozen=True)
class FastTextSettings:
    """The settings that reading a text needs.

    Parameters
    ----------
    dim : int
        Width of an embedding.
    word_ngrams : int
        Longest run of words that has an embedding of its own.
    loss : str
        What the output layer is.
    buckets : int
        Number of hash buckets of character n-grams.
    min_n, max_n : int
        Lengths of character n-grams.
    """

    dim: int
    word_ngrams: int
    loss: str
    buckets: int
    min_n: int
    max_n: int


@dataclass(frozen=True)
class FastTextFile:
    """What a file holds.

    Parameters
    ----------
    settings : FastTextSettings
        How texts become rows.
    words : tuple of str
        Row r of `embeddings` is word r; the rows after them are buckets.
    labels : tuple of str
        In the order of the output's rows.
    label_counts : tuple of int
        How often each was seen; the tree of hierarchical softmax is built from them.
    kept_buckets : dict of int to int, or None
        Bucket -> row after the words; None where nothing was pruned.
    embeddings : Encoding
        Shape (rows, dim).
    output : Encoding
        Shape (labels, dim).
    """

    settings: FastTextSettings
    words: tuple[str, ...]
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    kept_buckets: dict[int, int] | None
    embeddings: Encoding
    output: Encoding


class _Reader:
    """A position in a buffer that never runs past the end."""

    def __init__(self, buffer: bytes) -> None:
        self.buffer, self.at = buffer, 0

    def take(self, size: int, what: str) -> bytes:
        if not 0 <= size <= len(self.buffer) - self.at:
            raise FormatError(
                f"{what} needs {size} bytes at byte {self.at}; "
                f"{len(self.buffer) - self.at} are left of this fastText file"
            )
        self.at += size
        return self.buffer[self.at - size : self.at]

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))

    def text(self, what: str) -> str:
        end = self.buffer.find(b"\0", self.at)
        if end < 0:
            raise FormatError(f"{what} at byte {self.at} does not end")
        return self.take(end + 1 - self.at, what)[:-1].decode("utf-8", "replace")

    def array(self, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[Any]:
        if min(shape, default=0) < 0:
            raise FormatError(f"{what} has the shape {shape}")
        kind = np.dtype(dtype)
        data = self.take(math.prod(shape) * kind.itemsize, what)
        return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="))


def _dictionary(
    reader: _Reader,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...], dict[int, int] | None]:
    size, n_words, n_labels, _, n_kept = reader.numbers("3i2q", "the dictionary's head")
    if size != n_words + n_labels or min(n_words, n_labels) < 0:
        raise FormatError(f"{n_words} words and {n_labels} labels are not {size} entries")
    words: list[str] = []
    labels: list[str] = []
    counts: list[int] = []
    for i in range(size):
        text = reader.text(f"entry {i}")
        count, kind = reader.numbers("qb", f"entry {i}")
        if kind != (i >= n_words):
            raise FormatError(f"entry {i} is of kind {kind}; words come before labels")
        (labels if kind else words).append(text)
        if kind:
            counts.append(count)
    kept = None
    if n_kept >= 0:
        pairs = reader.array("<i4", (n_kept, 2), "the kept buckets")
        kept = {int(bucket): int(row) for bucket, row in pairs}
    return tuple(words), tuple(labels), tuple(counts), kept


def _codebooks(reader: _Reader, codes: NDArray[Any]) -> Encoding:
    """Read a product quantizer and put codes (rows, sub-vectors) before its codebooks."""
    dim, parts, width, last = reader.numbers("4i", "a product quantizer")
    if min(dim, parts, width, last) < 1 or (parts - 1) * width + last != dim or last > width:
        raise FormatError(f"{parts} sub-vectors of {width}, the last of {last}, are not {dim} wide")
    if codes.size % parts:
        raise FormatError(f"{codes.size} codes are no rows of {parts}")
    table = codes.reshape(-1, parts)
    rows, whole = len(table), parts if last == width else parts - 1
    pieces: list[Encoding] = []
    for start, count, size in ((0, whole, width), (whole, parts - whole, last)):
        if count:
            books = reader.array("<f4", (count, CODEWORDS, size), "the codewords")
            some = dense(table[:, start : start + count], "uint8")
            shape = (rows, count * size)
            pieces.append(CodebookEncoding(some, dense(books, "float32"), shape))
    return pieces[0] if len(pieces) == 1 else ConcatenatedEncoding(tuple(pieces), 1)


def _matrix(reader: _Reader, quantized: bool) -> Encoding:
    if not quantized:
        rows, width = reader.numbers("2q", "a matrix")
        return dense(reader.array("<f4", (rows, width), "a matrix"), "float32")
    norms_apart, rows, width, size = reader.numbers("?2qi", "a quantized matrix")
    elements = _codebooks(reader, reader.array("u1", (size,), "the codes"))
    if elements.shape != (rows, width):
        raise FormatError(f"codes of shape {elements.shape} are no matrix {(rows, width)}")
    if not norms_apart:
        return elements
    norms = _codebooks(reader, reader.array("u1", (rows,), "the codes of the norms"))
    if norms.shape != (rows, 1):
        raise FormatError(f"norms of shape {norms.shape} are not one for each of {rows} rows")
    return ScaledEncoding(elements, norms, (1, width))


def parse(buffer: bytes) -> FastTextFile:
    """Read a whole fastText model.

    Parameters
    ----------
    buffer : bytes
        The file.

    Returns
    -------
    FastTextFile
        Matrices as Encodings, nothing decoded yet.

    Raises
    ------
    FormatError
        If it is no fastText file of version 12, or ends too early, or goes on.

    Notes
    -----
    Tier T1: codes and codewords are taken over as they stand.

    Examples
    --------
    >>> parse(bytes(8))
    Traceback (most recent call last):
    refq.core.errors.FormatError: the file begins with 0 and 0; fastText's with 793712314 and 12
    """
    reader = _Reader(bytes(buffer))
    head = reader.numbers("2i", "the head")
    if head != (MAGIC, VERSION):
        raise FormatError(
            f"the file begins with {head[0]} and {head[1]}; fastText's with {MAGIC} and {VERSION}"
        )
    named = dict(zip(_SETTINGS, reader.numbers("12id", "the settings")[:12], strict=True))
    if named["loss"] not in LOSSES or named["buckets"] < 0:
        raise FormatError(f"the settings are {named}; loss must be in {sorted(LOSSES)}")
    settings = FastTextSettings(
        named["dim"], named["word_ngrams"], LOSSES[named["loss"]],
        named["buckets"], named["min_n"], named["max_n"],
    )  # fmt: skip
    words, labels, counts, kept = _dictionary(reader)
    (quantized,) = reader.numbers("?", "a flag")
    embeddings = _matrix(reader, quantized)
    (output_quantized,) = reader.numbers("?", "a flag")
    output = _matrix(reader, quantized and output_quantized)
    if reader.at != len(reader.buffer):
        raise FormatError(f"{len(reader.buffer) - reader.at} bytes follow the output matrix")
    _check_shapes(settings, embeddings, output, len(words), len(labels), kept)
    return FastTextFile(settings, words, labels, counts, kept, embeddings, output)


def _check_shapes(
    settings: FastTextSettings,
    embeddings: Encoding,
    output: Encoding,
    n_words: int,
    n_labels: int,
    kept: dict[int, int] | None,
) -> None:
    buckets = settings.buckets if kept is None else len(kept)
    if settings.max_n <= 0 and settings.word_ngrams <= 1:
        buckets = max(embeddings.shape[0] - n_words, 0)
    for matrix, want, name in (
        (embeddings, (n_words + buckets, settings.dim), "the input matrix"),
        (output, (n_labels, settings.dim), "the output matrix"),
    ):
        if matrix.shape != want:
            raise FormatError(f"{name} has shape {matrix.shape}; the dictionary needs {want}")
    if kept is not None and not all(0 <= row < len(kept) for row in kept.values()):
        raise FormatError("a kept bucket has a row past the input matrix")
