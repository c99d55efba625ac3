"""Checks: what comes in, what comes out, and what the message says."""

import numpy as np
import pytest

from refq.core.checks import (
    MAX_AXES,
    MAX_ELEMENTS,
    check_array,
    check_choice,
    check_finite,
    check_float_array,
    check_integer,
    check_integer_array,
    check_random_state,
    check_real,
    check_scale,
    check_shape,
    normalize_axis,
    shown,
)
from refq.core.errors import DTypeError, LimitError, RangeError, ShapeError

BASE = np.arange(24, dtype=np.float32).reshape(4, 6)


def layouts(a):
    """Return arrays of equal values in eight memory layouts."""
    padded = np.zeros((8, 12), a.dtype)
    padded[::2, ::2] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    return {
        "plain": a.copy(),
        "fortran": np.asfortranarray(a),
        "strided": padded[::2, ::2],
        "reversed": a[::-1, ::-1].copy()[::-1, ::-1],
        "big endian": a.astype(a.dtype.newbyteorder(">")),
        "read only": frozen,
        "transposed": a.T.copy().T,
        "list": a.tolist(),
    }


@pytest.mark.parametrize("name", layouts(BASE))
def test_every_layout_gives_the_same_values_in_native_order(name):
    given = layouts(BASE)[name]
    before = np.array(given).copy()
    got = check_array(given)
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, BASE)
    np.testing.assert_array_equal(np.array(given), before)


@pytest.mark.parametrize(
    "x",
    [
        np.array(["a"]),
        np.array([b"a"]),
        np.array([1j]),
        np.array([None]),
        np.array([2**70], dtype=object),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.array([(1, 2)], "i4,i4"),
        np.zeros(2, np.longdouble) if np.dtype(np.longdouble).itemsize > 8 else np.array([1j]),
        [2**70],
        {},
        None,
    ],
    ids=str,
)
def test_what_holds_no_real_numbers_is_a_dtype_error(x):
    with pytest.raises(DTypeError, match=r"^weight has dtype .*; allowed kinds: float, int, uint"):
        check_array(x, "weight")


def test_masked_arrays_and_ragged_lists_are_named():
    with pytest.raises(DTypeError, match=r"x is a masked array; pass \.filled"):
        check_array(np.ma.array([1.0], mask=[True]))
    with pytest.raises(ShapeError, match="W is no array: its lists differ in length"):
        check_array([[1], [1, 2]], "W")


def test_kinds_are_asked_for():
    with pytest.raises(DTypeError, match=r"allowed kinds: int, uint$"):
        check_array([0.5], kinds="iu")


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.int8, np.float32),
        (np.uint16, np.float32),
        (bool, np.float32),
        (np.int32, np.float64),
        (np.int64, np.float64),
    ],
)
def test_float_arrays_widen(given, want):
    assert check_float_array(np.ones(3, given)).dtype == want


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("length", [1, 2, 7, 65])
def test_every_position_of_what_is_not_finite_is_found(bad, length):
    for i in range(length):
        a = np.zeros(length, np.float32)
        a[i] = bad
        with pytest.raises(RangeError, match=rf"^x\[{i}\] = {bad} must be finite$"):
            check_finite(a)


def test_indices_are_written_as_numpy_writes_them():
    assert [shown(i) for i in (3, (0, 2), (), np.int64(4))] == ["[3]", "[0, 2]", "[()]", "[4]"]
    with pytest.raises(RangeError, match=r"x\[\(\)\] = nan"):
        check_float_array(np.nan)
    with pytest.raises(RangeError, match=r"x\[1, 0\] = inf"):
        check_float_array([[0, 1], [np.inf, np.nan]])


def test_integer_arrays():
    assert check_integer_array([True]).dtype == np.uint8
    assert check_integer_array(np.array([1], np.int16)).dtype == np.int16
    with pytest.raises(DTypeError, match="float64; allowed kinds: int, uint, bool"):
        check_integer_array([1.0])


@pytest.mark.parametrize("bad", [0.0, -0.0, -1.0, np.nan, np.inf, -np.inf])
def test_scales_must_be_finite_and_positive(bad):
    with pytest.raises(RangeError, match=r"^s\[2\] = .* must be finite and > 0$"):
        check_scale([1.0, 5e-324, bad], "s")
    with pytest.raises(RangeError, match=r"^scale = "):
        check_scale(bad)


def test_scales_widen_and_subnormals_pass():
    assert check_scale(np.float16([1.0])).dtype == np.float32
    assert check_scale(np.int64([1])).dtype == np.float64
    assert check_scale(5e-324) == 5e-324


