"""Deep Compression: bits after each stage are the file's, zeros stay, steps are told apart."""

import json
import zlib
from functools import partial

import numpy as np
import pytest

from refq import nn
from refq.core.errors import RangeError
from refq.encodings import Cast, Encoding
from refq.pruning import MagnitudePruner
from refq.report import summarize
from refq.training import SGD, Adam, Stage, deep_compression, fit
from refq.vector import KMeansQuantizer

SHARING = {"*": KMeansQuantizer(4, random_state=0), "*.*": Cast("float16")}


def small_model():
    layers = [("fc1", nn.Linear(6, 40)), ("bn", nn.BatchNorm(40)), nn.ReLU()]
    return nn.Sequential([*layers, ("fc2", nn.Linear(40, 3))], (6,)).initialize(0)


def examples(n=240):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.standard_normal((n, 6)) * 0.5 + 2 * np.eye(3, 6)[y]).astype(np.float32), y


@pytest.fixture(scope="module")
def stages():
    X, y = examples()
    model, _ = fit(small_model(), X, y, epochs=8, optimizer=Adam(0.02))
    retrain = lambda held, step: fit(  # noqa: E731
        held, X, y, epochs=3, optimizer=Adam(0.01), random_state=step
    )[0]
    pruning = [{"fc*": MagnitudePruner(s)} for s in (0.5, 0.8)]
    return deep_compression(model, retrain, pruning=pruning, sharing=SHARING)


def weights(stage):
    return {
        name: np.asarray(t.decode() if isinstance(t, Encoding) else t)
        for name, t in stage.model.parameters().items()
    }


def test_names_in_order(stages):
    assert [s.name for s in stages] == ["original", "pruned", "shared", "retrained", "coded"]


def test_bits_are_those_of_the_file(stages):
    for stage in stages:
        data = nn.to_bytes(stage.model)
        assert stage.file_bytes == len(data)
        header, payload = (
            int.from_bytes(data[8:12], "little"),
            int.from_bytes(data[12:20], "little"),
        )
        assert stage.payload_bytes == payload
        assert 24 + header + payload == len(data)
        assert json.loads(zlib.decompress(data[24 : 24 + header]))
        account = summarize(stages[0].model, stage.model)
        assert stage.stored_bits == account.stored_bits
    sizes = [stage.stored_bits for stage in stages]
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] > sizes[4]


def test_zeros_stay_exactly_zero_and_values_are_few(stages):
    pruned = weights(stages[1])
    for name in ("fc1.weight", "fc2.weight"):
        gone = pruned[name] == 0
        assert gone.sum() == int(0.8 * gone.size)
        for stage in stages[2:]:
            now = weights(stage)[name]
            assert np.array_equal(now == 0, gone)
            assert len(np.unique(now[~gone])) <= 4


def test_retraining_moves_codewords_and_no_code(stages):
    before, after = (s.model.parameters()["fc1.weight"] for s in stages[2:4])
    assert np.array_equal(before.values.codes.decode(), after.values.codes.decode())
    assert not np.array_equal(before.values.codebook.decode(), after.values.codebook.decode())
    assert after.values.codebook.format == "float16"


def test_a_codeword_moves_by_the_sum_of_its_members():
    model = nn.Sequential([nn.Linear(8, 1, bias=False)], (8,)).initialize(3)
    X = np.random.default_rng(4).standard_normal((5, 8)).astype(np.float32)
    step = partial(
        fit, X=X, y=np.ones((5, 1), np.float32), loss="squared_error", epochs=1, batch_size=5
    )
    found = deep_compression(
        model,
        lambda held, i: held if i == 0 else step(held, optimizer=SGD(0.25))[0],
        pruning={"*": MagnitudePruner(0.25)},
        sharing={"*": KMeansQuantizer(2, codebook_method=Cast("float32"), random_state=0)},
    )
    before, after = (s.model.parameters()["fc1.weight"] for s in found[2:4])
    W = before.decode().astype(np.float64)
    gradient = 2 * (X.astype(np.float64) @ W.T - 1).T @ X / 5  # of the mean squared error
    kept = before.mask.decode().astype(bool)
    codes = before.values.codes.decode().reshape(-1)
    for k in range(2):
        moved = before.values.codebook.decode()[0, k, 0] - 0.25 * gradient[kept][codes == k].sum()
        # float32 products of 8 terms and sums of up to 6 members: 2^-24 times some tens of units
        assert abs(after.values.codebook.decode()[0, k, 0] - moved) < 2.0**-17


def test_coding_answers_bit_for_bit(stages):
    X, _ = examples()
    assert np.array_equal(stages[3].model.predict(X), stages[4].model.predict(X))


def test_steps_are_counted_over_pruning_and_sharing():
    seen = []

    def retrain(model, step):
        seen.append((step, sum(np.count_nonzero(w) for w in weights(Stage("", model)).values())))
        return model

    pruning = [{"fc1": MagnitudePruner(s)} for s in (0.5, 0.75)]
    deep_compression(small_model(), retrain, pruning=pruning, sharing=SHARING, coding="rans")
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] - seen[1][1] == 60  # a quarter of 6 x 40
    assert seen[1][1] == seen[2][1]


def test_a_recipe_that_forgets_the_mask_is_refused():
    def dense_again(model, step):
        return model.replace({"fc1.weight": np.ones((40, 6), np.float32)})

    with pytest.raises(RangeError, match=r"retrain\(model, 0\) moved 120 pruned entries of fc1"):
        deep_compression(
            small_model(), dense_again, pruning={"fc1": MagnitudePruner()}, sharing=SHARING
        )


def test_no_step_is_refused():
    with pytest.raises(RangeError, match="no step"):
        deep_compression(small_model(), lambda m, i: m, pruning=[], sharing=SHARING)
