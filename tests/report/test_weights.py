"""What weights stand for: integers times the scale that went into the multiplier."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refq import nn, passes
from refq.core.granularity import PerAxis, PerTensor
from refq.encodings import Cast
from refq.passes import compress
from refq.report.weights import real_weights, reference_of, weights_sqnr_db
from refq.scalar import AffineQuantizer


@pytest.mark.parametrize("granularity", [PerTensor(), PerAxis(0)])
def test_lowered_weights_stand_for_the_quantized_ones(granularity):
    layers = [
        ("conv1", nn.Conv2d(1, 3, 3, padding=1)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool(2)),
        ("conv2", nn.Conv2d(3, 4, 2)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(4, 5)),
    ]
    model = nn.Sequential(layers, input_shape=(1, 4, 4)).initialize(2)
    X = np.random.default_rng(3).random((20, 1, 4, 4), dtype=np.float32)
    small = compress(model, {"*": AffineQuantizer(scheme="symmetric", granularity=granularity)})
    integers = real_weights(passes.lower(passes.calibrate(small, X)))
    assert list(integers) == ["conv1.weight", "conv2.weight", "fc.weight"]
    for name, W in integers.items():
        want = small.parameters()[name].decode().astype(np.float64)
        # the multiplier has 31 bits, the decoded float32 product is rounded once
        np.testing.assert_allclose(W, want, rtol=2**-23, atol=0)


def test_the_ratio_is_over_all_weights_together(folded):
    small = compress(folded, {"fc": Cast("float16"), "conv1": AffineQuantizer(bits=4)})
    signal = noise = Fraction(0)
    for name, W in folded.parameters().items():
        if name.endswith("weight"):
            back = small.parameters()[name].decode()
            for a, b in zip(W.reshape(-1).tolist(), back.reshape(-1).tolist(), strict=True):
                signal += Fraction(a) ** 2
                noise += (Fraction(a) - Fraction(b)) ** 2
    assert weights_sqnr_db(folded, small) == pytest.approx(10 * math.log10(signal / noise))


def test_there_is_no_ratio_over_part_of_the_weights(folded):
    other = nn.Sequential([("fc", nn.Linear(48, 4))], input_shape=(48,)).initialize(0)
    assert weights_sqnr_db(folded, other) is None
    assert weights_sqnr_db(other, folded) is None


def test_zero_weights_and_exact_weights(folded):
    assert weights_sqnr_db(folded, folded) == math.inf
    zero = nn.Sequential([("fc", nn.Linear(2, 2))], input_shape=(2,))
    assert weights_sqnr_db(zero, zero.initialize(0)) == -math.inf


def test_the_reference_is_folded_only_where_the_other_is(model, folded, quantized):
    assert reference_of(model, model) is model
    assert reference_of(folded, quantized) is folded
    assert [n.name for n in reference_of(model, quantized).nodes] == [n.name for n in folded.nodes]
    encoded = compress(model, {"fc": Cast()})
    assert reference_of(encoded, folded) is encoded  # encodings cannot be folded
