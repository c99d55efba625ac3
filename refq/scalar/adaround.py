r"""AdaRound: learn for every weight whether it is rounded down or up.

Problem
-------
Rounding to nearest is not the best rounding for the layer's outputs. Choosing down or up for every
weight is a quadratic binary problem; AdaRound [1]_ relaxes it and follows the gradient.

Equation
--------
With ``h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1)`` and the soft code ``c = floor(W / s) + z + h(v)``,
clipped to the codes there are, minimize ::

    |X (w - s (c - z))|^2 / |X (w - w_nearest)|^2 + strength / k * sum(1 - |2 h(v) - 1|^beta)

row by row, over v by Adam, beta falling from 20 to 2 after a fifth of the steps without the second
term; at the end ``h >= 1/2`` rounds up.

Conventions
-----------
The objective needs X only through ``X^T X``, so all inputs count in every step and there is no
seed. Dividing by the error of the nearest codes (by one where that is zero) frees `strength` of the
units of weights and inputs; the paper does not divide, and takes 0.01. Scale and zero point are
those that `quantizer` finds. Each row is compared with its nearest codes at the end, and the better
one is kept: no row is worse than rounding to nearest on the inputs that it saw.

References
----------
.. [1] M. Nagel, R. A. Amjad, M. van Baalen, C. Louizos, T. Blankevoort, "Up or Down? Adaptive
   Rounding for Post-Training Quantization", ICML 2020, arXiv:2004.10568, equations 21 to 24.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.granularity import PerAxis
from ..encodings import Encoding, Method, check_inputs
from ..encodings.legal import Legal, Of, Real, Whole
from ..numerics import adam_step
from .affine import AffineQuantizer
from .integer_grid import IntegerGrid

__all__ = ["AdaRound", "rectified_sigmoid", "rounding_objective"]

STRETCH = (-0.1, 1.1)  #: gamma and zeta: h reaches 0 and 1 at finite v
BETA = (20.0, 2.0)  #: at the beginning and at the end
WARM = 0.2  #: the share of the steps without the regularizer


def rectified_sigmoid(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stretched sigmoid, clipped to [0, 1].

    Parameters
    ----------
    v : ndarray of float64
        Any numbers.

    Returns
    -------
    ndarray of float64
        *h(v)*.

    References
    ----------
    M. Nagel et al., arXiv:2004.10568, equation 23.

    Examples
    --------
    >>> rectified_sigmoid(np.array([-9.0, 0.0, 9.0]))
    array([0. , 0.5, 1. ])
    """
    low, high = STRETCH
    return np.clip((high - low) / (1 + np.exp(-v)) + low, 0.0, 1.0)


