"""Granularity against one loop over the elements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.core.granularity import (
    PerAxis,
    PerBlock,
    PerGroup,
    PerTensor,
    PerToken,
    block_reduce,
    blocks_of,
    expand,
    parameter_shape,
)

shapes = st.lists(st.integers(1, 6), min_size=0, max_size=3).map(tuple)
blocked = shapes.flatmap(
    lambda s: st.tuples(st.just(s), st.tuples(*[st.integers(1, n + 1) for n in s]))
)


def test_the_table_of_the_module():
    cases = {
        PerTensor(): ((4, 6), (1, 1)),
        PerAxis(0): ((1, 6), (4, 1)),
        PerAxis(-1): ((4, 1), (1, 6)),
        PerGroup(4): ((1, 4), (4, 2)),
        PerGroup(4, axis=0): ((4, 1), (1, 6)),
        PerGroup(100): ((1, 6), (4, 1)),
        PerBlock((2, 3)): ((2, 3), (2, 2)),
        PerBlock((9, 4)): ((4, 4), (1, 2)),
        PerToken(): ((1, 6), (4, 1)),
    }
    for granularity, (block, parameters) in cases.items():
        assert granularity.block_shape((4, 6)) == block, granularity
        assert parameter_shape((4, 6), block) == parameters, granularity
        assert granularity == eval(repr(granularity))


@pytest.mark.parametrize("n", range(1, 17))
@pytest.mark.parametrize("group", range(1, 9))
def test_ragged_groups_are_smaller_not_padded(n, group):
    block = PerGroup(group).block_shape((n,))
    x = np.arange(n, 0, -1)
    want = [x[i : i + group].min() for i in range(0, n, group)]
    assert block_reduce(x, block, np.minimum).tolist() == want
    assert len(want) == parameter_shape((n,), block)[0] == -(-n // group)


@given(blocked)
def test_expand_repeats_and_reduce_gathers(case):
    shape, block = case
    counts = parameter_shape(shape, block)
    parameters = np.arange(int(np.prod(counts))).reshape(counts)
    spread = np.broadcast_to(expand(parameters, shape, block), shape)
    sums = np.zeros(counts, np.int64)
    for index in np.ndindex(*shape):
        place = tuple(i // b for i, b in zip(index, block, strict=True))
        assert spread[index] == parameters[place]
        sums[place] += spread[index]
    np.testing.assert_array_equal(block_reduce(spread, block, np.add), sums)
    np.testing.assert_array_equal(block_reduce(spread, block, np.maximum), parameters)


@given(blocked)
def test_blocks_cover_every_element_once_in_c_order(case):
    shape, block = case
    seen = np.full(shape, -1)
    for k, where in enumerate(blocks_of(shape, block)):
        assert (seen[where] == -1).all()
        seen[where] = k
    want = np.broadcast_to(
        expand(np.arange(seen.max() + 1).reshape(parameter_shape(shape, block)), shape, block),
        shape,
    )
    np.testing.assert_array_equal(seen, want)


def test_empty_and_zero_dimensional_arrays():
    assert PerTensor().block_shape(()) == ()
    assert PerTensor().block_shape((0, 3)) == (1, 3)
    assert PerGroup(4).block_shape((3, 0)) == (1, 1)
    assert parameter_shape((0, 3), (1, 3)) == (0, 1)
    assert expand(np.array(5), (), ()).shape == ()
    assert block_reduce(np.array(5), (), np.add) == 5
    with pytest.raises(ShapeError, match=r"shape \(0, 3\) is empty"):
        block_reduce(np.zeros((0, 3)), (1, 3), np.add)


def test_what_does_not_fit():
    for granularity in (PerAxis(2), PerGroup(2, axis=-3)):
        with pytest.raises(ShapeError, match="does not exist in an array of 2 axes"):
            granularity.block_shape((4, 6))
    for granularity in (PerAxis(0), PerToken(), PerGroup(2)):
        with pytest.raises(ShapeError):
            granularity.block_shape(())
    with pytest.raises(ShapeError, match=r"has 1 axes, the array has 2"):
        PerBlock((2,)).block_shape((4, 6))
    for bad in (0, -1, 2.0, True):
        with pytest.raises(RangeError, match="group_size = "):
            PerGroup(bad)
        with pytest.raises(RangeError, match=r"shape\[1\] = "):
            PerBlock((1, bad))
    with pytest.raises(ShapeError, match=r"block_shape \(0,\) does not fit"):
        parameter_shape((3,), (0,))
    with pytest.raises(ShapeError, match="does not fit an array of shape"):
        parameter_shape((3, 3), (1,))
    with pytest.raises(ShapeError, match=r"parameters have shape \(3,\); .* need \(2,\)"):
        expand(np.zeros(3), (4,), (2,))


def test_blocks_change_nothing_they_were_given():
    x = np.arange(6.0).reshape(2, 3)
    before = x.copy()
    block_reduce(x, (1, 2), np.add)
    expand(x, (4, 6), (2, 2))
    np.testing.assert_array_equal(x, before)
