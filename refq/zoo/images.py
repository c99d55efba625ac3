"""Photographs, for colour tables and codebooks of patches.

Conventions
-----------
An image is uint8, shape (height, width, 3), red, green, blue. The files come with scikit-learn.
Patches keep their place in a grid, so that they can be split by position: neighbours look alike.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.checks import check_choice, check_integer
from ..core.errors import ShapeError

__all__ = ["IMAGES", "cut_patches", "load_image"]

IMAGES = ("china", "flower")  #: the names


def load_image(name: str) -> NDArray[Any]:
    """Return one of scikit-learn's two photographs.

    Parameters
    ----------
    name : {"china", "flower"}
        A temple roof, or a dahlia.

    Returns
    -------
    ndarray of uint8, shape (427, 640, 3)
        Read-only.

    Raises
    ------
    RangeError
        If there is no such image.

    Notes
    -----
    JPEG decoders may differ by a unit: the same bytes for one version of Pillow. Tier T2.

    Examples
    --------
    >>> load_image("china").shape
    (427, 640, 3)
    """
    check_choice(name, "name", IMAGES)
    from sklearn.datasets import load_sample_image

    image = np.asarray(load_sample_image(f"{name}.jpg"), np.uint8)
    image.flags.writeable = False
    return image


def cut_patches(image: ArrayLike, height: int, width: int) -> NDArray[Any]:
    """Cut an image into patches that do not overlap.

    Parameters
    ----------
    image : array_like, shape (rows, columns, ...)
        Grey, or with colours last.
    height : int
        Rows of a patch, at most the image's.
    width : int
        Columns of a patch, at most the image's.

    Returns
    -------
    ndarray, shape (rows // height, columns // width, height, width, ...)
        A copy: ``patches[i, j]`` has its first pixel at ``(i * height, j * width)``. What remains
        at the lower and right edge is left out; nothing is padded.

    Raises
    ------
    ShapeError
        If the image has fewer than two axes, or is smaller than a patch.
    RangeError
        If `height` or `width` is below 1.

    Notes
    -----
    O(pixels) time and memory. Tier T0: values are copied.

    Examples
    --------
    >>> patches = cut_patches(np.arange(24).reshape(4, 6), 2, 3)
    >>> patches.shape, patches[1, 0].tolist()
    ((2, 2, 2, 3), [[12, 13, 14], [18, 19, 20]])
    """
    x = np.asarray(image)
    check_integer(height, "height", 1)
    check_integer(width, "width", 1)
    if x.ndim < 2 or x.shape[0] < height or x.shape[1] < width:
        raise ShapeError(
            f"image has shape {x.shape}; it needs two axes of at least ({height}, {width}): choose "
            "smaller patches"
        )
    n, m = x.shape[0] // height, x.shape[1] // width
    whole = x[: n * height, : m * width]
    return whole.reshape(n, height, m, width, *x.shape[2:]).swapaxes(1, 2).copy()
