"""The pictures show what a quantizer does, and refuse what they cannot show."""

import numpy as np
import pytest

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import PerTensor
from refq.encodings import Cast, dense
from refq.report.figures import new_axes
from refq.report.number_lines import grid, number_line, staircase
from refq.scalar import AffineQuantizer, LevelQuantizer

x = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)


def test_levels_are_those_that_come_back():
    encoding = AffineQuantizer(bits=3).fit_encode(x)
    ax = grid(x, encoding)
    (lines,) = ax.collections
    levels, counts = np.unique(encoding.decode(), return_counts=True)
    at = np.array([segment[0][0] for segment in lines.get_segments()])
    depth = np.array([segment[1][1] for segment in lines.get_segments()])
    np.testing.assert_array_equal(at, levels.astype(np.float64))
    np.testing.assert_array_equal(depth, -counts / counts.max())
    assert ax.get_title(loc="left").startswith(f"{len(levels)} levels in use")


def test_every_number_has_a_line_to_its_level():
    few = x[:2, :20]
    encoding = AffineQuantizer(bits=2).fit_encode(few)
    ax = number_line(few, encoding)
    ways = {tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2}
    pairs = zip(few.ravel().tolist(), encoding.decode().ravel().tolist(), strict=True)
    assert set(pairs) <= ways


@pytest.mark.parametrize(
    "method", [AffineQuantizer(bits=3, scheme="symmetric"), LevelQuantizer("nf4", PerTensor())]
)
def test_the_staircase_has_the_quantizers_steps_and_clips(method):
    ax = staircase(method, -2.0, 2.0)
    inputs, outputs = ax.lines[1].get_data()
    assert inputs.min() < -2
    assert inputs.max() > 2
    fitted = method.clone().fit(np.clip(inputs, -2, 2)[None])
    np.testing.assert_array_equal(outputs, fitted.encode(inputs[None]).decode()[0])
    assert outputs.max() == pytest.approx(2, rel=1e-3)  # it saturates beyond the range
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), outputs - inputs)
    assert not hasattr(method, "fitted_shape_")


def test_a_function_can_be_drawn_too():
    inputs, outputs = staircase(np.floor, 0, 3).lines[1].get_data()
    np.testing.assert_array_equal(outputs, np.floor(inputs))


def test_pictures_use_the_axes_they_are_given():
    ax = new_axes(3, 3)
    assert staircase(np.round, ax=ax) is ax
    assert grid(x, Cast().fit_encode(x), ax) is ax
    assert number_line(x[0], Cast().fit_encode(x[0]), ax) is ax


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ShapeError, match="must be equal"):
        grid(x, Cast().fit_encode(x[0]))
    with pytest.raises(ShapeError, match="not empty"):
        grid(np.zeros((0,)), dense(np.zeros((0,), np.float32)))
    with pytest.raises(ShapeError, match="at most 60"):
        number_line(x, Cast().fit_encode(x))
    with pytest.raises(RangeError, match="must be below"):
        staircase(np.round, 1.0, 1.0)
    with pytest.raises(ShapeError, match="callable"):
        staircase(lambda v: v[:3])
    with pytest.raises(RangeError, match="values"):
        grid([np.nan], dense([1.0], "float32"))
