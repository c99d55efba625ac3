"""AffineQuantizer: exact codes on near ties, zero, constants, the derived bound, layouts."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.core.errors import NotFittedError, RangeError, ShapeError
from refq.core.granularity import PerAxis, PerBlock, PerGroup, PerTensor, blocks_of
from refq.encodings import Cast, Encoding, Method
from refq.scalar import SCHEMES, AffineQuantizer, code_range, has_zero_point, is_symmetric
from refq.scalar.clipping import EntropyRange, MeanSquaredErrorRange
from refq.scalar.ranges import PercentileRange

LEGAL = [(b, s) for s in SCHEMES for b in range(1, 17) if b > 1 or not is_symmetric(s)]
SCALES = [1.0, 0.5, 2.0, 1 / 3, 0.1, 0.9]


def rounded(t: Fraction, rule: str) -> int:
    """Round to nearest; the tie by name, in integers."""
    below = t.numerator // t.denominator
    rest = t - below
    if rest != Fraction(1, 2):
        return below + (rest > Fraction(1, 2))
    return {"half_even": below + below % 2, "half_away": below + (t > 0), "half_up": below + 1}[
        rule
    ]


def nearest_float(t: Fraction, mantissa: int) -> Fraction:
    """Round to the nearest binary float of that many bits, ties to even; no exponent limits."""
    if t == 0:
        return t
    size, ulp = abs(t), Fraction(1)
    while size / ulp >= 2**mantissa:
        ulp *= 2
    while size / ulp < 2 ** (mantissa - 1):
        ulp /= 2
    return rounded(t / ulp, "half_even") * ulp


def expected_code(x, scale, zero, bits, scheme, rule, mantissa):
    quotient = nearest_float(Fraction(float(x)) / Fraction(float(scale)), mantissa)
    first, last = code_range(bits, scheme)
    return min(max(rounded(quotient, rule) + zero, first), last)


def fitted(bits, scheme, low, high, dtype=np.float32, **params):
    return AffineQuantizer(bits, scheme=scheme, **params).fit(np.array([low, high], dtype))


def encode_two(q, x, dtype):
    """Encode a number beside a zero, in the fitted shape."""
    return q.encode(np.array([x, 0], dtype))


def test_house_example():
    W = np.random.default_rng(0).standard_normal((256, 512), dtype=np.float32)
    e = AffineQuantizer(bits=4, granularity=PerGroup(64), scheme="symmetric").fit(W).encode(W)
    assert (e.stored_bits, e.bits_per_weight, type(e).__name__) == (557056, 4.25, "ScaledEncoding")
    assert sorted(e.parts()) == ["elements", "scale"]


def test_worked_example_by_hand():
    """Inventory A1 and H1: [-1, 0, 0.3, 2.5] in unsigned bytes."""
    q = AffineQuantizer(8, scheme="asymmetric", scale_method=Cast("float32"))
    e = q.fit_encode(np.array([-1, 0, 0.3, 2.5], np.float32))
    # scale = 3.5 / 255 = 0.0137..., -min / scale = 72.86 -> 73; -72.86 -> -73, 21.86 -> 22, 182.1
    assert int(q.zero_point_[0]) == 73
    assert e.elements.decode().tolist() == [0, 73, 95, 255]
    assert e.decode()[1] == 0.0
    assert e.elements.format == e.zero_point.format == "uint8"
    # INT8 "with range 0..255" is uint8, and the common float zero point of [.5, 2] decodes 0 to 0.5
    e = q.fit_encode(np.array([0.5, 1, 1.5, 2, 0], np.float32))
    assert int(q.zero_point_[0]) == 0
    assert e.decode()[4] == 0.0


def test_symmetric_codes_by_hand():
    """Inventory H2: absmax 127.5 in three schemes; two of them clip the positive extreme."""
    x = np.array([-127.5, 127.5, 10.0], np.float32)
    found = {}
    for scheme in ("symmetric", "symmetric_full", "symmetric_half"):
        q = AffineQuantizer(8, scheme=scheme, scale_method=Cast("float32"))
        e = q.fit_encode(x)
        found[scheme] = e.elements.codes.tolist(), float(x[1] - e.decode()[1])
    assert found["symmetric_full"] == ([-128, 127, 10], 255 / 256)  # one step lost: 127.5 / 128
    assert found["symmetric_half"] == ([-128, 127, 10], 0.5)  # half of a step of 1
    assert found["symmetric"] == ([-127, 127, 10], 0.0)


def test_clip_comes_before_the_cast():
    """Inventory H3: casting first wraps; here a fitted quantizer meets much larger numbers."""
    q = AffineQuantizer(8, scheme="symmetric").fit(np.ones(4, np.float32))
    assert q.encode([1e10, -1e10, 3e38, -3e38]).elements.codes.tolist() == [127, -127, 127, -127]
    with np.errstate(invalid="ignore"):
        assert np.array([1e10]).astype(np.int64).astype(np.int8)[0] != 127


@given(
    case=st.sampled_from(LEGAL),
    k=st.integers(0, 1 << 16),
    tie=st.booleans(),
    ulps=st.integers(-2, 2),
    scale=st.sampled_from(SCALES),
    rule=st.sampled_from(["half_even", "half_away", "half_up"]),
    store=st.sampled_from(["float16", "float32", "float64"]),
    wide=st.booleans(),
)
@example((8, "asymmetric"), 74, True, 0, 1.0, "half_even", "float16", False)
@example((8, "symmetric"), 127, True, 0, 0.1, "half_away", "float32", False)
@example((8, "symmetric"), 128, True, 1, 1 / 3, "half_even", "float32", True)
def test_codes_equal_the_exact_oracle_on_near_ties(case, k, tie, ulps, scale, rule, store, wide):
    bits, scheme = case
    first, last = code_range(bits, scheme)
    dtype = np.float64 if wide else np.float32
    reach = scale * (last - first) / 2
    low = 0.0 if scheme == "unsigned" else -reach
    q = fitted(bits, scheme, low, reach, dtype, rounding=rule, scale_method=Cast(store))
    s, zero = q.scale_.reshape(()), int(q.zero_point_.reshape(()))
    if not has_zero_point(scheme):
        assert zero == 0
    code = first + k % (last - first + 1) - zero
    x = dtype((code + 0.5 * tie) * float(s))
    for _ in range(abs(ulps)):
        x = np.nextafter(x, dtype(np.copysign(np.inf, ulps)))
    e = encode_two(q, x, dtype)
    mantissa = 53 if wide or store == "float64" else 24
    want = expected_code(x, s, zero, bits, scheme, rule, mantissa)
    assert e.elements.codes.tolist() == [want, zero]
    # decoded: the exact product, rounded once; zero to zero
    back = Fraction(float(s)) * (want - zero)
    assert Fraction(float(e.decode()[0])) == nearest_float(back, 53 if store == "float64" else 24)
    assert e.decode()[1] == 0
    # the bound, exactly
    bound = q.error_bound(np.array([x, 0], dtype), e)
    assert abs(Fraction(float(x)) - Fraction(float(e.decode()[0]))) <= Fraction(float(bound[0]))
    # coding the decoded numbers again
    again = q.encode(e.decode())
    assert again.elements.codes.tobytes() == e.elements.codes.tobytes()


def test_half_a_scale_is_no_bound_in_float32():
    """Inventory H13: scale/2 holds in exact arithmetic; near ties break it in float32."""
    q = AffineQuantizer(8, scheme="symmetric", scale_method=Cast("float32"))
    q.fit(np.array([0.1 * 127] * 1270, np.float32))
    s = q.scale_[0]
    k = np.repeat(np.arange(-127, 127), 5).astype(np.float64)
    x = ((k + 0.5) * float(s)).astype(np.float32)
    x = x + np.tile(np.arange(-2, 3), 254).astype(np.float32) * np.spacing(x)
    e = q.encode(x.astype(np.float32))
    y = e.decode()
    errors = [abs(Fraction(float(a)) - Fraction(float(b))) for a, b in zip(x, y, strict=True)]
    half = Fraction(float(s)) / 2
    broken = sum(error > half for error in errors)
    assert broken > 100
    assert max(errors) < half * Fraction(100_002, 100_000)  # by about a relative 1e-5
    bound = q.error_bound(x, e)
    assert all(error <= Fraction(float(b)) for error, b in zip(errors, bound, strict=True))
    # the same ties tell a division from a product with the reciprocal
    want = [expected_code(a, s, 0, 8, "symmetric", "half_even", 24) for a in x]
    assert e.elements.codes.tolist() == want
    product = np.clip(np.rint(x * (np.float32(1) / s)), -127, 127)
    assert np.any(product != want)


def test_zero_point_belongs_to_the_stored_scale():
    """At 16 bits a float16 scale moves the zero point by several codes."""
    moved = 0
    for low in np.linspace(-3, -0.5, 20, dtype=np.float32):
        q = fitted(16, "asymmetric", low, 1.0)
        stored = rounded(-Fraction(float(low)) / Fraction(float(q.scale_[0])), "half_even")
        assert int(q.zero_point_[0]) == min(stored, 65535)
        exact = rounded(-Fraction(float(low)) * 65535 / (1 - Fraction(float(low))), "half_even")
        moved += stored != exact
    assert moved > 10


@given(
    st.sampled_from(LEGAL),
    st.floats(-4, 4, width=32),
    st.sampled_from(["float16", "float32"]),
)
def test_bound_holds_outside_and_is_tight_there(case, x, store):
    bits, scheme = case
    q = fitted(bits, scheme, 0.0 if scheme == "unsigned" else -0.75, 1.0, scale_method=Cast(store))
    W = np.array([x, 0], np.float32)
    e = q.encode(W)
    error = abs(Fraction(float(W[0])) - Fraction(float(e.decode()[0])))
    bound = Fraction(float(q.error_bound(W, e)[0]))
    assert error <= bound
    first, last = code_range(bits, scheme)
    z, s = int(q.zero_point_[0]), Fraction(float(q.scale_[0]))
    overload = max(Fraction(x) - s * (last - z), s * (first - z) - Fraction(x))
    if overload > 0:
        assert bound <= overload + abs(Fraction(float(e.decode()[0]))) / 2**23 + Fraction(1, 2**40)
    else:
        assert bound <= s / 2 + abs(Fraction(x)) / 2**22 + Fraction(1, 2**40)


@pytest.mark.parametrize(("bits", "scheme"), LEGAL)
@pytest.mark.parametrize("store", ["float16", "float32"])
def test_memoryless_and_zero_is_exact(bits, scheme, store):
    rng = np.random.default_rng(bits)
    W = rng.standard_normal((6, 7)).astype(np.float32)
    W = np.abs(W) if scheme == "unsigned" else W
    W[0, 0] = W[3, 6] = 0
    q = AffineQuantizer(bits, PerGroup(4), scheme, scale_method=Cast(store)).fit(W)
    e = q.encode(W)
    back = e.decode()
    assert back[0, 0] == back[3, 6] == 0
    again = q.encode(back)
    assert again.to_bytes() == e.to_bytes()
    error = np.abs(W.astype(np.float64) - back.astype(np.float64))
    assert np.all(error <= q.error_bound(W, e))


@pytest.mark.parametrize(("bits", "scheme"), LEGAL)
@pytest.mark.parametrize("c", [0.0, 3.0, -0.7, 1e-2])
def test_constants(bits, scheme, c):
    """A constant comes back to the precision of its stored scale; all zeros have scale 1."""
    if scheme == "unsigned":
        c = abs(c)
    W = np.full((2, 3), c, np.float32)
    q = AffineQuantizer(bits, PerAxis(0), scheme, scale_method=Cast("float32"))
    e = q.fit_encode(W)
    if c == 0:
        assert np.all(q.scale_ == 1)
        assert np.all(e.decode() == 0)
        return
    # no code for +absmax; both extremes half a step from a level
    clipped = {"symmetric_full": float(c > 0), "symmetric_half": 0.5}.get(scheme, 0.0)
    error = np.abs(e.decode().astype(np.float64) - W.astype(np.float64))
    assert np.all(error <= clipped * q.scale_ + 2.0**-22 * abs(c))


def test_groups_that_do_not_divide():
    rng = np.random.default_rng(3)
    for n in range(1, 11):
        W = rng.standard_normal((3, n)).astype(np.float32)
        q = AffineQuantizer(5, PerGroup(5), "asymmetric_signed").fit(W)
        e = q.encode(W)
        assert e.scale.shape == (3, -(-n // 5))
        for i, block in enumerate(blocks_of(W.shape, e.block_shape)):
            one = AffineQuantizer(5, scheme="asymmetric_signed").fit(W[block])
            assert one.encode(W[block]).elements.codes.tolist() == e.elements.codes[block].tolist()
            assert q.low_.reshape(-1)[i] == W[block].min()
            assert q.high_.reshape(-1)[i] == W[block].max()


@pytest.mark.parametrize(
    ("shape", "granularity"),
    [
        ((), PerTensor()),
        ((1,), PerTensor()),
        ((7,), PerGroup(3)),
        ((4, 3, 3, 3), PerAxis(0)),
        ((4, 3, 3, 3), PerBlock((2, 3, 2, 3))),
    ],
)
def test_shapes(shape, granularity):
    W = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    q = AffineQuantizer(8, granularity, "symmetric")
    e = q.fit_encode(W)
    assert e.shape == e.decode().shape == shape
    assert np.all(np.abs(W.astype(float) - e.decode()) <= q.error_bound(np.asarray(W), e))


@pytest.mark.parametrize("shape", [(0,), (1, 0), (0, 3)])
def test_empty(shape):
    for method in (AffineQuantizer(), AffineQuantizer(range_method=PercentileRange())):
        with pytest.raises(ShapeError, match="empty"):
            method.fit(np.zeros(shape, np.float32))


def test_layouts_give_the_same_bits():
    rng = np.random.default_rng(5)
    W = rng.standard_normal((6, 10)).astype(np.float32)
    q = AffineQuantizer(4, PerGroup(4), "asymmetric")
    want = q.fit_encode(W).to_bytes()
    frozen = W.copy()
    frozen.flags.writeable = False
    wide = np.zeros((12, 20), np.float32)
    wide[::2, ::2] = W
    views = {
        "big-endian": W.astype(">f4"),
        "little-endian": W.astype("<f4"),
        "Fortran": np.asfortranarray(W),
        "reversed": W[::-1, ::-1].copy()[::-1, ::-1],
        "strided": wide[::2, ::2],
        "read-only": frozen,
        "list": W.tolist(),
        "transposed": W.T.copy().T,
    }
    for name, view in views.items():
        before = np.array(view, copy=True)
        if name == "list":
            view = np.asarray(view, np.float32)
        assert q.clone().fit_encode(view).to_bytes() == want, name
        assert np.array_equal(np.asarray(view), before), name


def test_float64_is_rounded_once():
    """A quotient just above a tie in float64 is the tie itself once rounded to float32."""
    q = AffineQuantizer(8, scheme="symmetric", scale_method=Cast("float32"))
    q.fit(np.array([127.0, 0.0]))
    x = 2.5 * (1 + 2.0**-40)
    assert q.encode(np.array([x, 0.0])).elements.codes[0] == 3
    assert q.encode(np.array([x, 0.0], np.float32)).elements.codes[0] == 2


def test_stored_scales_that_cannot_serve():
    with pytest.raises(RangeError, match=r"stored scale\[1, 0\] = 0.0"):
        AffineQuantizer(8, PerAxis(0), "symmetric").fit([[1.0, 2.0], [1e-7, -1e-7]])
    with pytest.raises(RangeError, match="overflows float16"):
        AffineQuantizer(2, scheme="symmetric").fit([1e6])
    largest = np.array([np.finfo(np.float32).max])
    with pytest.raises(RangeError, match="beyond the largest float32"):
        AffineQuantizer(8, scheme="symmetric", scale_method=Cast("float32")).fit(largest)


def test_shrunken_float16_scale_clips_and_the_bound_says_so():
    """absmax / 65535 in float16 is up to 2^-12 too small: many steps at 16 bits."""
    W = np.array([65535 * (1 + 2.0**-12.5), 0], np.float32)
    q = AffineQuantizer(16, scheme="unsigned").fit(W)
    assert q.scale_[0] == 1
    e = q.encode(W)
    assert e.elements.codes[0] == 65535
    assert W[0] - e.decode()[0] > 10
    assert 0 <= q.error_bound(W, e)[0] - (W[0] - e.decode()[0]) < 0.01


def test_scale_method_may_be_any_method():
    """Double quantization: the scales are coded by another quantizer, in an own node."""
    W = np.random.default_rng(1).standard_normal((32, 64)).astype(np.float32)
    inner = AffineQuantizer(8, PerTensor(), "unsigned", scale_method=Cast("float32"))
    q = AffineQuantizer(4, PerGroup(16), "symmetric", scale_method=inner)
    e = q.fit_encode(W)
    assert e.stored_bits == 4 * 2048 + 8 * 128 + 32
    assert not hasattr(inner, "scale_")
    assert np.array_equal(q.scale_, e.scale.decode())
    assert np.all(np.abs(W.astype(float) - e.decode()) <= q.error_bound(W, e))
    assert np.array_equal(Encoding.from_bytes(e.to_bytes()).decode(), e.decode())


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"bits": 17}, "bits = 17"),
        ({"bits": 0}, "bits = 0"),
        ({"bits": 1, "scheme": "symmetric"}, "bits = 1"),
        ({"rounding": "floor"}, "'half_up'"),
        ({"granularity": 64}, "a Granularity"),
        ({"range_method": "mse"}, "a RangeMethod"),
        ({"scale_method": "float16"}, "a Method"),
        ({"scheme": "full"}, "'symmetric_full'"),
    ],
)
def test_parameters_are_checked_by_fit(params, word):
    with pytest.raises(RangeError, match=word):
        AffineQuantizer(**params).fit([1.0, 2.0])


def test_estimator_contract():
    q = AffineQuantizer(4, PerGroup(3), "symmetric", MeanSquaredErrorRange())
    with pytest.raises(NotFittedError):
        q.encode([1.0])
    with pytest.raises(ShapeError, match="was fitted to"):
        q.fit([1.0, 2.0]).encode([1.0])
    with pytest.raises(RangeError, match=r"W\[1\] = nan"):
        q.fit([1.0, float("nan")])
    assert repr(q.clone()) == repr(q)
    scope = {"PerGroup": PerGroup, "MeanSquaredErrorRange": MeanSquaredErrorRange}
    back = eval(repr(q), scope | {"AffineQuantizer": AffineQuantizer})
    assert repr(back) == repr(q)
    q.set_params(scale_method__format="float32")
    assert AffineQuantizer().scale_method.format == "float16"  # the shared default is untouched


def test_every_range_method_serves_blocks():
    W = np.random.default_rng(2).standard_normal((4, 40)).astype(np.float32)
    for method in (PercentileRange(90), MeanSquaredErrorRange(), EntropyRange(64)):
        q = AffineQuantizer(3, PerGroup(20), "asymmetric", method).fit(W)
        e = q.encode(W)
        assert q.low_.shape == (4, 2)
        assert np.all(np.abs(W.astype(float) - e.decode()) <= q.error_bound(W, e))
    assert all(isinstance(m, Method) for m in AffineQuantizer.examples())


def test_any_error_state():
    with np.errstate(all="raise"):
        W = np.array([1e-30, 1.0, -1e30, 3e38], np.float32)
        q = AffineQuantizer(8, PerTensor(), "asymmetric", scale_method=Cast("float32"))
        e = q.fit_encode(W)
        assert np.all(np.isfinite(e.decode()))
        assert np.all(np.isfinite(q.error_bound(W, e)))
