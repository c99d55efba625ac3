"""The photographs are there, and nobody can change them."""

import numpy as np
import pytest

from refq.core.errors import RangeError, ShapeError
from refq.zoo import IMAGES, cut_patches, load_image


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_bytes_of_three_colours(name):
    image = load_image(name)
    assert image.shape == (427, 640, 3)
    assert image.dtype == np.uint8
    assert np.ptp(image, axis=(0, 1)).min() > 100, "every colour has dark and light places"
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 0


def test_an_unknown_name_is_refused():
    with pytest.raises(RangeError, match="china"):
        load_image("lena")


@pytest.mark.parametrize("shape", [(4, 6), (5, 8), (7, 7, 3), (2, 3, 2, 2)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (2, 2)])
def test_each_patch_is_the_slice_at_its_place(shape, height, width):
    image = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    before = image.copy()
    patches = cut_patches(image, height, width)
    n, m = shape[0] // height, shape[1] // width
    assert patches.shape == (n, m, height, width, *shape[2:])
    assert patches.dtype == image.dtype
    for i in range(n):
        for j in range(m):
            top, left = i * height, j * width
            want = image[top : top + height, left : left + width]
            assert patches[i, j].tolist() == want.tolist()
    patches[:] = -1
    assert image.tolist() == before.tolist(), "a copy"


def test_the_photograph_gives_whole_patches_only():
    patches = cut_patches(load_image("china"), 8, 8)
    assert patches.shape == (53, 80, 8, 8, 3)  # 427 = 53 * 8 + 3
    patches[0, 0] = 0  # writable, unlike the photograph


def test_patches_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(4, 6\).*smaller patches"):
        cut_patches(np.zeros((4, 6)), 5, 1)
    with pytest.raises(ShapeError, match="smaller patches"):
        cut_patches(np.zeros((4, 6)), 4, 7)
    with pytest.raises(ShapeError, match="two axes"):
        cut_patches(np.zeros(4), 1, 1)
    with pytest.raises(RangeError, match="height"):
        cut_patches(np.zeros((4, 6)), 0, 1)
    with pytest.raises(RangeError, match="width"):
        cut_patches(np.zeros((4, 6)), 1, 0)
