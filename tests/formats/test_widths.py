"""The table of widths against the codes and the quantizers themselves."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import refq
from refq.core.errors import RangeError
from refq.formats import get, width_table


def test_levels_and_ranges_are_those_of_the_formats():
    for row in width_table():
        for name, ends in ((f"int{row.bits}", row.signed), (f"uint{row.bits}", row.unsigned)):
            form = get(name)
            assert ends == (form.low, form.high)
            assert row.levels == form.high - form.low + 1 == len(form.values)


@pytest.mark.parametrize(
    ("scheme", "field"), [("asymmetric", "asymmetric"), ("symmetric", "restricted")]
)
def test_steps_are_those_of_the_quantizers(scheme, field):
    x = np.float32([-1.0, 1.0, 0.25])
    for row in width_table(range(2, 9)):
        method = refq.AffineQuantizer(
            bits=row.bits, scheme=scheme, scale_method=refq.Cast("float32")
        )
        scale = method.fit(x).encode(x).scale.decode().item()
        assert scale == np.float32(float(getattr(row, field)))


def test_a_bit_more_halves_the_step():
    rows = width_table()
    for first, second in pairwise(rows):
        assert first.full == 2 * second.full
        assert first.asymmetric > 2 * second.asymmetric
    assert rows[0].restricted is None
    assert rows[7].asymmetric == Fraction(2, 255)


def test_widths_out_of_range():
    with pytest.raises(RangeError, match="bits = 65"):
        width_table([65])
