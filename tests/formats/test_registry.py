"""Every format by its name."""

import numpy as np
import pytest

from refq import formats
from refq.core.errors import RangeError
from refq.encodings import DenseEncoding


def test_names_are_the_formats_own():
    assert all(name == form.name for name, form in formats.FORMATS.items())
    assert len(formats.FORMATS) == 2 * 18 + 3 + 11 + 6


def test_a_format_passes_through():
    form = formats.LevelTable((0.0, 2.0))
    assert formats.get(form) is form
    assert formats.get("int8") is formats.FORMATS["int8"]


@pytest.mark.parametrize("name", ["int17", "", "INT8", 8, None, ["int8"]])
def test_an_unknown_name_lists_what_there_is(name):
    with pytest.raises(
        RangeError, match="is unknown; there are apot5, bfloat16, binary, bnb_fp4, float16"
    ):
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


def test_parameters_make_a_name_that_no_other_parameters_make():
    made = [
        formats.Minifloat(4, 3, 7, False, "none", True),
        formats.Minifloat(4, 3, 7, False, "all_ones", True),
        formats.Minifloat(4, 3, 7, True, "all_ones", True),
        formats.Minifloat(4, 3, 8, False, "all_ones", True),
        formats.PowersOfTwo(4, 7),
        formats.LevelTable([0.0, 1.0]),
        formats.LevelTable([1.0, 0.0]),
        formats.LevelTable([0.0, 1.0], ties="toward_zero"),
        formats.LevelTable([0.0, 1.0], [0.25]),
    ]
    assert len({form.name for form in made} | set(formats.FORMATS)) == len(made) + len(
        formats.FORMATS
    )
    assert formats.Integer(4) == formats.get("int4")
    assert formats.Integer(5, False).name == "uint5"
    assert formats.NativeFloat(32) == formats.get("float32")


@pytest.mark.parametrize("form", formats.FORMATS.values(), ids=lambda f: f.name)
def test_what_is_printed_makes_the_format_again(form):
    assert eval(repr(form), vars(formats)) == form


def test_a_format_of_ones_own_is_registered_once():
    mine = formats.LevelTable([0.0, 2.0], name="own")
    with pytest.raises(RangeError, match="'own' is not registered"):
        DenseEncoding(np.array([1], np.uint8), mine)
    assert formats.register(mine) is mine
    try:
        assert formats.register(formats.LevelTable([0.0, 2.0], name="own")) is mine
        assert DenseEncoding(np.array([1], np.uint8), mine).decode().tolist() == [2.0]
        for other in (formats.LevelTable([0.0, 3.0], name="own"), "own"):
            with pytest.raises(RangeError):
                formats.register(other)
        with pytest.raises(RangeError, match="stands for"):
            formats.register(formats.Minifloat(2, 1, 1, True, "none", True, name="float4_e2m1fn"))
    finally:
        formats.FORMATS.pop("own")


@pytest.mark.parametrize("bits", [8, 0, 80])
def test_numpy_has_three_floats(bits):
    with pytest.raises(RangeError, match="must be 16, 32 or 64"):
        formats.NativeFloat(bits)
