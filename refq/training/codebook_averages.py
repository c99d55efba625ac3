"""Codewords as moving averages of the latents that chose them, and what becomes of unused ones.

Problem
-------
The codebook loss asks each codeword to be the mean of its latents. While the encoder learns, those
move; and a codeword that no latent chooses gets no gradient at all.

Equation
--------
For a codeword that n latents of the batch chose, whose sum is s [1]_ (appendix A.1):
``N <- decay N + (1 - decay) n``, ``m <- decay m + (1 - decay) s``, ``e <- m / N``.

Conventions
-----------
*Order.* The codes are those of the codewords *before* the update, which are also those that the
decoder saw in this step. N starts at 1 and m at the codeword itself.

*Dead codes.* After the update a codeword with N below a threshold is set to a latent of the batch,
drawn evenly, and its N to 1, as in the random restarts of [2]_.

References
----------
.. [1] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning",
   arXiv:1711.00937.
.. [2] P. Dhariwal, H. Jun, C. Payne, J. W. Kim, A. Radford, I. Sutskever, "Jukebox: A Generative
   Model for Music", arXiv:2005.00341.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_float_array, check_integer_array, check_random_state, check_real
from ..core.errors import RangeError, ShapeError

__all__ = ["CodebookAverages"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CodebookAverages:
    """How often each codeword was chosen of late, and the sum of what chose it.

    Parameters
    ----------
    counts : ndarray of float64, shape (K,)
        N, positive.
    sums : ndarray of float64, shape (K, d)
        m.

    Examples
    --------
    >>> averages = CodebookAverages.start([[0.0], [4.0]])
    >>> averages = averages.updated([[1.0], [2.0]], [0, 0], decay=0.5)
    >>> averages.counts, averages.codebook.ravel()
    (array([1.5, 0.5]), array([1., 4.]))
    """

    counts: Floats
    sums: Floats

    @classmethod
    def start(cls, codebook: ArrayLike) -> "CodebookAverages":
        """Return the averages of codewords that nothing has chosen yet.

        Parameters
        ----------
        codebook : array_like, shape (K, d)
            Codewords.

        Returns
        -------
        CodebookAverages
            Each counts as chosen once, by itself.
        """
        book = check_float_array(codebook, "codebook").astype(np.float64)
        return cls(np.ones(len(book)), book)

    @property
    def codebook(self) -> Floats:
        """The codewords: sums over counts."""
        return self.sums / self.counts[:, None]

    def updated(self, latents: ArrayLike, codes: ArrayLike, decay: float) -> "CodebookAverages":
        """Return the averages after one batch.

        Parameters
        ----------
        latents : array_like, shape (n, d)
            z, of the batch.
        codes : array_like of int, shape (n,)
            Their codewords, as they were before.
        decay : float
            In [0, 1): how much of the past stays; 0.99 in [1]_.

        Returns
        -------
        CodebookAverages
            A new one. A codeword that nothing chose stays where it is.

        Raises
        ------
        ShapeError
            If latents and codes do not fit.
        RangeError
            If a code has no codeword.

        References
        ----------
        arXiv:1711.00937, equations 6 to 8.
        """
        z = check_float_array(latents, "latents").astype(np.float64)
        where = check_integer_array(codes, "codes")
        stays = check_real(decay, "decay", 0, 1, open_high=True)
        K, d = self.sums.shape
        if z.ndim != 2 or z.shape[1] != d or where.shape != z.shape[:1]:
            raise ShapeError(f"latents {z.shape} and codes {where.shape} do not fit {K} x {d}")
        if where.size and not 0 <= int(where.min()) <= int(where.max()) < K:
            raise RangeError(f"codes lie in {where.min()}..{where.max()}; allowed 0..{K - 1}")
        chosen = np.bincount(where, minlength=K)
        added = np.stack([np.bincount(where, z[:, j], minlength=K) for j in range(d)], axis=1)
        # what nothing chose keeps its quotient exactly: both would only shrink together
        counts = stays * self.counts + (1 - stays) * chosen
        kept = self.codebook * counts[:, None]
        sums = np.where(chosen[:, None] > 0, stays * self.sums + (1 - stays) * added, kept)
        floor = 2.0**-200  # a count may not underflow: the quotient would be lost
        low = counts < floor
        sums[low], counts[low] = self.codebook[low] * floor, floor
        return CodebookAverages(counts, sums)

    def restarted(
        self, latents: ArrayLike, threshold: float, random_state: Any = None
    ) -> "CodebookAverages":
        """Return the averages with dead codewords set to drawn latents.

        Parameters
        ----------
        latents : array_like, shape (n, d)
            z, of the batch; at least one.
        threshold : float
            A codeword with a count below it is dead; 0 keeps all.
        random_state : int, SeedSequence, Generator or None
            For the draw, with replacement; nothing is drawn where no codeword is dead.

        Returns
        -------
        CodebookAverages
            A new one, or this one where no codeword is dead.

        References
        ----------
        arXiv:2005.00341, on codebook collapse.

        Examples
        --------
        >>> averages = CodebookAverages(np.array([1.0, 0.1]), np.array([[3.0], [4.0]]))
        >>> averages.restarted([[7.0]], 0.5, 0).codebook.ravel()
        array([3., 7.])
        """
        z = check_float_array(latents, "latents").astype(np.float64)
        dead = np.flatnonzero(self.counts < check_real(threshold, "threshold", 0))
        if not dead.size:
            return self
        rng = check_random_state(random_state)
        counts, sums = self.counts.copy(), self.sums.copy()
        counts[dead], sums[dead] = 1.0, z[rng.integers(len(z), size=len(dead))]
        return CodebookAverages(counts, sums)