def rounding_objective(
    difference: NDArray[np.float64], gram: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared error of the outputs of each row.

    Parameters
    ----------
    difference : ndarray of float64, shape (rows, k)
        ``W - W'``.
    gram : ndarray of float64, shape (k, k)
        ``X^T X``.

    Returns
    -------
    ndarray of float64, shape (rows,)
        ``|X (w - w')|^2``.

    Examples
    --------
    >>> rounding_objective(np.array([[1.0, -1.0]]), np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([2.])
    """
    return np.einsum("ij,ij->i", difference @ gram, difference)


class AdaRound(Method):
    """Adaptive rounding by gradient descent on the outputs.

    Parameters
    ----------
    quantizer : Method
        Finds scales and zero points: lands on integers times scales. Cloned, not fitted itself.
    steps : int
        Steps of Adam.
    learning_rate : float
        Of Adam.
    strength : float
        Of the term that drives h to 0 or 1.

    Attributes
    ----------
    up_ : ndarray of bool
        Of W's shape: which weights are rounded up from the floor of their quotient.

    Notes
    -----
    Needs ``inputs``, (n, in_features). Every weight takes one of the two codes around its quotient,
    so ``|w - w'| < s``, up to the rounding of the decode, and plus the overload beyond the codes.
    Cost: n k^2 + steps rows k^2. Tier T2.

    References
    ----------
    M. Nagel et al., arXiv:2004.10568.

    Examples
    --------
    >>> X = np.array([[1, 1], [1, 0], [0, 1]])  # X^T X = [[2, 1], [1, 2]]
    >>> W = np.array([[0.4, 0.45], [1.0, 0.0]])
    >>> grid = AffineQuantizer(bits=2, scheme="symmetric")  # levels -1, 0, 1
    >>> nearest, learned = grid.fit_encode(W), AdaRound(grid).fit_encode(W, inputs=X)
    >>> nearest.decode()[0], learned.decode()[0]
    (array([0., 0.], dtype=float32), array([0., 1.], dtype=float32))
    """

    memoryless: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "quantizer": Of(Method),
        "steps": Whole(1, 1_000_000),
        "learning_rate": Real(1e-6, 10.0),
        "strength": Real(0.0, 1e6),
    }

    def __init__(
        self,
        quantizer: Method = AffineQuantizer(4, PerAxis(0), "symmetric"),  # noqa: B008 (cloned)
        steps: int = 1000,
        learning_rate: float = 0.02,
        strength: float = 10.0,
    ) -> None:
        self.quantizer = quantizer
        self.steps = steps
        self.learning_rate = learning_rate
        self.strength = strength

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        asymmetric = AffineQuantizer(bits=3, granularity=PerAxis(0))
        return [cls(steps=60), cls(asymmetric, steps=40, strength=0.1)]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Descend on the soft codes, harden them, and keep the better of two codes row by row."""
        matrix, seen = check_inputs(W, inputs)
        x = seen.astype(np.float64)
        gram = x.T @ x / len(x)
        grid = IntegerGrid.of(self.quantizer, W)
        self._grid = grid
        w = matrix.astype(np.float64)
        scale, zero = (p.reshape(w.shape) for p in (grid.scale, grid.zero_point))
        quotient = w / scale + zero
        floor = np.floor(quotient)
        nearest = grid.nearest(W).reshape(w.shape)
        of_nearest = rounding_objective(w - scale * (nearest - zero), gram)
        unit = np.where(of_nearest > 0, of_nearest, 1.0)[:, None]
        soft = self._descend(w, scale, floor - zero, quotient - floor, gram, unit, (grid, zero))
        codes = np.clip(floor + (soft >= 0.5), grid.low, grid.high)
        better = rounding_objective(w - scale * (codes - zero), gram) < of_nearest
        kept = np.where(better[:, None], codes, nearest)
        self.up_ = (kept > floor).reshape(W.shape)

    def _descend(
        self,
        w: NDArray[np.float64],
        scale: NDArray[np.float64],
        below: NDArray[np.float64],
        fraction: NDArray[np.float64],
        gram: NDArray[np.float64],
        unit: NDArray[np.float64],
        limits: tuple[IntegerGrid, NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """Return h after the last step; `below` is the floor less the zero point."""
        low, high = STRETCH
        grid, zero = limits
        # h(v) = fraction at the start: the soft weights begin where the weights are
        share = np.clip((fraction - low) / (high - low), 1e-6, 1 - 1e-6)
        v = np.log(share / (1 - share))
        mean, square = np.zeros_like(v), np.zeros_like(v)
        warm = int(WARM * self.steps)
        for step in range(self.steps):
            sigmoid = 1 / (1 + np.exp(-v))
            stretched = (high - low) * sigmoid + low
            h = np.clip(stretched, 0.0, 1.0)
            bends = ((stretched > 0) & (stretched < 1)) * (high - low) * sigmoid * (1 - sigmoid)
            code = below + h
            inside = (code > grid.low - zero) & (code < grid.high - zero)
            level = scale * np.clip(code, grid.low - zero, grid.high - zero)
            slope = -2 * scale * inside * ((w - level) @ gram) / unit
            if step >= warm:
                beta = _beta(step - warm, self.steps - warm)
                slope += self.strength / w.shape[1] * _regularizer_slope(h, beta)
            v, mean, square = adam_step(
                v, slope * bends, mean, square, step + 1, self.learning_rate, 0.9, 0.999, 1e-8, 0.0
            )
        return rectified_sigmoid(v)

    def _encode(self, W: NDArray[Any]) -> Encoding:
        floor = np.floor(self._grid.quotients(self._same_shape(W)))
        return self._grid.encode(np.clip(floor + self.up_, self._grid.low, self._grid.high))


def _beta(step: int, steps: int) -> float:
    """Return the exponent at a step: half a cosine from the first to the last."""
    first, last = BETA
    return last + (first - last) * 0.5 * (1 + float(np.cos(np.pi * step / steps)))


def _regularizer_slope(h: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Return the derivative of ``1 - |2 h - 1|^beta`` by h."""
    away = 2 * h - 1
    return -2 * beta * np.sign(away) * np.abs(away) ** (beta - 1)