@pytest.mark.parametrize("bad", [True, np.True_, 2.0, "2", None, np.float64(2), 0, 9, 10**30])
def test_integers(bad):
    with pytest.raises(RangeError, match=r"bits = .* must be an integer in \[1, 8\]"):
        check_integer(bad, "bits", 1, 8)


def test_integers_become_python_integers():
    assert type(check_integer(np.uint8(7), "n")) is int
    assert check_integer(10**30, "n", 0) == 10**30
    with pytest.raises(RangeError, match=r"\[-inf, 3\]"):
        check_integer(4, "n", None, 3)


NUMBERS = [0.5, 1, np.float16(0.5), np.float32(0.5), np.float64(0.5), np.int8(1), 1.7e308]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_reals_become_python_floats_without_a_warning(value):
    assert check_real(value, "p", 0) == float(value)
    assert type(check_real(value, "p")) is float


NO_REALS = [np.nan, np.inf, -np.inf, np.float32("inf"), np.float16("nan"), True, np.True_]


@pytest.mark.parametrize("bad", [*NO_REALS, "1", None, 10**400, -(10**400), 1j], ids=repr)
def test_what_is_no_finite_real(bad):
    with pytest.raises(RangeError, match=r"p = .* must be a finite number in \(-inf, inf\)"):
        check_real(bad, "p")


def test_limits_are_open_or_closed_and_exact():
    assert check_real(0, "p", 0, 1) == 0
    for value, open_low, open_high in ((0.0, True, False), (1.0, False, True)):
        with pytest.raises(RangeError):
            check_real(value, "p", 0, 1, open_low=open_low, open_high=open_high)
    with pytest.raises(RangeError, match=r"in \(0, 1\]"):
        check_real(2, "p", 0, 1, open_low=True)
    # float32(0.1) lies above 0.1; compared in float32 it would be equal
    with pytest.raises(RangeError, match=r"in \[0, 0\.1\]"):
        check_real(np.float32(0.1), "p", 0, 0.1)


def test_choices_are_of_the_same_type():
    assert check_choice("a", "x", ["a", "b"]) == "a"
    for bad in (True, 1.0, "c", None, ["a"]):
        with pytest.raises(RangeError, match=r"x = .* must be one of 1, 'a'"):
            check_choice(bad, "x", (1, "a"))


@pytest.mark.parametrize(
    "bad", ["23", (2.0,), (True,), ("2",), 3, None, (None,), ((1,),), {1: 2}, (-1,), (2, -3)]
)
def test_shapes_are_sequences_of_integers(bad):
    with pytest.raises(ShapeError, match=r"^array_shape = "):
        check_shape(bad, "array_shape")


def test_shapes_become_tuples_of_python_integers():
    assert check_shape([np.int64(2), 3]) == (2, 3)
    assert all(type(n) is int for n in check_shape((np.int32(2),)))
    assert check_shape(()) == ()
    assert check_shape((0, 5)) == (0, 5)


@pytest.mark.parametrize(
    "huge", [(MAX_ELEMENTS + 1,), (1 << 17, (1 << 17) + 1), (0, 1 << 40), (1 << 70,) * 5]
)
def test_huge_shapes_are_a_limit_error(huge):
    with pytest.raises(LimitError, match=f"elements; at most {MAX_ELEMENTS}"):
        check_shape(huge)


def test_the_limits_themselves_pass():
    assert check_shape((MAX_ELEMENTS,)) == (MAX_ELEMENTS,)
    assert len(check_shape((1,) * MAX_AXES)) == MAX_AXES
    with pytest.raises(LimitError, match="has 33 axes; at most 32"):
        check_shape((1,) * (MAX_AXES + 1))


def test_axes():
    assert [normalize_axis(a, 3) for a in (-3, -1, 0, 2, np.int64(1))] == [0, 2, 0, 2, 1]
    for bad in (3, -4, True, 1.0, "0", None):
        with pytest.raises(ShapeError, match=r"axis = .* does not exist in an array of 3 axes"):
            normalize_axis(bad, 3)
    with pytest.raises(ShapeError, match="0 axes"):
        normalize_axis(0, 0)


def test_random_states():
    rng = np.random.default_rng(3)
    assert check_random_state(rng) is rng
    seeds = [check_random_state(s).integers(1 << 60) for s in (5, np.uint8(5))]
    assert seeds[0] == seeds[1] == np.random.default_rng(5).integers(1 << 60)
    sequence = np.random.SeedSequence(5)
    assert check_random_state(sequence).integers(1 << 60) == seeds[0]
    assert check_random_state(None).integers(1 << 60) != check_random_state(None).integers(1 << 60)
    for bad in (-1, 0.5, True, "0", np.random.RandomState(0), np.random):
        with pytest.raises(RangeError, match="random_state = "):
            check_random_state(bad)
