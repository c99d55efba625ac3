"""GPTQ: round column after column, and let the columns still free make up for each error.

Problem
-------
Rounding to nearest minimizes ``|W - Q|``, weight by weight. A layer should keep its *outputs*:
minimize ``|X (W - Q)^T|^2`` over the codes of Q, for inputs X that the layer saw.

Equation
--------
Column j goes to its nearest codes; then the free columns move by the least squares update
``w_k -= (w_j - q_j) / U_jj * U_jk``, with ``H^-1 = U^T U`` and ``H = X^T X`` damped. See
`refq.numerics.second_order`.

Conventions
-----------
Scale and zero point are those that `quantizer` finds for W itself, before anything moves. W is used
as a matrix of its first axis by all others. ``order="activation"`` takes the columns by descending
diagonal of H: what matters most is rounded first, while most columns are free to help.

Without clipping, GPTQ is Babai's nearest plane algorithm [2]_ on the lattice of X, with the columns
in reversed order: a test executes that. It is greedy: neither it nor rounding to nearest is always
better, see the counter-example on the method's page.

References
----------
.. [1] E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ: Accurate Post-Training Quantization
   for Generative Pre-trained Transformers", 2022, arXiv:2210.17323.
.. [2] J. Chen, Y. Shabanzadeh, E. Crnčević, T. Hoefler, D. Alistarh, "The Geometry of LLM
   Quantization: GPTQ as Babai's Nearest Plane Algorithm", 2025, arXiv:2507.18553.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError
from ..core.granularity import PerAxis, PerGroup
from ..encodings import Encoding, Method, check_inputs
from ..encodings.legal import Choice, Legal, Of, Real
from ..numerics import damped_hessian, feedback_factor, round_with_feedback
from .affine import AffineQuantizer
from .integer_grid import IntegerGrid

__all__ = ["GPTQ"]


class GPTQ(Method):
    """Column-wise rounding with second-order error feedback.

    Parameters
    ----------
    quantizer : Method
        Finds scales and zero points, and fixes the codes: lands on integers times scales. Cloned,
        not fitted itself.
    damping : float
        Times the mean of H's diagonal, added to it; in [1e-12, 1].
    order : {"given", "activation"}
        The columns as they stand, or by descending diagonal of H, the lower index first on a tie.

    Attributes
    ----------
    order_ : ndarray of int64, shape (in_features,)
        The columns in the order of rounding.

    Raises
    ------
    RangeError
        If the damped H is not positive definite to working precision: raise `damping`.

    Notes
    -----
    Needs ``inputs``, (n, in_features). Error bound: none elementwise, as weights move before they
    are rounded; each code is the nearest to the moved weight. Cost: n k^2 + k^3 + rows k^2 for k =
    in_features. Codes are tier T2: the feedback passes through BLAS.

    References
    ----------
    E. Frantar et al., arXiv:2210.17323, algorithm 1.

    Examples
    --------
    >>> X = np.array([[1, 1], [1, 0], [0, 1]])  # X^T X = [[2, 1], [1, 2]]
    >>> W = np.array([[0.4, 0.4], [1.0, 0.0]])
    >>> grid = AffineQuantizer(bits=2, scheme="symmetric")  # levels -1, 0, 1
    >>> nearest, fed_back = grid.fit_encode(W), GPTQ(grid, damping=1e-6).fit_encode(W, inputs=X)
    >>> nearest.decode()[0], fed_back.decode()[0]  # half of the error 0.4 went to the right: 0.6
    (array([0., 0.], dtype=float32), array([0., 1.], dtype=float32))
    """

    memoryless: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    noun: ClassVar[str] = "ScaledEncoding"
    parameters: ClassVar[dict[str, Legal]] = {
        "quantizer": Of(Method),
        "damping": Real(1e-12, 1.0),
        "order": Choice("given", "activation"),
    }

    def __init__(
        self,
        quantizer: Method = AffineQuantizer(bits=4, granularity=PerGroup(128)),  # noqa: B008 (cloned)
        damping: float = 0.01,
        order: str = "given",
    ) -> None:
        self.quantizer = quantizer
        self.damping = damping
        self.order = order

    @classmethod
    def examples(cls) -> list[Method]:
        """See `Method.examples`."""
        rows = AffineQuantizer(bits=3, granularity=PerAxis(0), scheme="symmetric")
        return [
            cls(AffineQuantizer(bits=4, granularity=PerGroup(5))),
            cls(rows, damping=0.1, order="activation"),
        ]

    def _learn(
        self,
        W: NDArray[Any],
        y: NDArray[Any] | None,
        inputs: NDArray[Any] | None,
        gradients: NDArray[Any] | None,
    ) -> None:
        """Take the quantizer's grid for W, and factor the inputs' Hessian in its order."""
        matrix, seen = check_inputs(W, inputs)
        self._grid = IntegerGrid.of(self.quantizer, W)
        hessian = damped_hessian(seen, self.damping)
        keys = -np.diag(hessian) if self.order == "activation" else np.zeros(matrix.shape[1])
        self.order_ = np.argsort(keys, kind="stable")
        try:
            self._factor = feedback_factor(hessian[np.ix_(self.order_, self.order_)])
        except np.linalg.LinAlgError as error:
            raise RangeError(
                f"damping = {self.damping}: X^T X with it is not positive definite to working "
                "precision; raise it"
            ) from error

    def _encode(self, W: NDArray[Any]) -> Encoding:
        matrix = self._same_shape(W).reshape(len(W), -1)
        codes = np.zeros(matrix.shape)

        def nearest(column: NDArray[np.float64], j: int) -> NDArray[np.float64]:
            place = int(self.order_[j])
            part = self._grid.column(place)
            codes[:, place] = part.nearest(column)
            return part.levels(codes[:, place])

        round_with_feedback(matrix[:, self.order_], self._factor, nearest)
        return self._grid.encode(codes)
