import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.encodings import MaskedEncoding, dense
from refq.nn import Conv2d


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw, most=3):
    """Draw the structure of a convolution and an input size that it fits."""
    groups = draw(st.integers(1, most))
    config = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "kernel_size": draw(pairs(1, 3)),
        "stride": draw(pairs(1, 2)),
        "padding": draw(pairs(0, 2)),
        "dilation": draw(pairs(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 2))
        for k, d, p in zip(
            config["kernel_size"], config["dilation"], config["padding"], strict=True
        )
    )
    return config, draw(st.integers(1, 2)), size, draw(st.integers(0, 2**32))


def build(config, draw):
    """Return the layer whose tensors ``draw(shape)`` makes."""
    empty = Conv2d(**config)
    return empty.replace(**{name: draw(t.shape) for name, t in empty.parameters().items()})


def brute_force(x, layer):
    """Sum Python floats in the order of the definition; integers in, integers out."""
    (sh, sw), (ph, pw), (dh, dw) = layer.stride, layer.padding, layer.dilation
    n, _, h, w = x.shape
    _, depth, kh, kw = layer.weight.shape
    _, oh, ow = layer.output_shape(x.shape[1:])
    y = np.zeros((n, layer.out_channels, oh, ow))
    for b, o, r, s in np.ndindex(y.shape):
        first = o // (layer.out_channels // layer.groups) * depth
        total = 0.0 if layer.bias is None else float(layer.bias[o])
        for c, i, j in np.ndindex(depth, kh, kw):
            row, column = r * sh + i * dh - ph, s * sw + j * dw - pw
            if 0 <= row < h and 0 <= column < w:
                total += float(layer.weight[o, c, i, j]) * float(x[b, first + c, row, column])
        y[b, o, r, s] = total
    return y


@given(cases(most=2))
def test_gradients_equal_central_differences(check_gradients, case):
    config, n, size, seed = case
    rng = np.random.default_rng(seed)
    layer = build(config, lambda shape: rng.uniform(-1, 1, shape))
    x = rng.uniform(-1, 1, (n, config["in_channels"], *size))
    check_gradients(layer, x, size=1 + layer.weight[0].size)


@given(cases(), st.sampled_from([np.float32, np.float64]))
@example(({"in_channels": 1, "out_channels": 1, "kernel_size": 1}, 0, (1, 1), 0), np.float32)
def test_integers_equal_the_definition_exactly(case, dtype):
    config, n, size, seed = case
    rng = np.random.default_rng(seed)
    layer = build(config, lambda shape: rng.integers(-30, 31, shape).astype(np.float64))
    x = rng.integers(-30, 31, (n, config["in_channels"], *size)).astype(dtype)
    y, _ = layer.forward(x)
    assert y.dtype == dtype
    assert np.array_equal(y, brute_force(x, layer))


