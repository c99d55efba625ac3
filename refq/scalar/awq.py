"""AWQ: scale up the input channels that carry large activations, before rounding.

Problem
-------
Some columns of W meet much larger inputs than others; their rounding errors count more. Multiplying
a column by s before rounding and dividing after makes its error smaller, at the price of a coarser
step for the block it shares.

Equation
--------
``W' = Q(W diag(s)) diag(1/s)`` with ``s = m^alpha / sqrt(max m^alpha min m^alpha)``, m the mean
magnitude of each input channel, and alpha searched on a grid for the least ``|X (W - W')^T|^2``
([1]_, equations 4 and 5).

Conventions
-----------
``1/s`` is what is stored, and W is divided by the stored one. An input channel of a convolution
is one channel of the image, all kernel positions. Magnitudes below 2^-20 of the largest count as
that, so that ``1/s`` lies within [2^-10, 2^10]. The paper also searches clipping; pass a
`quantizer` whose range method does.

References
----------
.. [1] J. Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and
   Acceleration", MLSys 2024, arXiv:2306.00978.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RefqError
from ..core.granularity import PerAxis, PerGroup
from ..encodings import Cast, Encoding, Method, ScaledEncoding, check_inputs, stored_scale
from ..encodings.legal import Legal, Of, Whole
from .adaround import rounding_objective
from .affine import SLACK, AffineQuantizer

__all__ = ["AWQ", "channel_scale"]

LEAST = 2.0**-20  #: of the largest magnitude: what smaller ones count as


def channel_scale(magnitude: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return what each input channel is multiplied by.

    Parameters
    ----------
    magnitude : ndarray of float64, shape (channels,)
        Mean magnitudes of the inputs, not negative.
    alpha : float
        0 leaves all channels alone, 1 evens the inputs out.

    Returns
    -------
    ndarray of float64, shape (channels,)
        ``m^alpha`` over the geometric mean of its extremes; ones if all inputs are zero.

    References
    ----------
    J. Lin et al., arXiv:2306.00978, equation 5.

    Examples
    --------
    >>> channel_scale(np.array([1.0, 16.0]), 0.5)
    array([0.5, 2. ])
    """
    largest = float(magnitude.max(initial=0.0))
    if largest == 0:
        return np.ones_like(magnitude)
    scale: NDArray[np.float64] = np.maximum(magnitude / largest, LEAST) ** alpha
    return scale / np.sqrt(scale.max() * scale.min())


