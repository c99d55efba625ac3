"""The photographs are there, and nobody can change them."""

import numpy as np
import pytest

from refq.core.errors import RangeError
from refq.zoo import IMAGES, load_image


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
