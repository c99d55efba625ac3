import numpy as np
import pytest

from refq import formats
from refq.core.cast_rule import CastRule
from refq.core.onnxruntime_cast import OnnxRuntimeCast

CASES = [("float8_e4m3fn", "nan", 480, 496, 448), ("float8_e5m2", "infinity", 61440, 65536, np.nan)]


@pytest.mark.parametrize(("name", "overflow", "start", "stop", "value"), CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_two_intervals(name, overflow, start, stop, value, sign):
    form = formats.get(name)
    inside = sign * np.float32([start, (start + stop) / 2, np.nextafter(np.float32(stop), 0)])
    outside = sign * np.float32([np.nextafter(np.float32(start), 0), stop, 1, 1e9, np.inf])
    rule = OnnxRuntimeCast(overflow=overflow)
    np.testing.assert_array_equal(form.decode(rule.apply(inside, form)), np.full(3, sign * value))
    text = CastRule(overflow=overflow).apply(outside, form)
    np.testing.assert_array_equal(rule.apply(outside, form), text)


def test_with_saturation_only_the_detour_through_float32_differs():
    form = formats.get("float8_e4m3fn")
    rule = OnnxRuntimeCast(nan="keep")
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(rule.apply(x, form), CastRule(nan="keep").apply(x, form))
    above_a_tie = np.array([1.0625 + 2.0**-30])
    assert rule.apply(above_a_tie, form)[0] == CastRule().apply(above_a_tie, form)[0] - 1