class AWQ(Method):
    """Activation-aware scaling of input channels around any quantizer.

    Parameters
    ----------
    quantizer : Method
        Codes the scaled weight. Cloned, not fitted itself.
    n_grid : int
        alpha is tried at ``0, 1/n_grid, ..., (n_grid - 1)/n_grid``.
    scale_method : Cast
        How the inverse scales are stored; cloned, not fitted itself.

    Attributes
    ----------
    alpha_ : float
        The best one, the smallest on a tie; 0 leaves the weight as it is.
    inverse_ : ndarray of float
        The stored ``1/s``, of shape (1, channels, 1, ...).
    errors_ : ndarray of float64, shape (n_grid,)
        The squared error of the outputs at each alpha; infinity where the quantizer refused.

    Notes
    -----
    Needs ``inputs``, (n, in_features). On these it is never worse than `quantizer` alone, which is
    alpha = 0. Costs one number a channel more. Error bound: the quantizer's own for the scaled
    weight, divided by s. The division and the product are all that happens to the weight besides:
    with a quantizer that keeps everything, ``|w - w'| <= 2 u |w|`` to first order, u the unit
    roundoff. Cost: n k^2 once, then rows k^2 for each of the grid's points. Tier T2.

    References
    ----------
    J. Lin et al., arXiv:2306.00978.

    Examples
    --------
    >>> X = np.array([[8.0, 0.1], [-8.0, 0.1]])
    >>> W = np.array([[0.4, 1.0]])
    >>> grid = AffineQuantizer(bits=2, scheme="symmetric")  # levels -1, 0, 1
    >>> grid.fit_encode(W).decode().round(2)
    array([[0., 1.]], dtype=float32)
    >>> method = AWQ(grid).fit(W, inputs=X)
    >>> method.alpha_, method.encode(W).decode().round(2)
    (0.25, array([[0.4, 1.2]], dtype=float32))
    """

    memoryless: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "quantizer": Of(Method),
        "n_grid": Whole(1, 10_000),
        "scale_method": Of(Cast),
    }

    def __init__(
        self,
        quantizer: Method = AffineQuantizer(bits=4, granularity=PerGroup(128)),  # noqa: B008 (cloned)
        n_grid: int = 20,
        scale_method: Method = Cast("float16"),  # noqa: B008 (cloned)
    ) -> None:
        self.quantizer = quantizer
        self.n_grid = n_grid
        self.scale_method = scale_method

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        rows = AffineQuantizer(bits=3, granularity=PerAxis(0), scheme="symmetric")
        return [cls(AffineQuantizer(bits=4, granularity=PerGroup(8)), n_grid=10), cls(rows, 5)]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Try every alpha, and keep the quantizer and the scales of the best."""
        matrix, seen = check_inputs(W, inputs)
        x = seen.astype(np.float64)
        gram = x.T @ x / len(x)
        magnitude = np.abs(x).mean(axis=0).reshape(W.shape[1], -1).mean(axis=1)
        w = matrix.astype(np.float64)
        errors = np.full(self.n_grid, np.inf)
        for i in range(self.n_grid):
            inverse = 1 / channel_scale(magnitude, i / self.n_grid)
            try:
                tried = self._fitted(W, inverse)
            except RefqError:
                if i == 0:
                    raise
                continue  # a scale that the quantizer cannot store is no candidate
            decoded = _scaled(tried, W).decode().reshape(w.shape)
            errors[i] = rounding_objective(w - decoded, gram).sum()
            if i == 0 or errors[i] < errors[:i].min():
                self.alpha_, self._chosen = i / self.n_grid, tried
        self.errors_, self.inverse_ = errors, self._chosen[1].decode()

    def _fitted(self, W: NDArray[Any], inverse: NDArray[np.float64]) -> tuple[Method, Encoding]:
        """Return the quantizer, fitted to ``W s``, and the stored ``1/s``."""
        shape = (1, len(inverse)) + (1,) * (W.ndim - 2)
        encoding, _ = stored_scale(inverse.reshape(shape), self.scale_method)
        return self.quantizer.clone().fit(_divided(W, encoding)), encoding

    def _encode(self, W: NDArray[Any]) -> Encoding:
        return _scaled(self._chosen, self._same_shape(W))

    def error_bound(self, W: NDArray[Any], encoding: Encoding) -> NDArray[Any] | None:
        """Return the quantizer's bound for ``W s``, over s, and the roundings of both."""
        if not isinstance(encoding, ScaledEncoding):
            return None
        divided = _divided(W, encoding.scale)
        bound = self._chosen[0].error_bound(divided, encoding.elements)
        if bound is None:
            return None
        r = encoding.scale.decode().astype(np.float64)
        v = float(np.finfo(encoding.dtype).eps) / 2
        u = float(np.finfo(divided.dtype).eps) / 2
        y = np.abs(encoding.decode().astype(np.float64))
        tiny = float(np.finfo(np.float32).smallest_subnormal)
        inside = r * (bound + u * np.abs(divided.astype(np.float64)) * (1 + 2 * u) + tiny)
        return np.asarray((inside + v * y * (1 + 2 * v) + tiny) * SLACK)


def _divided(W: NDArray[Any], inverse: Encoding) -> NDArray[Any]:
    """Return ``W / r`` in the wider dtype; what overflows is refused by the quantizer."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(W / inverse.decode())


def _scaled(chosen: tuple[Method, Encoding], W: NDArray[Any]) -> ScaledEncoding:
    """Return the node that multiplies the columns back."""
    quantizer, inverse = chosen
    inner = quantizer.encode(_divided(W, inverse))
    return ScaledEncoding(inner, inverse, (W.shape[0], 1, *W.shape[2:]))
