"""HQQ: a real-valued zero point, found from the weights alone by half-quadratic splitting.

Problem
-------
A few outliers should not pull the grid of a block away from its many small weights. A p-norm with p
< 1 of the error forgives outliers; it is neither convex nor smooth, so it is split.

Equation
--------
With errors measured in steps, ``r = w / s - (q - z)``, alternate per block, for a growing beta::

    e = sign(r) max(0, |r| - |r|^(p-1) / beta)          what is forgiven
    z = mean(q - (w / s - e)),   q = clip(round(w / s + z), low, high)

Conventions
-----------
The scale stays as `quantizer` finds it. The paper measures errors in the units of w; steps free
beta of the units, so that one default serves every layer. Arithmetic is float64; the zero point is
stored, and codes are made against the stored one. ``beta`` grows by ``kappa`` after each step.

Why it descends
---------------
The shrinkage does not decrease, so it is the proximal map of some penalty [2]_, whose Moreau
envelope has the slope ``beta (r - e(r))``. With ``t = beta^(-1/(2-p))``, where e leaves zero::

    M(r) = beta r^2 / 2                                for |r| <= t
    M(r) = beta t^2 / 2 + (|r|^p - t^p) / p            beyond

At a fixed beta, e and z each minimize ``penalty(e) + beta/2 |e - r|^2`` with the other held, whose
least value over e is M; and M grows with ``|r|``, which the nearest code makes least. So no step
raises the sum of M over a block. The zero point that is kept is the one of the path with the least
``sum |r|^p``, the first on a tie.

References
----------
.. [1] H. Badri, A. Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", Mobius
   Labs, 2023, https://mobiusml.github.io/hqq_blog/.
.. [2] R. Chartrand, "Fast algorithms for nonconvex compressive sensing: MRI reconstruction from
   very few data", IEEE ISBI 2009.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import formats
from ..core.errors import RangeError
from ..core.granularity import PerAxis, PerGroup, block_reduce, expand
from ..core.rounding import saturate
from ..encodings import Cast, DenseEncoding, Encoding, Method, ScaledEncoding, stored
from ..encodings.legal import Legal, Of, Real, Whole
from .affine import SLACK, AffineQuantizer
from .integer_grid import IntegerGrid

__all__ = ["HQQ", "shrink"]


def shrink(r: NDArray[np.float64], beta: float, p: float) -> NDArray[np.float64]:
    """Return the generalized soft threshold: zero near zero, a little less than r far away.

    Parameters
    ----------
    r : ndarray of float64
        Any numbers.
    beta : float
        Positive: the larger, the closer to r.
    p : float
        In (0, 1]; 1 is the soft threshold by ``1 / beta``.

    Returns
    -------
    ndarray of float64
        ``sign(r) max(0, |r| - |r|^(p-1) / beta)``.

    References
    ----------
    H. Badri, A. Shaji, 2023, the first sub-problem.

    Examples
    --------
    >>> shrink(np.array([-2.0, 0.25, 0.0]), 1.0, 1.0)
    array([-1.,  0.,  0.])
    """
    zero = beta ** (-1 / (2 - p))  # up to here all is forgiven
    size = np.maximum(np.abs(r), zero)
    return np.where(size > zero, np.sign(r) * np.maximum(size - size ** (p - 1) / beta, 0.0), 0.0)


class HQQ(Method):
    """Affine quantization with a zero point between the codes, robust to outliers.

    Parameters
    ----------
    quantizer : Method
        Finds scales and the zero points to begin with, and fixes the codes: lands on integers times
        scales. Cloned, not fitted itself.
    p : float
        Of the norm, in (0, 1].
    beta : float
        Weight of the quadratic term at the first step.
    kappa : float
        What beta is multiplied by after each step, from 1.
    steps : int
        How many.
    zero_method : Cast
        How the zero points are stored; cloned, not fitted itself.

    Attributes
    ----------
    zero_point_ : ndarray of float
        The stored zero points, one per block.
    path_ : ndarray of float64, shape (steps + 1, ...)
        The zero points before each step and after the last, not yet stored.

    Raises
    ------
    RangeError
        If the quantizer lands on something else, or `zero_method` does not keep its zero points.

    Notes
    -----
    Needs no data. Error bound: half a step, and the roundings of the decode; beyond the codes the
    distance to the outermost level. Zero is in general no level: pruned weights do not stay zero.
    The p-norm of no block ends above that of the quantizer's own zero point. Cost: steps times
    linear. Tier T3: powers.

    References
    ----------
    H. Badri, A. Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023.

    Examples
    --------
    >>> W = np.array([[0.3, 0.35, 0.4, 2.6]], np.float32)
    >>> grid = AffineQuantizer(bits=2, scale_method=Cast("float32"))
    >>> grid.fit_encode(W).decode()
    array([[0. , 0. , 0. , 2.6]], dtype=float32)
    >>> method = HQQ(grid, zero_method=Cast("float32"))
    >>> method.fit_encode(W).decode().round(2), method.zero_point_.round(2)
    (array([[0.3, 0.3, 0.3, 2.9]], dtype=float32), array([[-0.35]], dtype=float32))
    """

    memoryless: ClassVar[bool] = False
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "quantizer": Of(Method),
        "p": Real(0.0, 1.0, "right"),
        "beta": Real(1e-3, 1e6),
        "kappa": Real(1.0, 10.0),
        "steps": Whole(1, 10_000),
        "zero_method": Of(Cast),
    }

    def __init__(
        self,
        quantizer: Method = AffineQuantizer(bits=4, granularity=PerGroup(64)),  # noqa: B008 (cloned)
        p: float = 0.7,
        beta: float = 10.0,
        kappa: float = 1.01,
        steps: int = 20,
        zero_method: Method = Cast("float16"),  # noqa: B008 (cloned)
    ) -> None:
        self.quantizer = quantizer
        self.p = p
        self.beta = beta
        self.kappa = kappa
        self.steps = steps
        self.zero_method = zero_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        rows = AffineQuantizer(bits=3, granularity=PerAxis(0))
        symmetric = AffineQuantizer(bits=2, granularity=PerGroup(5), scheme="symmetric")
        return [cls(rows), cls(symmetric, p=1.0, kappa=1.2, zero_method=Cast("float32"))]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Walk the path, keep its best zero point per block, store it."""
        self._grid = grid = IntegerGrid.of(self.quantizer, W)
        wide = W.astype(np.float64) / grid.scale
        start = np.zeros(grid.encoding.scale.shape)
        if grid.encoding.zero_point is not None:
            start = grid.encoding.zero_point.decode().astype(np.float64)
        path = [start]
        for step in range(self.steps):
            path.append(self._step(wide, path[-1], self.beta * self.kappa**step))
        self.path_ = np.stack(path)
        errors = np.stack([self._error(wide, z) for z in path])
        best = np.take_along_axis(self.path_, errors.argmin(axis=0)[None], axis=0)[0]
        kept, again = stored(best, self.zero_method), stored(start, self.zero_method)
        if (again[1] != start).any():
            wrong = float(start[again[1] != start][0])
            raise RangeError(
                f"zero_method = {self.zero_method!r} keeps {wrong} as another number; zero points "
                "begin as whole ones: use a format with more significant bits"
            )
        # rounding to storage can make the best worse than the first
        worse = self._error(wide, self._as_decoded(kept[1])) > errors[0]
        if worse.any():
            kept = stored(np.where(worse, again[1], kept[1]), self.zero_method)
        self._zero, self.zero_point_ = kept

    def _as_decoded(self, zero: NDArray[Any]) -> NDArray[np.float64]:
        """Return zero points as a decoder widens them, in float64."""
        return zero.astype(self._grid.encoding.dtype).astype(np.float64)

    def _residual(
        self, wide: NDArray[np.float64], zero: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the nearest codes, and how far the weights are from them, in steps."""
        z = expand(zero, wide.shape, self._grid.encoding.block_shape)
        codes = np.clip(np.rint(wide + z), self._grid.low, self._grid.high)
        return codes, wide - (codes - z)

    def _error(self, wide: NDArray[np.float64], zero: NDArray[np.float64]) -> NDArray[np.float64]:
        residual = self._residual(wide, zero)[1]
        return block_reduce(np.abs(residual) ** self.p, self._grid.encoding.block_shape, np.add)

    def _step(
        self, wide: NDArray[np.float64], zero: NDArray[np.float64], beta: float
    ) -> NDArray[np.float64]:
        """Return the mean of what the zero point would have to be, outliers forgiven."""
        codes, residual = self._residual(wide, zero)
        wanted = codes - (wide - shrink(residual, beta, self.p))
        blocks = self._grid.encoding.block_shape
        count = block_reduce(np.ones_like(wanted), blocks, np.add)
        return block_reduce(wanted, blocks, np.add) / count

    def _encode(self, W: NDArray[Any]) -> Encoding:
        e = self._grid.encoding
        wide = self._same_shape(W).astype(np.float64) / self._grid.scale
        codes, _ = self._residual(wide, self._as_decoded(self.zero_point_))
        assert isinstance(e.elements, DenseEncoding)
        form = formats.get(e.elements.format)
        whole = saturate(codes, self._grid.low, self._grid.high, form.dtype)
        return ScaledEncoding(DenseEncoding(whole, form.name), e.scale, e.block_shape, self._zero)

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """Half a step, or the distance beyond the codes; and the roundings of both sides.

        The quotient is off by ``2^-52 (|x| + s |z|)`` in float64 at most; the decoder rounds the
        difference ``q - z`` and its product with s, each by its unit roundoff v, or to the least
        subnormal.
        """
        grid = self._grid
        z = expand(self._as_decoded(self.zero_point_), W.shape, grid.encoding.block_shape)
        info = np.finfo(encoding.dtype)
        x, y = W.astype(np.float64), np.abs(encoding.decode().astype(np.float64))
        over = np.maximum(x - grid.scale * (grid.high - z), grid.scale * (grid.low - z) - x)
        granular = np.where(over > 0, over, grid.scale / 2)
        quotient = 2.0**-50 * (np.abs(x) + grid.scale * (np.abs(z) + abs(grid.high)))
        decode = float(info.eps) * (1 + 2.0**-20) * y + float(info.smallest_subnormal)
        return np.asarray((granular + quotient + decode) * SLACK)
