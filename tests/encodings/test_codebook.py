"""Codes that gather codewords."""

import numpy as np
import pytest

from refq.core.errors import DTypeError, FormatError, ShapeError
from refq.encodings import CodebookEncoding, dense, from_codes


@pytest.mark.parametrize("books", [1, 3])
@pytest.mark.parametrize("width", [1, 2])
def test_against_a_loop(books, width):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 5, (4, 3))
    book = rng.standard_normal((books, 5, width)).astype(np.float32)
    e = CodebookEncoding(from_codes(codes, 5), dense(book), (2, 6 * width))
    want = [
        book[p % books, codes[r, p], k] for r in range(4) for p in range(3) for k in range(width)
    ]
    assert e.decode().reshape(-1).tolist() == [float(v) for v in want]
    assert e.stored_bits == 12 * 3 + book.size * 32
    grad = rng.standard_normal((2, 6 * width))
    sums = np.zeros_like(book, np.float64)
    flat = grad.reshape(4, 3, width)
    for r in range(4):
        for p in range(3):
            sums[p % books, codes[r, p]] += flat[r, p]
    np.testing.assert_allclose(e.pullback(grad)["codebook"], sums, rtol=1e-14, atol=1e-15)


def test_a_code_without_codeword_is_found_on_decoding():
    e = CodebookEncoding(dense([[0, 3]], "uint2"), dense([[[1.0], [2.0], [3.0]]]), (2,))
    with pytest.raises(FormatError, match=r"codes lie in 0\.\.3; the book has 3 codewords"):
        e.decode()
    negative = CodebookEncoding(dense([[-1]], "int2"), dense([[[1.0]]]), (1,))
    with pytest.raises(FormatError, match=r"-1\.\.-1"):
        negative.decode()


def test_empty_arrays():
    e = CodebookEncoding(dense(np.zeros((0, 2)), "uint2"), dense(np.zeros((2, 0, 3))), (0, 6))
    assert e.decode().shape == (0, 6)


def test_what_does_not_fit():
    codes, book = dense([[0, 1]], "uint1"), dense([[[1.0], [2.0]]])
    with pytest.raises(ShapeError, match=r"do not fill array_shape \(3,\)"):
        CodebookEncoding(codes, book, (3,))
    with pytest.raises(ShapeError, match="3 books for 2 positions"):
        CodebookEncoding(codes, dense(np.zeros((3, 2, 1))), (2,))
    for wrong in (dense([0, 1], "uint1"), dense([[0.0, 1.0]])):
        with pytest.raises(ShapeError, match="codes must be integers"):
            CodebookEncoding(wrong, book, (2,))
    for shape in ((2, 1), (1, 2, 0)):
        with pytest.raises(ShapeError, match="needs three axes and a value"):
            CodebookEncoding(codes, dense(np.zeros(shape)), (2,))
    with pytest.raises(DTypeError, match="codebook is a ndarray"):
        CodebookEncoding(codes, np.zeros((1, 2, 1)), (2,))
    with pytest.raises(DTypeError, match="codes is a ndarray"):
        CodebookEncoding(np.zeros((1, 2), int), book, (2,))
