from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.elementwise_rule import Operand, Target
from refq.core.errors import RangeError
from refq.core.torch_elementwise import QnnpackElementwise, TorchElementwise

CODES = st.integers(0, 255)


def operands(a, za, b, zb, scale=1.0):
    one = np.float32(scale)
    return Operand(np.uint8(a), one, za), Operand(np.uint8(b), one, zb)


@given(CODES, CODES, CODES, CODES, CODES)
def test_the_two_loops_round_on_either_side_of_the_zero_point(a, za, b, zb, z):
    y = Target(np.float32(2), z, 0, 255, np.uint8)  # powers of two: all steps but rounding exact
    found = TorchElementwise().add(*operands([a] * 65, za, [b] * 65, zb), y)
    half = Fraction(a - za + b - zb, 2)
    assert found[:64].tolist() == [min(max(round(half) + z, 0), 255)] * 64
    assert found[64] == min(max(round(half + z), 0), 255)


@given(CODES, CODES, CODES, CODES, CODES)
def test_products_round_before_the_zero_point(a, za, b, zb, z):
    y = Target(np.float32(64), z, 0, 255, np.uint8)
    found = TorchElementwise().multiply(*operands([a], za, [b], zb), y)
    exact = Fraction((a - za) * (b - zb), 64)
    assert found.tolist() == [min(max(round(exact) + z, 0), 255)]


@given(CODES, CODES, CODES, CODES, CODES)
def test_qnnpack_rounds_half_away_from_zero(a, za, b, zb, z):
    y = Target(np.float32(2), z, 0, 255, np.uint8)
    found = QnnpackElementwise().add(*operands([a], za, [b], zb), y)
    d = a - za + b - zb
    away = (abs(d) + 1) // 2 * (1 if d >= 0 else -1)
    assert found.tolist() == [min(max(away + z, 0), 255)]


def test_qnnpack_refuses_ratios_that_it_cannot_hold():
    y = Target(np.float32(1), 0, 0, 255, np.uint8)
    with pytest.raises(RangeError, match="choose another y_scale"):
        QnnpackElementwise().add(*operands([1], 0, [1], 0, 256.0), y)
