"""The loop: it learns, repeats, leaves its arguments alone, and stops in words when it diverges."""

import numpy as np
import pytest

from refq import nn
from refq.core.errors import RangeError, ShapeError
from refq.encodings import ScaledEncoding, dense
from refq.training import SGD, Adam, Cosine, Schedule, StepDecay, fit, shift_images, squared_error


def small_model(dropout=False):
    layers = [("fc1", nn.Linear(4, 8)), ("bn", nn.BatchNorm(8)), nn.ReLU()]
    layers += [nn.Dropout(0.5)] if dropout else []
    return nn.Sequential([*layers, ("fc2", nn.Linear(8, 3))], (4,)).initialize(0)


def examples(n=60):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    centres = np.array([[2, 0, 0, 1], [0, 2, 0, -1], [0, 0, 2, 0]], np.float32)
    return centres[y] + rng.standard_normal((n, 4), np.float32) * np.float32(0.3), y


def tensors(model):
    buffers = {f"{n.name}.{k}": b for n in model.nodes for k, b in n.layer.buffers().items()}
    return {k: np.array(a) for k, a in {**model.trainable(), **buffers}.items()}


def same(a, b):
    return all(np.array_equal(x, b[k]) for k, x in a.items())


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": Adam(0.05)},
        {"optimizer": SGD(0.1, nesterov=True, weight_decay=1e-4), "schedule": Cosine(0.1)},
        {"optimizer": SGD(0.1), "schedule": StepDecay(), "random_state": np.random.default_rng(1)},
    ],
)
def test_it_learns(settings):
    X, y = examples()
    model, history = fit(small_model(), X, y, epochs=15, batch_size=16, **settings)
    assert (model.predict(X).argmax(1) == y).mean() > 0.95
    assert history.losses[-1] < history.losses[0] / 3
    assert len(history.losses) == 15
    assert history.n_steps == 15 * 4


def test_one_step_is_the_gradient_step():
    X, y = examples(6)
    target = np.eye(3, dtype=np.float32)[y]
    model = nn.Sequential([("fc", nn.Linear(4, 3))], (4,)).initialize(0)
    new, history = fit(
        model, X, target, epochs=1, batch_size=6, loss="squared_error", optimizer=SGD(0.5)
    )
    # y = X W^T + b, mean over all 18 elements
    W, b = (model.parameters()[f"fc.{k}"].astype(np.float64) for k in ("weight", "bias"))
    error = X.astype(np.float64) @ W.T + b - target
    assert history.losses[0] == pytest.approx((error**2).mean(), rel=1e-5)
    got = new.parameters()
    # some dozens of float32 roundings of numbers below 8
    np.testing.assert_allclose(got["fc.weight"], W - 0.5 * 2 / 18 * error.T @ X, atol=2e-5)
    np.testing.assert_allclose(got["fc.bias"], b - 0.5 * 2 / 18 * error.sum(0), atol=2e-5)


def test_same_seed_same_model_other_seed_another():
    X, y = examples()

    def run(seed):
        settings = {"epochs": 2, "batch_size": 16, "optimizer": Adam(0.05)}
        model, history = fit(small_model(dropout=True), X, y, random_state=seed, **settings)
        return tensors(model), history

    (a, history), (b, again), (c, _) = run(3), run(3), run(4)
    assert same(a, b)
    assert history == again
    assert not same(a, c)


def test_arguments_stay_as_they_were():
    X, y = examples()
    X.flags.writeable = y.flags.writeable = False
    model = small_model()
    before, state = tensors(model), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(model, X, y, epochs=1, augment=lambda batch, rng: batch + 0)
    assert same(before, tensors(model))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_frozen_tensors_keep_their_bits_and_the_rest_moves():
    X, y = examples()
    model = small_model()
    new, _ = fit(model, X, y, epochs=1, frozen={"fc1.*", "bn.*", "fc2.bias"})
    moved = {k for k, a in tensors(new).items() if not np.array_equal(a, tensors(model)[k])}
    assert moved == {"fc2.weight"}


