"""Shifts: every pixel is where the drawn move puts it."""

import numpy as np
import pytest

from refq.core.errors import RangeError, ShapeError
from refq.training import shift_images


def moved(image, down, right):
    """Move one image, pixel by pixel."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                out[:, i, j] = image[:, i - down, j - right]
    return out


@pytest.mark.parametrize("shape", [(6, 2, 4, 5), (3, 1, 1, 1), (0, 1, 3, 3), (5, 1, 2, 2)])
@pytest.mark.parametrize("max_shift", [0, 1, 3])
def test_each_image_is_one_of_the_possible_moves(shape, max_shift):
    rng = np.random.default_rng(0)
    X = rng.random(shape, np.float32) + 1
    before = X.copy()
    got = shift_images(max_shift)(X, np.random.default_rng(1))
    assert (got.dtype, got.shape) == (X.dtype, X.shape)
    np.testing.assert_array_equal(X, before)
    reach = range(-max_shift, max_shift + 1)
    for image, result in zip(X, got, strict=True):
        assert any(
            np.array_equal(moved(image, down, right), result) for down in reach for right in reach
        )


def test_all_moves_occur_each_for_itself():
    X = np.zeros((500, 1, 5, 5), np.float32)
    X[:, 0, 2, 2] = 1
    got = shift_images(2)(X, np.random.default_rng(0))
    places = {tuple(p) for p in np.argwhere(got)[:, 2:]}
    assert places == {(i, j) for i in range(5) for j in range(5)}


def test_same_seed_same_shifts():
    X = np.random.default_rng(0).random((20, 1, 8, 8))
    first, second = (shift_images(2)(X, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_arguments_are_checked():
    with pytest.raises(RangeError, match="max_shift"):
        shift_images(-1)
    with pytest.raises(ShapeError, match=r"X has shape \(2, 8\)"):
        shift_images(1)(np.zeros((2, 8)), np.random.default_rng(0))
