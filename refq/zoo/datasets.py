"""Data sets: what the zoo's models were trained on, split once and for all.

Problem
-------
A compression result means something only if the test images were seen by nobody: neither by the
training nor by the calibration that chose the scales.

Conventions
-----------
``X`` is float32 in [0, 1], shape (n, channels, height, width); ``y`` is int64, shape (n,).
`calibration` is a fixed part *of* `train`: calibrating needs no labels and no unseen images. What
`test` promises is that none of its images is in `train`, and so none in `calibration`. Arrays are
read-only.
Splits are drawn by sorting the raw 64-bit output of PCG64, whose stream NumPy does not change;
``Generator.permutation`` may change between versions.

References
----------
.. [1] E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
   Repository, 1998. scikit-learn ships its test part.
.. [2] H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
   Machine Learning Algorithms", arXiv:1708.07747.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RangeError, ShapeError
from .fashion_files import FASHION_FILES, find_fashion
from .idx import decode_idx

__all__ = ["SPLIT_SEED", "Dataset", "Split", "load_digits", "load_fashion", "stratified_split"]

SPLIT_SEED = 1998  #: seeds every split of the zoo: the year of the digits

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes.

    Parameters
    ----------
    X : ndarray of float32, shape (n, channels, height, width)
        In [0, 1].
    y : ndarray of int64, shape (n,)
        Classes from 0.

    Examples
    --------
    >>> len(Split(np.zeros((2, 1, 8, 8), np.float32), np.zeros(2, np.int64)))
    2
    """

    X: NDArray[Any] = field(repr=False)
    y: NDArray[Any] = field(repr=False)

    def __post_init__(self) -> None:
        if self.X.ndim != 4 or self.y.shape != self.X.shape[:1]:
            raise ShapeError(
                f"X has shape {self.X.shape}, y {self.y.shape}; a split needs images "
                "(n, channels, height, width) and n classes"
            )
        for name in ("X", "y"):
            view = getattr(self, name)[...]
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its fixed splits.

    Parameters
    ----------
    name : str
        How refq calls it.
    train : Split
        What models are trained on.
    calibration : Split
        A fixed part of `train`, for choosing the scales of activations.
    test : Split
        What neither training nor calibration saw.
    class_names : tuple of str
        One for each class.
    description : str
        Where it comes from and how it was split.

    Examples
    --------
    >>> [len(s) for s in (load_digits().train, load_digits().calibration, load_digits().test)]
    [1200, 256, 597]
    """

    name: str
    train: Split
    calibration: Split
    test: Split
    class_names: tuple[str, ...]
    description: str


def _quotas(counts: Indices, n: int) -> Indices:
    """Share `n` among classes in proportion to `counts`: largest remainders, lowest class first."""
    shares = n * counts // counts.sum()
    remainders = n * counts - shares * counts.sum()
    first = np.argsort(-remainders, kind="stable")[: n - shares.sum()]
    shares[first] += 1
    return shares


def stratified_split(y: NDArray[Any], n: int, seed: int = SPLIT_SEED) -> tuple[Indices, Indices]:
    """Draw `n` of the indices of `y`, every class in proportion.

    Parameters
    ----------
    y : ndarray of int, shape (n_all,)
        Classes from 0.
    n : int
        How many to draw; in [0, n_all].
    seed : int
        Of PCG64.

    Returns
    -------
    drawn : ndarray of int64, shape (n,)
        Rising.
    rest : ndarray of int64, shape (n_all - n,)
        All others, rising.

    Raises
    ------
    RangeError
        If there are fewer than `n`.

    Notes
    -----
    A class gets ``n * count / n_all`` members, rounded down or up (largest remainders). Tier T1, on
    every version of NumPy.

    Examples
    --------
    >>> drawn, rest = stratified_split(np.array([0, 0, 0, 0, 1, 1]), 3)
    >>> len(drawn), np.array([0, 0, 0, 0, 1, 1])[drawn]
    (3, array([0, 0, 1]))
    """
    if not 0 <= n <= len(y):
        raise RangeError(f"n = {n} must be in [0, {len(y)}]")
    keys = np.random.PCG64(seed).random_raw(len(y))
    drawn = np.zeros(len(y), bool)
    if n:
        for label, quota in enumerate(_quotas(np.bincount(y), n)):
            members = np.flatnonzero(y == label)
            drawn[members[np.argsort(keys[members], kind="stable")[:quota]]] = True
    return np.flatnonzero(drawn), np.flatnonzero(~drawn)


def _dataset(
    name: str, train: Split, test: Split, n_calibration: int, names: tuple[str, ...], text: str
) -> Dataset:
    some, _ = stratified_split(train.y, n_calibration, SPLIT_SEED + 1)
    return Dataset(name, train, Split(train.X[some], train.y[some]), test, names, text)


def load_digits() -> Dataset:
    """Return the handwritten digits of scikit-learn: 1,797 images of 8 by 8 pixels.

    Returns
    -------
    Dataset
        1,200 images for training, 256 of them for calibration, 597 for testing; ``X = pixel / 16``
        is exact in float32.

    Notes
    -----
    Test: `stratified_split` of 597 with `SPLIT_SEED`; calibration: 256 of the rest with
    ``SPLIT_SEED + 1``. Tier T1.

    References
    ----------
    [1]_.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.test.X.shape, digits.test.X.dtype, digits.test.y.dtype
    ((597, 1, 8, 8), dtype('float32'), dtype('int64'))
    """
    from sklearn import datasets

    pixels, labels = datasets.load_digits(return_X_y=True)
    X = pixels.astype(np.float32).reshape(-1, 1, 8, 8) / np.float32(16)
    y = labels.astype(np.int64)
    test, train = stratified_split(y, 597)
    return _dataset(
        "digits",
        Split(X[train], y[train]),
        Split(X[test], y[test]),
        256,
        tuple("0123456789"),
        "Handwritten digits, 8x8 pixels with 17 grey levels (Alpaydin and Kaynak, 1998), as in "
        "scikit-learn; split by class into 1,200 for training and 597 for testing.",
    )


def _fashion_split(images: bytes, labels: bytes) -> Split:
    X = decode_idx(images, len(images), "images")
    y = decode_idx(labels, len(labels), "labels")
    return Split(X.astype(np.float32)[:, None] / np.float32(255), y.astype(np.int64))


def load_fashion() -> Dataset:
    """Return Fashion-MNIST: 70,000 images of clothes, 28 by 28 pixels.

    Returns
    -------
    Dataset
        60,000 images for training, 1,000 of them for calibration, the published 10,000 for testing;
        ``X = pixel / 255``.

    Raises
    ------
    RangeError
        If the files are nowhere; the message says how to get them.
    FormatError
        If a file is not the published one.

    Notes
    -----
    Takes 220 MB. Calibration: `stratified_split` with ``SPLIT_SEED + 1``. Tier T1.

    References
    ----------
    [2]_.

    Examples
    --------
    >>> load_fashion().test.X.shape  # doctest: +SKIP
    (10000, 1, 28, 28)
    """
    paths = find_fashion()
    data = {key: known.read(paths[key]) for key, known in FASHION_FILES.items()}
    return _dataset(
        "fashion",
        _fashion_split(data["train_images"], data["train_labels"]),
        _fashion_split(data["test_images"], data["test_labels"]),
        1000,
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        "Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): clothes, 28x28 pixels with 256 grey levels; "
        "the published split into 60,000 for training and 10,000 for testing.",
    )