def test_batchnorm_statistics_move_once_a_step():
    X, y = examples(30)
    model = nn.Sequential([("bn", nn.BatchNorm(4)), ("fc", nn.Linear(4, 3))], (4,)).initialize(0)
    new, _ = fit(model, X, y, epochs=1, batch_size=30)
    got = tensors(new)
    np.testing.assert_allclose(got["bn.running_mean"], 0.1 * X.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got["bn.running_var"], 0.9 + 0.1 * X.var(0, ddof=1), rtol=1e-5)


def test_every_example_is_visited_once_an_epoch_in_even_batches():
    seen = []

    def loss(output, y):
        seen.append(y)
        return squared_error(output, np.zeros_like(output))

    X = np.ones((33, 4), np.float32)
    fit(small_model(), X, np.arange(33), epochs=2, batch_size=16, loss=loss)
    assert [len(b) for b in seen] == [11] * 6
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(33))
    assert first.tolist() != second.tolist()


class Recorded(Schedule):
    """Half the rate first, then none; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def _factor(self, step, n_steps):
        self.asked.append((step, n_steps))
        return 0.5 if step == 0 else 0.0


def test_the_schedule_is_asked_for_every_step_and_obeyed():
    X, y = np.ones((4, 4), np.float32), np.zeros(4)
    model, schedule = nn.Sequential([("fc", nn.Linear(4, 1))], (4,)), Recorded()

    def slope(output, targets):
        return 0.0, np.full_like(output, 1 / len(output))

    new, _ = fit(
        model, X, y, epochs=2, batch_size=2, loss=slope, optimizer=SGD(0.25), schedule=schedule
    )
    assert schedule.asked == [(i, 4) for i in range(4)]
    assert new.parameters()["fc.bias"].tolist() == [-0.125]


def test_the_history_is_the_mean_over_examples():
    # one batch of 2 and one of 1, without learning: the loss of an example is its target
    def loss(output, y):
        return float(y.mean()), np.zeros_like(output)

    X = np.ones((3, 4), np.float32)
    model = nn.Sequential([nn.Linear(4, 1)], (4,))
    _, history = fit(model, X, np.array([0.0, 3.0, 9.0]), epochs=2, batch_size=2, loss=loss)
    assert history.losses == (4.0, 4.0)


def test_augmentation_has_its_own_stream():
    X, _ = examples()
    orders = []
    for augment in (None, lambda batch, rng: batch + 0 * rng.random(batch.shape, np.float32)):
        seen = []

        def loss(output, targets, seen=seen):
            seen.extend(targets.tolist())
            return squared_error(output, np.zeros_like(output))

        fit(small_model(), X, np.arange(60), epochs=1, loss=loss, augment=augment)
        orders.append(seen)
    assert orders[0] == orders[1]


def test_images_are_augmented():
    X = np.zeros((8, 1, 4, 4), np.float32)
    X[:, 0, 1, 1] = 1
    sums = []
    shift = shift_images(1)

    def augment(batch, rng):
        moved = shift(batch, rng)
        sums.append((batch == X[:1]).all() and not (moved == X[:1]).all())
        return moved

    model = nn.Sequential([nn.Flatten(), nn.Linear(16, 2)], (1, 4, 4)).initialize(0)
    fit(model, X, np.zeros(8, int), epochs=3, augment=augment)
    assert sums == [True] * 3


def test_the_callback_sees_each_epoch_and_may_stop():
    X, y = examples()
    calls = []

    def callback(epoch, loss, model):
        calls.append((epoch, loss, tensors(model)))
        return epoch == 3

    model, history = fit(small_model(), X, y, epochs=9, callback=callback)
    assert [c[0] for c in calls] == [1, 2, 3]
    assert tuple(c[1] for c in calls) == history.losses
    assert same(calls[-1][2], tensors(model))


def encoded_model(scale=0.01):
    codes = dense(np.random.default_rng(0).integers(-7, 8, (3, 4)), "int4")
    weight = ScaledEncoding(codes, dense(np.full((3, 1), scale), "float16"), block_shape=(1, 4))
    return nn.Sequential([("fc", nn.Linear(4, 3, weight=weight))], (4,))


def test_steps_below_half_an_ulp_of_float16_add_up():
    # float16 has steps of 2^-10 above 1; each step is 2^-13, and sixteen of them are two steps
    X, y = np.ones((1, 4), np.float32), np.zeros(1)
    calls = []

    def slope(output, targets):
        calls.append(0)
        return 0.0, np.ones_like(output)

    model = encoded_model(1.0)
    new, _ = fit(model, X, y, epochs=16, loss=slope, optimizer=Adam(2.0**-13), frozen={"fc.bias"})
    scale = new.parameters()["fc.weight"].leaves()["scale"]
    row_sums = model.parameters()["fc.weight"].leaves()["elements"].decode().sum(1)
    assert scale.format == "float16"
    assert len(calls) == 16
    # Adam moves by its learning rate against the sign of the gradient
    expected = 1 - np.sign(row_sums)[:, None] * 2.0**-9
    np.testing.assert_array_equal(scale.decode(), expected)


def test_codes_of_encodings_stay_and_formats_come_back():
    X, y = examples()
    model = encoded_model()
    new, history = fit(model, X, y, epochs=5, optimizer=Adam(0.01))
    before, after = (m.parameters()["fc.weight"].leaves() for m in (model, new))
    np.testing.assert_array_equal(before["elements"].codes, after["elements"].codes)
    assert after["scale"].format == "float16"
    assert not np.array_equal(before["scale"].codes, after["scale"].codes)
    assert history.losses[-1] < history.losses[0]


@pytest.mark.parametrize("rate", [1e30, 1e300])
def test_divergence_names_epoch_and_step_and_the_fix(rate):
    X, y = examples()
    with pytest.raises(RangeError, match=r"not finite at epoch 1, step \d+.*lower learning_rate"):
        fit(small_model(), X, y, epochs=3, batch_size=8, optimizer=SGD(rate))


def test_a_loss_that_is_not_finite_is_refused():
    X, y = examples()

    def loss(output, targets):
        return float("nan"), np.zeros_like(output)

    with pytest.raises(RangeError, match="the loss is not finite at epoch 1, step 1"):
        fit(small_model(), X, y, epochs=1, loss=loss)


def test_a_wrong_label_says_where():
    X, y = examples()
    with pytest.raises(RangeError, match=r"= 7 must be in \[0, 2\] \(in the batch of epoch 1"):
        fit(small_model(), X, np.where(y == 2, 7, y), epochs=1)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"epochs": 0}, RangeError, "epochs"),
        ({"batch_size": 0}, RangeError, "batch_size"),
        ({"loss": "hinge"}, RangeError, "'cross_entropy', 'squared_error'"),
        ({"frozen": {"fc9.*"}}, RangeError, "pattern 'fc9.*' matches none"),
        ({"frozen": "*"}, RangeError, "nothing is left to train"),
        ({"random_state": "x"}, RangeError, "random_state"),
        ({"y": np.zeros(59, int)}, ShapeError, r"X has shape \(60, 4\), y \(59,\)"),
        ({"X": np.zeros((0, 4)), "y": np.zeros(0, int)}, ShapeError, "at least one"),
        ({"X": np.full((60, 4), np.nan)}, RangeError, r"X\[0, 0\] = nan"),
    ],
)
def test_arguments_are_checked(changes, error, words):
    X, y = examples()
    arguments = {"model": small_model(), "X": X, "y": y, "epochs": 1, **changes}
    with pytest.raises(error, match=words):
        fit(**arguments)


def test_digits_are_learned():
    from refq.zoo import load_digits

    data = load_digits()
    layers = [nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm(32), nn.ReLU(), nn.Linear(32, 10)]
    model = nn.Sequential(layers, (1, 8, 8)).initialize(0)
    model, _ = fit(
        model,
        data.train.X,
        data.train.y,
        epochs=10,
        optimizer=Adam(5e-3, weight_decay=1e-2),
        schedule=Cosine(warmup=0.1),
    )
    assert (model.predict(data.test.X).argmax(1) == data.test.y).mean() > 0.94
