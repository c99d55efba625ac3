from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.elementwise_rule import ElementwiseRule, Operand, Target
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


@given(CODES, CODES, CODES)
def test_activations_round_on_either_side_of_the_zero_point(q, zero, z):
    y = Target(np.float32(1), z, 0, 255, np.uint8)  # powers of two: all steps but rounding exact
    x = Operand(np.uint8([q] * 65), np.float32(0.5), zero)
    found = TorchElementwise().leaky_relu(x, 0.25, y)
    real = Fraction(q - zero, 2) * (Fraction(1, 4) if q < zero else 1)
    assert found[:64].tolist() == [min(max(round(real) + z, 0), 255)] * 64
    assert found[64] == TorchElementwise().join(x, y)[0] or q < zero
    assert found[64] == min(max(round(real + z), 0), 255)


@given(CODES, CODES)
def test_sigmoids_are_within_one_code_of_the_text(q, zero):
    # float32 is far finer than a code of 1/256: only near ties may round the other way
    y = Target(np.float32(1 / 256), 0, 0, 255, np.uint8)
    x = Operand(np.uint8([q] * 65), np.float32(0.05), zero)
    text = int(ElementwiseRule().sigmoid(x, y)[0])
    for rule in (TorchElementwise(), QnnpackElementwise()):
        assert np.abs(rule.sigmoid(x, y).astype(int) - text).max() <= 1


def test_qnnpack_refuses_other_sigmoids():
    x, y = Operand(np.uint8([1]), np.float32(1), 0), Target(np.float32(1), 0, 0, 255, np.uint8)
    with pytest.raises(RangeError, match="1/256"):
        QnnpackElementwise().sigmoid(x, y)


@given(CODES, CODES, CODES)
def test_pools_of_two_round_ties_to_even_codes_or_to_even_means(a, b, zero):
    one, count = np.float32(1), np.array(2)
    x, y = Operand(np.uint8([[a, b]]), one, zero), Target(one, zero, 0, 255, np.uint8)
    mean, global_mean = round(Fraction(a + b, 2)), round(Fraction(a + b - 2 * zero, 2)) + zero
    assert TorchElementwise().mean(x, count, y).tolist() == [mean]
    assert TorchElementwise().global_mean(x, y).tolist() == [mean]
    assert QnnpackElementwise().mean(x, np.array(1), y).tolist() == [global_mean]  # padding counts
    assert QnnpackElementwise().global_mean(x, y).tolist() == [global_mean]


def test_a_pool_into_another_scale_is_plain_float32():
    x = Operand(np.uint8([[3, 4]]), np.float32(1), 1)
    y = Target(np.float32(0.5), 1, 0, 255, np.uint8)
    for rule in (TorchElementwise(), QnnpackElementwise()):
        assert rule.mean(x, np.array(2), y).tolist() == [6]
        assert rule.global_mean(x, y).tolist() == [6]
