"""The main job on digits: what the table claims, measured anew."""

import numpy as np
import pytest

from refq import nn, zoo
from refq.encodings import Encoding
from refq.report.experiment import run_plans


class Rival:
    name = "dense small"
    sentence = "trained beforehand"

    def build(self, model, data, random_state):
        return zoo.load_rival("digits")


@pytest.fixture(scope="module")
def outcome():
    model, data = zoo.load("digits")
    return run_plans("digits", model, data, [*zoo.PLANS.values(), Rival()], 0)


@pytest.fixture(scope="module")
def rows(outcome):
    return {row.name: row for row in outcome.report.plans}


def test_the_float_network_is_good(outcome):
    assert outcome.report.float_accuracy >= 0.975
    assert outcome.report.float_bytes == 4 * zoo.load("digits")[0].n_parameters


def test_rows_come_in_the_order_of_the_table(rows):
    assert list(rows) == [*zoo.PLANS, "dense small"]


def test_bytes_are_those_of_the_files(outcome, rows):
    for row in rows.values():
        assert len(outcome.contents[row.file]) == row.bytes


def test_int8_per_channel_loses_at_most_half_a_point(outcome, rows):
    assert rows["int8 per channel"].accuracy >= outcome.report.float_accuracy - 0.005


def test_combined_is_20_times_smaller_within_a_point(outcome, rows):
    row = rows["combined"]
    assert row.compression_ratio >= 20
    assert row.accuracy >= outcome.report.float_accuracy - 0.010


def test_combined_beats_a_dense_network_of_its_size(rows):
    ours, rival = rows["combined"], rows["dense small"]
    assert ours.bytes <= rival.bytes
    # retrained weights are T2: another BLAS may move an answer, so a tie in fewer bytes is a win
    assert ours.accuracy >= rival.accuracy


@pytest.mark.parametrize("name", ["int8 per tensor", "int8 per channel"])
def test_int8_runs_in_integers_only(outcome, name):
    model = nn.from_bytes(outcome.contents[f"{name.replace(' ', '_')}.refq"])
    X = zoo.load_digits().test.X
    held = model.activations(X[:64])
    assert all(y.dtype.kind in "iu" for key, y in held.items() if key != "input")
    first, last = model.nodes[0].name, model.nodes[-1].name
    assert held[first].dtype == np.uint8
    assert held[last].dtype == np.int32
    assert np.array_equal(model.predict(held[first]), held[last])  # codes in, the same logits out


def test_filter_pruning_is_physical(rows, outcome):
    assert rows["filter pruning"].macs < outcome.report.float_macs / 3


def test_files_load_to_the_same_bits(outcome):
    for content in outcome.contents.values():
        model = nn.from_bytes(content)
        assert nn.to_bytes(model) == content
        leaves = [t for n in model.nodes for t in n.layer.tensors().values()]
        assert any(isinstance(t, Encoding) or t.size for t in leaves)


def test_no_test_image_is_looked_at(monkeypatch):
    model, data = zoo.load("digits")

    class Sealed:
        def __getattr__(self, name):
            raise AssertionError(f"a plan looked at test.{name}")

    object.__setattr__(data, "test", Sealed())
    for name in ("int8 per channel", "int4 per group", "k-means"):
        zoo.PLANS[name].build(model, data, 0)


@pytest.mark.parametrize("name", ["digits", "digits_small", "fashion", "fashion_small"])
def test_shipped_models_say_how_they_were_made(name):
    notes = zoo.metadata(name)
    assert notes["command"] == f"python -m refq.zoo.train {name} --seed {notes['seed']}"
    assert "numpy" in notes["versions"]
    trained = zoo.load_trained(name)
    assert trained.n_parameters == zoo.architecture(name).n_parameters
    assert trained.shapes() == zoo.architecture(name).shapes()


def test_a_lesson_of_a_small_split_has_every_shift():
    model, data = zoo.load("digits")
    taught = zoo.lesson(model, data.train.X[:20])
    assert taught.X.shape == (180, 1, 8, 8)
    assert np.array_equal(taught.X[80:100], data.train.X[:20])  # the middle one is not moved
    assert np.array_equal(taught.logits, model.predict(taught.X))
