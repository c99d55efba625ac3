"""Photographs, for colour tables and codebooks of patches.

Conventions
-----------
An image is uint8, shape (height, width, 3), red, green, blue. The files come with scikit-learn.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_choice

__all__ = ["IMAGES", "load_image"]

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
