"""Learning vector quantization: codewords with classes, moved by labelled examples.

Problem
-------
K-means places codewords where the data are. A nearest-codeword *classifier* needs them where the
classes part. LVQ is supervised: it is k-means's neighbour in form only.

Equation
--------
Every rule moves codewords along the line to the example x, see `refq.vector.competitive`. With d_k
the squared distance of x to codeword k, and *own* the codewords of x's class:

- LVQ1 [1]_: the nearest codeword moves towards x if it is own, else away from it.
- LVQ2.1 [1]_: if of the two nearest just one is own, and x lies in the window
  ``min(sqrt(d_i / d_j), sqrt(d_j / d_i)) > (1 - w) / (1 + w)``, the own one moves towards x and the
  other away.
- LVQ3 [1]_: as LVQ2.1; if both of the two nearest are own, both move towards x by a fraction
  epsilon of the rate.
- GLVQ [2]_: gradient descent on ``sum f(mu)``, ``mu = (d_1 - d_2) / (d_1 + d_2)``, d_1 of the
  nearest own codeword, d_2 of the nearest other one, f the logistic function; so the own one moves
  by ``4 f'(mu) d_2 / (d_1 + d_2)^2`` of its way and the other by ``-4 f'(mu) d_1 / (d_1 + d_2)^2``.

Conventions
-----------
Distances are squared. GLVQ's shares have the unit of one over a squared distance; the others have
none.

References
----------
.. [1] T. Kohonen, "The Self-Organizing Map", Proceedings of the IEEE 78(9), 1990.
.. [2] A. Sato and K. Yamada, "Generalized Learning Vector Quantization", NIPS 8, 1995
   (proceedings 1996).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..numerics import check_points
from .initialization import squared_distance_to

__all__ = [
    "glvq_gradient",
    "glvq_loss",
    "glvq_shares",
    "lvq1_shares",
    "lvq3_shares",
    "lvq21_shares",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def lvq1_shares(distances: Floats, own: Bools) -> Floats:
    """Return LVQ1's shares: the nearest codeword approaches if its class is right, else it leaves.

    Parameters
    ----------
    distances : ndarray of float64, shape (K,)
        Squared, to the example.
    own : ndarray of bool, shape (K,)
        Which codewords are of the example's class.

    Returns
    -------
    ndarray of float64, shape (K,)
        1 or -1 at the nearest codeword, else 0.

    References
    ----------
    T. Kohonen, Proc. IEEE 78(9), 1990, the section on LVQ1.

    Examples
    --------
    >>> lvq1_shares(np.array([1.0, 4.0]), np.array([False, True]))
    array([-1.,  0.])
    """
    shares = np.zeros(len(distances))
    nearest = int(distances.argmin())
    shares[nearest] = 1.0 if own[nearest] else -1.0
    return shares


def lvq21_shares(distances: Floats, own: Bools, window: float) -> Floats:
    """Return LVQ2.1's shares: two codewords at the border of two classes part.

    Parameters
    ----------
    distances : ndarray of float64, shape (K,)
        Squared, to the example; at least two.
    own : ndarray of bool, shape (K,)
        Which codewords are of the example's class.
    window : float
        *w*, in (0, 1].

    Returns
    -------
    ndarray of float64, shape (K,)
        1 at the own one and -1 at the other of the two nearest; all 0 outside of the window.

    Notes
    -----
    Distances are squared, so the window's ratio is squared too; both distances zero is outside.

    References
    ----------
    T. Kohonen, Proc. IEEE 78(9), 1990, the section on LVQ2.

    Examples
    --------
    >>> lvq21_shares(np.array([1.0, 4.0]), np.array([False, True]), 0.5)
    array([-1.,  1.])
    >>> lvq21_shares(np.array([1.0, 9.0]), np.array([False, True]), 0.5)
    array([0., 0.])
    """
    shares = np.zeros(len(distances))
    i, j = distances.argsort(kind="stable")[:2]
    ratio = (1.0 - window) / (1.0 + window)
    if own[i] != own[j] and distances[i] > ratio * ratio * distances[j]:
        shares[[i, j]] = (1.0, -1.0) if own[i] else (-1.0, 1.0)
    return shares


def lvq3_shares(distances: Floats, own: Bools, window: float, epsilon: float) -> Floats:
    """Return LVQ3's shares: LVQ2.1, and two codewords of the right class both approach a little.

    Parameters
    ----------
    distances : ndarray of float64, shape (K,)
        Squared, to the example; at least two.
    own : ndarray of bool, shape (K,)
        Which codewords are of the example's class.
    window : float
        *w*, in (0, 1].
    epsilon : float
        In [0, 1].

    Returns
    -------
    ndarray of float64, shape (K,)
        As `lvq21_shares`, or epsilon at both of the two nearest.

    References
    ----------
    T. Kohonen, Proc. IEEE 78(9), 1990, the section on LVQ3.

    Examples
    --------
    >>> lvq3_shares(np.array([1.0, 9.0, 25.0]), np.array([True, True, False]), 0.2, 0.5)
    array([0.5, 0.5, 0. ])
    """
    nearest = distances.argsort(kind="stable")[:2]
    if not own[nearest].all():
        return lvq21_shares(distances, own, window)
    shares = np.zeros(len(distances))
    shares[nearest] = epsilon
    return shares


def glvq_shares(distances: Floats, own: Bools) -> Floats:
    """Return GLVQ's shares: minus half its gradient, per unit of the way to the example.

    Parameters
    ----------
    distances : ndarray of float64, shape (K,)
        Squared, to the example.
    own : ndarray of bool, shape (K,)
        Which codewords are of the example's class; some are, and some are not.

    Returns
    -------
    ndarray of float64, shape (K,)
        ``4 f'(mu) d_2 / (d_1 + d_2)^2`` at the nearest own codeword, ``-4 f'(mu) d_1 / ...`` at the
        nearest other one; all 0 where both distances are zero, since mu is not defined there.

    Notes
    -----
    The factor 4 is the exact gradient's: 2 from mu and 2 from the squared distance. Tier T2.

    References
    ----------
    A. Sato and K. Yamada, NIPS 8, 1995: the update rules, whose rate takes in the factor.

    Examples
    --------
    >>> glvq_shares(np.array([1.0, 1.0]), np.array([True, False]))
    array([ 0.25, -0.25])
    """
    shares = np.zeros(len(distances))
    i = int(np.where(own, distances, np.inf).argmin())
    j = int(np.where(own, np.inf, distances).argmin())
    total = float(distances[i] + distances[j])
    if total > 0:
        near, far = float(distances[i]) / total, float(distances[j]) / total
        f = 1.0 / (1.0 + np.exp(far - near))  # the logistic function of mu
        slope = 4.0 * f * (1.0 - f)
        shares[i], shares[j] = slope * far / total, -slope * near / total
    return shares


def _glvq_pairs(
    codebook: ArrayLike, labels: ArrayLike, X: ArrayLike, y: ArrayLike
) -> Iterator[tuple[Floats, Floats, Floats, Bools]]:
    book, points = check_points(codebook, "codebook"), check_points(X)
    names, wanted = np.asarray(labels), np.asarray(y)
    for x, label in zip(points, wanted, strict=True):
        yield book, x, squared_distance_to(book, x), names == label


def glvq_loss(codebook: ArrayLike, labels: ArrayLike, X: ArrayLike, y: ArrayLike) -> float:
    """Return what GLVQ descends: the sum of the logistic function of mu.

    Parameters
    ----------
    codebook : array_like, shape (K, d)
        Codewords.
    labels : array_like, shape (K,)
        Their classes.
    X : array_like, shape (n, d)
        Examples.
    y : array_like, shape (n,)
        Their classes, each of them among the codewords' and not the only one there.

    Returns
    -------
    float
        In (0, n): each term is 1/2 where both distances are equal, and less where x is classified
        right.

    References
    ----------
    A. Sato and K. Yamada, NIPS 8, 1995: the cost function S.

    Examples
    --------
    >>> glvq_loss([[0.0], [2.0]], [0, 1], [[1.0]], [0])
    0.5
    """
    total = 0.0
    for _, _, distances, own in _glvq_pairs(codebook, labels, X, y):
        d_1, d_2 = distances[own].min(), distances[~own].min()
        mu = (d_1 - d_2) / (d_1 + d_2) if d_1 + d_2 > 0 else 0.0
        total += float(1.0 / (1.0 + np.exp(-mu)))
    return total


def glvq_gradient(codebook: ArrayLike, labels: ArrayLike, X: ArrayLike, y: ArrayLike) -> Floats:
    """Return the gradient of `glvq_loss` by the codewords.

    Parameters
    ----------
    codebook : array_like, shape (K, d)
        Codewords.
    labels : array_like, shape (K,)
        Their classes.
    X : array_like, shape (n, d)
        Examples.
    y : array_like, shape (n,)
        Their classes.

    Returns
    -------
    ndarray of float64, shape (K, d)
        Minus the sum of the shares times the ways to the examples.

    Notes
    -----
    Defined where no two codewords of one kind are equally near. Tier T2.

    References
    ----------
    A. Sato and K. Yamada, NIPS 8, 1995.

    Examples
    --------
    >>> glvq_gradient([[0.0], [2.0]], [0, 1], [[1.0]], [0]).ravel()
    array([-0.25, -0.25])
    """
    total = np.zeros(np.shape(codebook))
    for book, x, distances, own in _glvq_pairs(codebook, labels, X, y):
        total -= glvq_shares(distances, own)[:, None] * (x - book)
    return total
