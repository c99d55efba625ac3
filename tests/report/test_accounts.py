"""The account adds up to the file; what is shared is counted once; errors are those of the bits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.distortion import sqnr_db
from refq.core.granularity import PerAxis, PerGroup
from refq.encodings import Cast, entropy_code
from refq.nn.model_file import save, to_bytes
from refq.passes import compress
from refq.pruning import MagnitudePruner
from refq.report.accounts import ledger, summarize
from refq.scalar import AffineQuantizer
from refq.vector import KMeansQuantizer

METHODS = [
    None,
    Cast(),
    AffineQuantizer(bits=3, granularity=PerGroup(5)),
    AffineQuantizer(bits=5, granularity=PerAxis(0), scheme="symmetric"),
    KMeansQuantizer(n_codewords=4, random_state=0),
    MagnitudePruner(sparsity=0.6),
]


def chosen(model, picks):
    plan = {n: m for n, m in zip(("conv1", "fc", "fc.bias"), picks, strict=True) if m is not None}
    return compress(model, plan) if plan else model


@given(st.tuples(*[st.sampled_from(METHODS)] * 3))
def test_the_account_adds_up_to_the_saved_file(picks):
    layers = [("conv1", nn.Conv2d(1, 3, 3)), ("flatten", nn.Flatten()), ("fc", nn.Linear(12, 4))]
    before = nn.Sequential(layers, input_shape=(1, 4, 4)).initialize(0)
    before = before.replace({"fc.bias": np.arange(4, dtype=np.float32)})
    after = chosen(before, picks)
    summary = summarize(before, after)
    payload = int.from_bytes(to_bytes(after)[12:20], "little")  # as the container's page has it
    assert sum(e.payload_bytes for e in summary.entries) == payload
    assert summary.header_bytes + payload == summary.file_bytes == len(to_bytes(after))
    assert summary.original_bytes == sum(e.original_bits for e in summary.entries) // 8
    for entry in summary.entries:
        assert 0 <= 8 * entry.payload_bytes - entry.stored_bits < 8 * max(1, len(entry.kept_as))


def test_the_total_is_the_size_of_the_file(model, quantized, lowered, tmp_path):
    for after in (model, quantized, lowered):
        summary = summarize(model, after)
        assert save(tmp_path / "a.refq", after) == summary.file_bytes
        assert f"{summary.file_bytes:,}" in str(summary).split("the saved file")[1]


def test_a_shared_encoding_is_counted_once_and_marked():
    layers = [("a", nn.Linear(6, 6)), ("b", nn.Linear(6, 6))]
    before = nn.Sequential(layers, input_shape=(6,)).initialize(1)
    shared = AffineQuantizer(bits=4).fit_encode(before.parameters()["a.weight"])
    once = before.replace({"a.weight": shared})
    twice = before.replace({"a.weight": shared, "b.weight": shared})
    entries = {e.name: e for e in ledger(before, twice)}
    assert entries["a.weight"].stored_bits == shared.stored_bits
    assert entries["a.weight"].shared_bits == 0
    assert entries["b.weight"].stored_bits == entries["b.weight"].payload_bytes == 0
    assert entries["b.weight"].shared_bits == shared.stored_bits
    line = next(x for x in str(summarize(before, twice)).splitlines() if x.startswith("b.weight"))
    assert "0.00*" in line
    # b's 36 float32 weights left the payload, and nothing came instead
    before_sharing = sum(e.payload_bytes for e in ledger(before, once))
    assert sum(e.payload_bytes for e in entries.values()) == before_sharing - 4 * 36


def test_a_shared_array_is_counted_once():
    layers = [("a", nn.Linear(6, 6, bias=False)), ("b", nn.Linear(6, 6, bias=False))]
    before = nn.Sequential(layers, input_shape=(6,)).initialize(1)
    tied = before.replace({"b.weight": before.parameters()["a.weight"]})
    first, second = ledger(before, tied)
    assert (first.stored_bits, first.shared_bits) == (36 * 32, 0)
    assert (second.stored_bits, second.shared_bits) == (0, 36 * 32)
    summary = summarize(before, tied)
    assert summary.file_bytes - summary.header_bytes == 36 * 4


def test_errors_are_those_of_the_decoded_weights(folded, quantized):
    for entry in ledger(folded, quantized):
        if entry.name.endswith("weight"):
            W = folded.parameters()[entry.name]
            assert entry.sqnr_db == sqnr_db(W, quantized.parameters()[entry.name].decode())
        else:
            assert entry.sqnr_db is None


def test_batch_normalization_that_was_folded_is_no_error(model, folded, quantized):
    # against the model before folding, every weight differs by a factor: that is not noise
    against_unfolded = [e.sqnr_db for e in ledger(model, quantized) if e.sqnr_db is not None]
    against_folded = [e.sqnr_db for e in ledger(folded, quantized) if e.sqnr_db is not None]
    assert against_unfolded == against_folded
    assert min(against_folded) > 35


def test_a_lowered_model_has_the_errors_of_its_integers(folded, quantized, lowered):
    floats = {e.name: e for e in ledger(folded, quantized)}
    integers = {e.name: e for e in ledger(folded, lowered)}
    for name in ("conv1.weight", "fc.weight"):
        assert integers[name].sqnr_db == pytest.approx(floats[name].sqnr_db, abs=1e-3)
        assert integers[name].is_parameter
        assert integers[name].bits_per_weight == 8
    assert not integers["conv1.mantissa"].is_parameter


def test_a_stand_in_gives_the_errors_of_what_has_another_shape(folded, quantized):
    smaller = nn.Sequential([("fc", nn.Linear(16, 4))], input_shape=(16,)).initialize(0)
    assert all(e.sqnr_db is None for e in ledger(folded, smaller))
    shown = {e.name: e.sqnr_db for e in ledger(folded, smaller, quantized)}
    assert shown["fc.weight"] == {e.name: e.sqnr_db for e in ledger(folded, quantized)}["fc.weight"]


def test_the_text_lists_what_was_left_and_what_has_gone(model, folded, data):
    after = compress(folded, {"fc": Cast()})
    text = str(summarize(model, after, data.test))
    assert "left in float: conv1.weight, conv1.bias, fc.bias" in text
    assert "no longer there: bn1.weight, bn1.bias" in text
    assert "accuracy 75.00 %" in text
    assert max(map(len, text.splitlines())) <= 100
    assert repr(summarize(model, after)) == str(summarize(model, after))


def test_buffers_are_one_line_but_all_counted(model):
    summary = summarize(model, model)
    line = next(x for x in str(summary).splitlines() if "buffers" in x)
    buffers = [e for e in summary.entries if not e.is_parameter]
    assert line.split() == ["4", "buffers", str(sum(e.payload_bytes for e in buffers))]


def test_codings_and_formats_are_named(folded):
    W = folded.parameters()["fc.weight"]
    coded = entropy_code(AffineQuantizer(bits=4).fit_encode(W), "huffman")
    entry = next(
        e for e in ledger(folded, folded.replace({"fc.weight": coded})) if "fc.w" in e.name
    )
    assert entry.noun == "Scaled"
    assert "elements uint4 huffman" in entry.kept_as
    assert "scale float16" in entry.kept_as


def test_changed_answers_are_counted(model, data):
    worse = model.replace({"fc.weight": np.zeros((4, 48), np.float32)})
    summary = summarize(model, worse, data.test)
    n = len(data.test.y)
    old, new = (m(data.test.X).argmax(axis=1) == data.test.y for m in (model, worse))
    assert summary.accuracy == (old.sum() / n, new.sum() / n)
    assert summary.changed == ((new & ~old).sum(), (old & ~new).sum())


def test_nothing_lost_is_infinite(model):
    assert {e.sqnr_db for e in ledger(model, model)} == {math.inf, None}
