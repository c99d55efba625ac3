"""Sharing under a mask: zeros stay zeros, masks stay the same part, the order matters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import RangeError
from refq.encodings import Cast, CodebookEncoding, MaskedEncoding, dense
from refq.passes import code_model, compress, share_kept
from refq.pruning import FilterPruner, MagnitudePruner
from refq.scalar import OptimalLevelQuantizer
from refq.vector import KMeansQuantizer


def linear(n_in=24, n_out=5, seed=0):
    return nn.Sequential([nn.Linear(n_in, n_out)], (n_in,)).initialize(seed)


@given(st.integers(0, 9), st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.integers(1, 6))
def test_zeros_stay_and_the_kept_take_the_nearest_value(seed, sparsity, k):
    pruned = compress(linear(seed=seed), {"*": MagnitudePruner(sparsity)})
    held = pruned.parameters()["fc1.weight"]
    weight = share_kept(pruned, {"*": OptimalLevelQuantizer(k)}).parameters()["fc1.weight"]
    assert weight.mask is held.mask
    kept = held.mask.decode().astype(bool)
    assert not weight.decode()[~kept].any()
    levels = weight.values.codebook.decode().reshape(-1).astype(np.float64)
    assert len(levels) <= k
    away = np.abs(held.decode()[kept].astype(np.float64)[:, None] - levels)
    got = np.abs(held.decode()[kept].astype(np.float64) - weight.decode()[kept])
    assert np.array_equal(got, away.min(axis=1))


def test_what_is_not_pruned_is_encoded_whole():
    model = share_kept(linear(), {"*": KMeansQuantizer(4, random_state=0), "*.*": Cast("float16")})
    kept = model.parameters()
    assert isinstance(kept["fc1.weight"], CodebookEncoding)
    assert kept["fc1.bias"].format == "float16"
    again = share_kept(model, {"*": Cast("float32")})  # an Encoding is decoded first
    assert np.array_equal(again.parameters()["fc1.weight"].decode(), kept["fc1.weight"].decode())


def test_whole_filters_keep_their_shape():
    model = nn.Sequential([nn.Conv2d(2, 6, 3)], (2, 4, 4)).initialize(0)
    shared = share_kept(compress(model, {"*": FilterPruner(0.5)}), {"*": OptimalLevelQuantizer(3)})
    weight = shared.parameters()["conv1.weight"]
    assert isinstance(weight, MaskedEncoding)
    assert weight.mask.shape == (6, 1, 1, 1)
    assert weight.values.shape == (3, 2, 3, 3)
    assert len(np.unique(weight.decode())) == 4


def test_sharing_everything_moves_the_zeros_at_once_or_in_training():
    pruned = compress(linear(), {"*": MagnitudePruner(0.8)})
    W = pruned.parameters()["fc1.weight"].decode()
    few = KMeansQuantizer(2, random_state=0).fit_encode(W)
    assert not (few.decode() == 0).any()  # zeros and one sign make one cluster
    enough = KMeansQuantizer(4, random_state=0).fit_encode(W)
    assert (enough.decode() == 0).mean() == 0.8  # a codeword spent on zero ...
    pull = enough.pullback(np.ones(W.shape, np.float32))["codebook"].reshape(-1)
    zero = enough.codebook.decode().reshape(-1) == 0
    assert pull[zero] == 96  # ... and the sum of 96 gradients moves it
    kept = share_kept(pruned, {"*": KMeansQuantizer(2, random_state=0)}).parameters()["fc1.weight"]
    assert (kept.decode() == 0).mean() == 0.8


def test_quantizing_first_prunes_by_the_order_in_memory():
    # five weights to a codeword: the threshold falls among ties, and the first ones are kept
    W = np.repeat(np.array([[0.1, 0.2, 0.9]], np.float32), 5, axis=1)
    W += np.float32(0.01) * np.arange(15, dtype=np.float32)
    first = OptimalLevelQuantizer(3).fit_encode(W).decode()
    ties = MagnitudePruner(8 / 15).fit(first).mask_
    honest = MagnitudePruner(8 / 15).fit(W).mask_
    assert ties.sum() == honest.sum() == 7
    assert not np.array_equal(ties, honest)
    assert np.abs(W[honest]).sum() > np.abs(W[ties]).sum()


@pytest.mark.parametrize("coding", ["huffman", "rans", "gaps"])
def test_coding_changes_no_value(coding):
    shared = share_kept(
        compress(linear(200, 20), {"*": MagnitudePruner(0.9)}),
        {"*": OptimalLevelQuantizer(8), "*.bias": Cast("float16")},
    )
    small = code_model(shared, coding)
    for name, tensor in shared.parameters().items():
        coded = small.parameters()[name]
        assert np.array_equal(coded.decode(), tensor.decode())
        assert coded.stored_bits <= tensor.stored_bits
    weight = small.parameters()["fc1.weight"]
    assert weight.stored_bits < shared.parameters()["fc1.weight"].stored_bits
    assert weight.mask.coding in (coding, "gaps")


def test_plain_arrays_are_left():
    model = linear()
    assert code_model(model).parameters()["fc1.weight"] is model.parameters()["fc1.weight"]


def test_messages_name_the_tensor():
    pruned = compress(linear(), {"*": MagnitudePruner(0.99)})
    with pytest.raises(RangeError, match=r"fc1\.weight: n_codewords = 16 exceeds the 2 vectors"):
        share_kept(pruned, {"*": KMeansQuantizer()})
    with pytest.raises(RangeError, match="matches no tensor"):
        share_kept(pruned, {"conv*": KMeansQuantizer()})
    with pytest.raises(RangeError, match="coding = 'zip'"):
        code_model(pruned.replace({"fc1.bias": dense(np.zeros(5), "int8")}), "zip")
