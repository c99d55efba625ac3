"""ONNX's text on integer products, sentence by sentence, in exact arithmetic.

Conventions
-----------
Matrices are lists of rows, images are nested lists (batch, channels, height, width); codes are
`int`, scales `Fraction`. The operators are MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.
"""

from collections.abc import Sequence
from fractions import Fraction

from .onnx_quantization import round_half_even, saturate

__all__ = ["conv_integer", "matmul_integer", "qlinear", "wrap_int32"]

Matrix = Sequence[Sequence[int]]
Images = Sequence[Sequence[Sequence[Sequence[int]]]]


def wrap_int32(value: int) -> int:
    """Return the int32 that is congruent modulo 2^32: accumulation may overflow, in 32 bits.

    Parameters
    ----------
    value : int
        An exact sum.

    Returns
    -------
    int
        In [-2^31, 2^31).

    Examples
    --------
    >>> wrap_int32(1 << 31)
    -2147483648
    """
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def matmul_integer(
    a: Matrix, b: Matrix, a_zero_points: Sequence[int], b_zero_points: Sequence[int]
) -> list[list[int]]:
    """Return the product of ``a - a_zero_point`` and ``b - b_zero_point``, before any overflow.

    Parameters
    ----------
    a, b : sequence of rows
        (m, k) and (k, n).
    a_zero_points : sequence of int
        One per row of `a`.
    b_zero_points : sequence of int
        One per column of `b`.

    Returns
    -------
    list of list of int
        (m, n), exact.

    Examples
    --------
    >>> matmul_integer([[1, 2]], [[3], [4]], [1], [0])
    [[4]]
    """
    return [
        [
            sum((row[k] - za) * (b[k][j] - zb) for k in range(len(b)))
            for j, zb in enumerate(b_zero_points)
        ]
        for row, za in zip(a, a_zero_points, strict=True)
    ]


def conv_integer(
    x: Images,
    w: Images,
    x_zero_point: int,
    w_zero_points: Sequence[int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
    groups: int,
) -> list[list[list[list[int]]]]:
    """Return the convolution of ``x - x_zero_point`` and ``w - w_zero_point``, before overflow.

    Parameters
    ----------
    x : nested sequences
        (batch, channels, height, width).
    w : nested sequences
        (out, channels / groups, height, width).
    x_zero_point : int
        Also what padding counts as.
    w_zero_points : sequence of int
        One per output channel.
    stride : pair of int
        (vertical, horizontal).
    padding : four of int
        (top, left, bottom, right).
    dilation : pair of int
        (vertical, horizontal).
    groups : int
        How many.

    Returns
    -------
    nested lists of int
        (batch, out, out_height, out_width), exact.

    Examples
    --------
    >>> conv_integer([[[[5]]]], [[[[3]]]], 1, [1], (1, 1), (0, 0, 0, 0), (1, 1), 1)
    [[[[8]]]]
    """
    kh, kw = len(w[0][0]), len(w[0][0][0])
    top, left, bottom, right = padding
    outputs = len(w) // groups

    def pixel(image: Sequence[Matrix], c: int, i: int, j: int) -> int:
        inside = 0 <= i < len(image[c]) and 0 <= j < len(image[c][0])
        return image[c][i][j] if inside else x_zero_point

    def value(image: Sequence[Matrix], o: int, i: int, j: int) -> int:
        first = o // outputs * len(w[o])  # the first channel of this output's group
        return sum(
            (
                pixel(
                    image,
                    first + c,
                    i * stride[0] + p * dilation[0] - top,
                    j * stride[1] + q * dilation[1] - left,
                )
                - x_zero_point
            )
            * (w[o][c][p][q] - w_zero_points[o])
            for c in range(len(w[o]))
            for p in range(kh)
            for q in range(kw)
        )

    height = (len(x[0][0]) + top + bottom - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (len(x[0][0][0]) + left + right - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    return [
        [
            [[value(image, o, i, j) for j in range(width)] for i in range(height)]
            for o in range(len(w))
        ]
        for image in x
    ]


def qlinear(
    accumulator: int,
    a_scale: Fraction,
    b_scale: Fraction,
    y_scale: Fraction,
    y_zero_point: int,
    low: int,
    high: int,
) -> int:
    """Return the code of an int32 result: the quantization formula, on its real value.

    Parameters
    ----------
    accumulator : int
        The sum of products, bias included.
    a_scale, b_scale, y_scale : Fraction
        Positive.
    y_zero_point : int
        Added after rounding.
    low, high : int
        The range of codes.

    Returns
    -------
    int
        ``saturate(round(accumulator * a_scale * b_scale / y_scale) + y_zero_point)``.

    Examples
    --------
    >>> qlinear(5, Fraction(1, 2), Fraction(1), Fraction(1), 3, 0, 255)
    5
    """
    real = accumulator * a_scale * b_scale
    return saturate(round_half_even(real / y_scale) + y_zero_point, low, high)
