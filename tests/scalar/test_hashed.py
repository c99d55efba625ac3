"""Hashed sharing: means are the least squares, gradients are sums, no index is stored."""

import numpy as np
import pytest

from refq.core.errors import RangeError, ShapeError
from refq.encodings import Cast, Encoding, split_mix
from refq.scalar import HashedQuantizer

EXACT = Cast("float64")


def hashes(shape, bits, seed):
    """Bucket and sign of every position, by Python integers."""
    n = int(np.prod(shape))
    buckets = [int(v) >> (64 - bits) for v in split_mix(seed, n)]
    signs = [1 - 2 * (int(v) >> 63) for v in split_mix((seed + 1) % 2**64, n)]
    return np.array(buckets).reshape(shape), np.array(signs).reshape(shape)


@pytest.mark.parametrize("seed", [0, 5, 2**64 - 1])
@pytest.mark.parametrize("bits", [1, 4, 7])
def test_values_are_means_of_what_shares_them(bits, seed):
    W = np.random.default_rng(bits).standard_normal((6, 9))
    q = HashedQuantizer(bits, seed, EXACT).fit(W)
    buckets, signs = hashes(W.shape, bits, seed)
    want = [(W * signs)[buckets == k].mean() if (buckets == k).any() else 0.0
            for k in range(1 << bits)]  # fmt: skip
    assert np.allclose(q.buckets_, want, rtol=0, atol=54 * 2.0**-52)
    decoded = q.encode(W).decode()
    assert np.array_equal(decoded, q.buckets_[buckets] * signs)
    # least squares: the residual is orthogonal to every bucket's pattern
    for k in range(1 << bits):
        residual = ((W - decoded) * signs)[buckets == k].sum()
        assert abs(residual) <= 54 * 54 * 2.0**-50


def test_the_gradient_of_a_value_is_the_sum_over_its_bucket():
    rng = np.random.default_rng(0)
    W, grad = rng.standard_normal((5, 8)), rng.standard_normal((5, 8))
    e = HashedQuantizer(3, codebook_method=EXACT).fit_encode(W)
    buckets, signs = hashes(W.shape, 3, 0)
    pulled = [g for name, g in e.pullback(grad).items() if name.endswith("codebook")]
    want = [float((grad * signs)[buckets == k].sum()) for k in range(8)]
    assert len(pulled) == 1
    assert np.allclose(pulled[0].reshape(-1), want, rtol=0, atol=40 * 2.0**-50)


def test_only_the_values_are_stored():
    W = np.random.default_rng(0).standard_normal((64, 64))
    e = HashedQuantizer(6).fit_encode(W)
    assert e.stored_bits == 64 * 16
    back = Encoding.from_bytes(e.to_bytes())
    assert np.array_equal(back.decode(), e.decode())
    assert len(e.to_bytes()) < 600


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e300])
def test_no_sum_overflows(scale):
    W = np.full((8, 8), scale)
    values = HashedQuantizer(2, codebook_method=EXACT).fit(W).buckets_
    assert (np.abs(values) <= scale * (1 + 1e-12)).all()


def test_shapes_and_refusals():
    for shape in ((), (7,), (2, 3, 2)):
        W = np.ones(shape)
        assert HashedQuantizer(2).fit_encode(W).decode().shape == shape
    with pytest.raises(ShapeError, match="empty"):
        HashedQuantizer().fit(np.zeros((0, 3)))
    with pytest.raises(RangeError, match="bits = 17"):
        HashedQuantizer(17).fit(np.zeros(3))
    with pytest.raises(ShapeError, match="was fitted"):
        HashedQuantizer().fit(np.zeros(3)).encode(np.zeros(4))
