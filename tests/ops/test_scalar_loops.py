import numpy as np
import pytest

from refq.ops.scalar_loops import in_scalar_loop

ONES = {n: np.ones(n, np.float32) for n in ((), 3, (2, 3))}


@pytest.mark.parametrize(
    ("shape", "scale", "bits", "axis", "block_size", "expected"),
    [
        ((3,), np.float16(1), 8, 0, None, [True] * 3),
        ((3,), ONES[()], 2, 0, None, [True] * 3),
        ((3,), ONES[()], 8, 0, None, [False] * 3),
        ((3,), ONES[()], 4, 0, None, [False, False, True]),  # alone in its byte
        ((3, 2), ONES[3], 4, 0, None, [False] * 6),
        ((3, 2), ONES[3], 4, 5 - 6, None, [True] * 6),
        ((2, 6), ONES[2, 3], 4, 1, 2, [False] * 12),
        (
            (2, 6),
            np.ones((2, 2), np.float32),
            4,
            1,
            3,
            [False, False, True, True, False, False] * 2,
        ),
        ((4, 3), ONES[2, 3], 8, 0, 2, [True] * 12),  # blocks with something after their axis
        ((2, 3, 1), ONES[2, 3][..., None], 8, 1, 1, [False] * 6),
    ],
)
def test_which_elements(shape, scale, bits, axis, block_size, expected):
    found = in_scalar_loop(shape, np.asarray(scale), bits, axis, block_size)
    assert found.shape == shape
    assert found.ravel().tolist() == expected