@given(cases())
def test_groups_equal_a_block_diagonal_convolution(case):
    config, n, size, seed = case
    rng = np.random.default_rng(seed)
    layer = build(config, lambda shape: rng.integers(-9, 10, shape).astype(np.float64))
    whole = np.zeros((layer.out_channels, layer.in_channels, *layer.kernel_size))
    outs, ins = (c // layer.groups for c in (layer.out_channels, layer.in_channels))
    for g in range(layer.groups):
        block = slice(g * outs, (g + 1) * outs)
        whole[block, g * ins : (g + 1) * ins] = layer.weight[block]
    plain = Conv2d(
        **{**config, "groups": 1, "bias": False if layer.bias is None else layer.bias},
        weight=whole,
    )
    x = rng.integers(-9, 10, (n, layer.in_channels, *size)).astype(np.float64)
    (y, cache), (want, other) = layer.forward(x), plain.forward(x)
    assert np.array_equal(y, want)
    grad = rng.integers(-9, 10, y.shape).astype(np.float64)
    (back,), _ = layer.backward(grad, cache)
    (want_back,), _ = plain.backward(grad, other)
    assert np.array_equal(back, want_back)


@given(cases())
def test_float32_is_as_close_to_float64_as_its_sums_allow(case):
    # A sum of m products in any order errs by at most g(m + 1) sum |terms|, where
    # g(k) = k u / (1 - k u) and u = 2^-24 (Higham, Accuracy and Stability, chapter 3).
    config, n, size, seed = case
    rng = np.random.default_rng(seed)
    layer = build(config, lambda shape: rng.standard_normal(shape, dtype=np.float32))
    x = rng.standard_normal((n, config["in_channels"], *size), dtype=np.float32)
    sizes = layer.replace(**{k: np.abs(t) for k, t in layer.parameters().items()})

    def bound(terms, total):
        k = (terms + 2) * 2.0**-24
        return k / (1 - k) * total + 1e-30

    y, cache = layer.forward(x)
    exact, cache64 = layer.forward(x.astype(np.float64))
    largest, cache_abs = sizes.forward(np.abs(x.astype(np.float64)))
    assert np.all(np.abs(y - exact) <= bound(layer.weight[0].size, largest))
    grad = rng.standard_normal(y.shape, dtype=np.float32)
    (back,), gradients = layer.backward(grad, cache)
    (back64,), gradients64 = layer.backward(grad.astype(np.float64), cache64)
    (back_abs,), gradients_abs = sizes.backward(np.abs(grad.astype(np.float64)), cache_abs)
    assert back.dtype == np.float32
    assert np.all(np.abs(back - back64) <= bound(layer.weight.size, back_abs))
    for name, g in gradients.items():
        assert g.dtype == np.float32
        limit = bound(grad.size, gradients_abs[name])
        assert np.all(np.abs(g - gradients64[name]) <= limit)


@pytest.mark.parametrize("layout", ["fortran", "reversed", "channels_last", "read_only"])
def test_the_memory_layout_of_the_input_changes_nothing(layout):
    rng = np.random.default_rng(0)
    plain = rng.integers(-9, 10, (2, 3, 5, 4)).astype(np.float32)
    x = {
        "fortran": np.asfortranarray(plain),
        "reversed": plain[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "channels_last": plain.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
        "read_only": plain.copy(),
    }[layout]
    x.flags.writeable = False
    layer = build(
        {"in_channels": 3, "out_channels": 2, "kernel_size": 3, "padding": 1},
        lambda shape: rng.integers(-9, 10, shape).astype(np.float32),
    )
    assert np.array_equal(layer.forward(x)[0], layer.forward(plain)[0])


def test_an_empty_batch():
    layer = Conv2d(2, 3, 3, padding=1)
    y, cache = layer.forward(np.zeros((0, 2, 4, 5), np.float32))
    assert y.shape == (0, 3, 4, 5)
    (back,), gradients = layer.backward(y, cache)
    assert back.shape == (0, 2, 4, 5)
    assert not gradients["weight"].any()


def test_an_encoded_weight():
    mask = dense([[[[1, 0]]]], "uint1")
    layer = Conv2d(
        1, 1, (1, 2), bias=False, weight=MaskedEncoding(mask, dense([3.0], "float16"), (1, 1, 1, 2))
    )
    y, cache = layer.forward(np.array([[[[1.0, 2.0, 4.0]]]]))
    assert y.tolist() == [[[[3.0, 6.0]]]]
    _, gradients = layer.backward(np.ones_like(y), cache)
    assert gradients["weight"].tolist() == [[[[3.0, 6.0]]]]  # with respect to the decoded weight


def test_initialize_counts_the_summands_of_a_group():
    layer = Conv2d(32, 256, 3, groups=4).initialize(np.random.default_rng(0))
    assert layer.weight.shape == (256, 8, 3, 3)
    assert layer.weight.std() == pytest.approx(np.sqrt(2 / 72), rel=0.03)
    assert not layer.bias.any()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"in_channels": 3}, "groups"),
        ({"out_channels": 3}, "groups"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"padding": -1}, "padding"),
        ({"dilation": (1, 0)}, "dilation"),
        ({"kernel_size": (1, 2, 3)}, "kernel_size"),
        ({"kernel_size": 2.0}, "kernel_size"),
        ({"groups": 0}, "groups"),
    ],
)
def test_structure_errors(change, word):
    config = {"in_channels": 4, "out_channels": 4, "kernel_size": 1, "groups": 2}
    with pytest.raises(RangeError, match=word):
        Conv2d(**{**config, **change})


def test_shape_errors():
    with pytest.raises(ShapeError, match=r"takes shape \(2, height, width\), not \(3, 4, 4\)"):
        Conv2d(2, 3, 3).forward(np.zeros((1, 3, 4, 4)))
    with pytest.raises(ShapeError, match="does not fit"):
        Conv2d(2, 3, 3).forward(np.zeros((1, 2, 2, 4)))
    with pytest.raises(ShapeError, match="weight has shape"):
        Conv2d(2, 3, 3, weight=np.zeros((3, 2, 3, 2)))
