"""Every format by its name."""

import numpy as np
import pytest

from refq import formats
from refq.core.errors import RangeError


def test_names_are_the_formats_own():
    assert all(name == form.name for name, form in formats.FORMATS.items())
    assert len(formats.FORMATS) == 2 * 18 + 3 + 11 + 3


def test_a_format_passes_through():
    form = formats.LevelTable("mine", 1, (0.0, 2.0))
    assert formats.get(form) is form
    assert formats.get("int8") is formats.FORMATS["int8"]


@pytest.mark.parametrize("name", ["int17", "", "INT8", 8, None, ["int8"]])
def test_an_unknown_name_lists_what_there_is(name):
    with pytest.raises(RangeError, match="is unknown; there are bfloat16, binary, float16"):
        formats.get(name)


@pytest.mark.parametrize("form", formats.FORMATS.values(), ids=lambda f: f.name)
def test_what_every_format_promises(form):
    empty = form.encode(np.zeros((0, 3)))
    assert empty.shape == (0, 3)
    assert empty.dtype == form.dtype
    assert form.decode(empty).dtype == form.value_dtype
    assert 8 * form.dtype.itemsize >= form.bits
    assert form.is_integer == (form.dtype == form.value_dtype and "float" not in form.name)
    zero = form.encode(np.zeros(2))  # where there is no zero, the value next to it
    assert form.to_patterns(zero).dtype.kind == "u"
    np.testing.assert_array_equal(form.from_patterns(form.to_patterns(zero)), zero)
