"""VQ-VAE: three losses and their gradients by differences, averages in order, dead codes, bits."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from refq.core.errors import RangeError, RefqError, ShapeError
from refq.encodings import Cast, CodebookEncoding
from refq.nn import Linear, Sequential, Tanh
from refq.training import (
    SGD,
    VQVAE,
    Adam,
    CodebookAverages,
    dense_vq_vae,
    fit_vq_vae,
    vq_losses,
)

BETA = 0.25


def smooth_model(seed=0):
    """Two chains with tanh and a codebook, all of them float64: differences are accurate."""
    rng = np.random.default_rng(seed)

    def chain(a, b, c):
        weights = [rng.standard_normal(s) * 0.7 for s in ((b, a), (c, b))]
        biases = [rng.standard_normal(n) * 0.3 for n in (b, c)]
        layers = [Linear(a, b, biases[0], weights[0]), Tanh(), Linear(b, c, biases[1], weights[1])]
        return Sequential(layers, (a,))

    return VQVAE(chain(3, 5, 4), chain(4, 5, 3), rng.standard_normal((6, 2)))


def data(seed=1):
    return np.random.default_rng(seed).standard_normal((7, 3))


def surrogate(model, X, fixed, commitment_weight=BETA):
    """The loss whose plain gradient straight-through means, by the three parts.

    Codes, and what stands under a stop-gradient, are those of `fixed`. In the reconstruction e is
    z + (e - z), whose bracket is a constant; so it moves with z and not with the codebook.
    """
    codes, z0, e0 = fixed
    z = model.encoder.predict(X)
    shape = z.shape
    decoded = model.decoder.predict(z + (e0 - z0).reshape(shape))
    e = model.codebook[codes]
    return {
        "reconstruction": np.mean((decoded - X) ** 2),
        "codebook": np.mean((z0 - e) ** 2),
        "commitment": commitment_weight * np.mean((z.reshape(e.shape) - e0) ** 2),
    }


def fixed_of(model, X):
    z = model.encoder.predict(X).reshape(-1, model.codebook.shape[1])
    codes = model.encode_codes(X).ravel()
    return codes, z, model.codebook[codes]


def differences(model, X, key, index, parts, h=1e-5):
    """Central differences of some parts of the surrogate by one parameter."""
    fixed, slopes = fixed_of(model, X), []
    for sign in (1, -1):
        array = model.trainable()[key].copy()
        array[index] += sign * h
        losses = surrogate(model.with_trainable({key: array}), X, fixed)
        slopes.append(sum(losses[p] for p in parts))
    return (slopes[0] - slopes[1]) / (2 * h)


PARTS = {
    "encoder": ("reconstruction", "commitment"),  # straight through, and the commitment
    "decoder": ("reconstruction",),
    "codebook": ("codebook",),  # none of the reconstruction
}


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_the_three_losses_equal_central_differences(seed):
    model, X = smooth_model(seed), data(seed)
    losses = vq_losses(model, X, BETA)
    for key, gradient in losses.gradients.items():
        assert gradient.shape == model.trainable()[key].shape
        for index in np.ndindex(gradient.shape):
            slope = differences(model, X, key, index, PARTS[key.split(".")[0]])
            # third derivatives are of order 100 at most: h^2 of that, and 2^-50 / h of rounding
            assert abs(slope - gradient[index]) < 1e-8, (key, index)


def test_each_loss_alone():
    """beta scales the commitment alone; all three are what their formulas say."""
    model, X = smooth_model(), data()
    losses = vq_losses(model, X, BETA)
    codes, z, e = fixed_of(model, X)
    decoded = model.decode_codes(codes.reshape(7, 2))
    np.testing.assert_allclose(losses.reconstruction, np.mean((decoded - X) ** 2), rtol=1e-12)
    np.testing.assert_allclose(losses.codebook, np.mean((z - e) ** 2), rtol=1e-12)
    assert losses.commitment == losses.codebook
    assert losses.codes.tolist() == codes.tolist()
    without, twice = vq_losses(model, X, 0.0), vq_losses(model, X, 2 * BETA)
    for key in losses.gradients:
        a, b, c = (r.gradients[key] for r in (without, losses, twice))
        np.testing.assert_allclose(c - b, b - a, atol=1e-14)  # linear in beta
        if not key.startswith("encoder"):
            assert a.tolist() == c.tolist()
    assert not np.array_equal(
        without.gradients["encoder.fc1.weight"], losses.gradients["encoder.fc1.weight"]
    )


def test_a_codeword_that_nothing_chose_has_no_gradient():
    model = smooth_model()
    far = model.codebook.copy()
    far[3] = 1e6
    gradient = vq_losses(replace(model, codebook=far), data()).gradients["codebook"]
    assert gradient[3].tolist() == [0.0, 0.0]


# Averages ------------------------------------------------------------------------------------


def test_averages_against_fractions():
    rng = np.random.default_rng(0)
    book = rng.integers(-8, 9, (3, 2)).astype(np.float64)
    averages, decay = CodebookAverages.start(book), Fraction(3, 4)
    N = [Fraction(1)] * 3
    m = [[Fraction(v) for v in row] for row in book.tolist()]
    for _ in range(5):
        z = rng.integers(-8, 9, (6, 2)).astype(np.float64)
        codes = rng.integers(0, 3, 6)
        averages = averages.updated(z, codes, 0.75)
        for k in range(3):
            mine = [[Fraction(v) for v in row] for row in z[codes == k].tolist()]
            N[k] = decay * N[k] + (1 - decay) * len(mine)
            m[k] = [decay * a + (1 - decay) * sum(r[j] for r in mine) for j, a in enumerate(m[k])]
        np.testing.assert_allclose(averages.counts, [float(v) for v in N], rtol=2.0**-48)
        want = [[float(a / N[k]) for a in m[k]] for k in range(3)]
        np.testing.assert_allclose(averages.codebook, want, rtol=2.0**-45, atol=2.0**-45)


def test_the_decoder_and_the_average_see_the_codebook_of_before():
    """One step with networks at rest: its codes are the old codebook's, and then that moves."""
    model, X = dense_vq_vae(3, 1, 2, 4, (), random_state=0), data().astype(np.float32)
    losses = vq_losses(model, X)
    want = CodebookAverages.start(model.codebook).updated(losses.latents, losses.codes, 0.5)
    after, history = fit_vq_vae(
        model, X, epochs=1, optimizer=SGD(1e-30), batch_size=7, decay=0.5, random_state=0
    )
    assert after.codebook.tolist() == want.codebook.astype(np.float32).tolist()
    assert history.reconstructions == (pytest.approx(losses.reconstruction, rel=1e-6),)
    # with the codebook of after, the loss would be another one
    assert vq_losses(after, X).reconstruction != pytest.approx(losses.reconstruction, rel=1e-3)


def test_without_decay_the_averages_are_a_step_of_lloyd():
    z = np.array([[0.0], [2.0], [7.0]])
    averages = CodebookAverages.start([[1.5], [6.0], [-9.0]]).updated(z, [0, 0, 1], 0.0)
    assert averages.codebook.ravel().tolist() == [1.0, 7.0, -9.0]


def test_an_unused_codeword_stays_for_ever():
    averages = CodebookAverages.start([[0.1, -0.3], [5.0, 5.0]])
    for _ in range(3000):
        averages = averages.updated([[5.0, 5.0]], [1], 0.5)
    assert averages.codebook[0].tolist() == [0.1, -0.3]
    assert np.isfinite(averages.codebook).all()


def test_dead_codewords_restart_at_latents_of_the_batch():
    averages = CodebookAverages(np.array([1.0, 0.2, 0.05]), np.array([[1.0], [0.4], [0.5]]))
    assert averages.restarted([[7.0]], 0.0) is averages
    new = averages.restarted([[7.0], [8.0]], 0.1, 0)
    assert new.codebook[:2].tolist() == averages.codebook[:2].tolist()
    assert new.codebook[2, 0] in (7.0, 8.0)
    assert new.counts.tolist() == [1.0, 0.2, 1.0]


def test_restarts_keep_the_codebook_in_use():
    """Codewords that begin far away are never chosen, unless they are restarted."""
    X = np.random.default_rng(0).standard_normal((256, 4)).astype(np.float32)
    model = dense_vq_vae(4, 1, 2, 16, (16,), random_state=0)
    far = model.codebook + 100
    far[0] = 0
    model = replace(model, codebook=far)
    settings = {"epochs": 20, "optimizer": Adam(1e-2), "decay": 0.9}
    _, collapsed = fit_vq_vae(model, X, **settings)
    _, restarted = fit_vq_vae(model, X, **settings, dead_below=0.2)
    assert collapsed.perplexities[-1] == 1.0
    assert restarted.perplexities[-1] > 8
    assert restarted.reconstructions[-1] < 0.8 * collapsed.reconstructions[-1]


# Training and bits ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return (load_digits().data / 16).astype(np.float32)


@pytest.fixture(scope="module")
def trained(digits):
    model = dense_vq_vae(64, 4, 8, 32, (64,), random_state=0)
    return fit_vq_vae(
        model, digits[:800], epochs=20, optimizer=Adam(5e-3), decay=0.95, dead_below=0.05
    )


def test_it_learns_images_it_has_not_seen(digits, trained):
    model, history = trained
    held = digits[800:1200]
    error = np.mean((model.decode_codes(model.encode_codes(held)) - held) ** 2)
    constant = np.mean((held - digits[:800].mean(axis=0)) ** 2)
    assert error < 0.6 * constant
    assert history.reconstructions[-1] < 0.5 * history.reconstructions[0]
    assert history.perplexities[-1] > 20


def test_the_encoding_holds_codes_and_codebook_and_counts_them(digits, trained):
    model, _ = trained
    e = model.encode(digits[:100])
    assert isinstance(e, CodebookEncoding)
    assert e.shape == (100, 32)
    assert e.stored_bits == 100 * 4 * 5 + 32 * 8 * 16
    assert model.decoder_bits == 32 * (32 * 64 + 64 + 64 * 64 + 64)
    back = type(e).from_bytes(e.to_bytes())
    assert model.decode(back).tolist() == model.decode(e).tolist()
    exact = model.encode(digits[:100], Cast("float32"))
    codes = model.encode_codes(digits[:100])
    assert exact.codes.decode().tolist() == codes.tolist()
    assert model.decode(exact).tolist() == model.decode_codes(codes).tolist()


@pytest.fixture(scope="module")
def patches():
    """Grey patches of a photograph: the left three quarters, and the right quarter."""
    from refq.zoo import cut_patches, load_image

    grid = cut_patches((load_image("china").mean(axis=2) / 255).astype(np.float32), 8, 8)
    return grid[:, :60].reshape(-1, 64), grid[:, 60:].reshape(-1, 64)


@pytest.fixture(scope="module")
def trained_on_patches(patches):
    start = dense_vq_vae(64, 4, 8, 32, (64,), random_state=0)
    settings = {"optimizer": Adam(2e-3), "decay": 0.95, "dead_below": 0.05}
    return start, *fit_vq_vae(start, patches[0], epochs=5, **settings)


def test_a_few_epochs_on_patches_lower_all_losses(patches, trained_on_patches):
    """On the patches it saw and on those of another place.

    Measured with three seeds: the reconstruction falls to less than 1/90, the distance of latents
    and codewords to less than 1/50; a constant's error is 6 times the reconstruction's or more.
    """
    start, model, history = trained_on_patches
    assert history.reconstructions[-1] < history.reconstructions[0]
    assert history.commitments[-1] < history.commitments[0]
    for X in patches:
        before, after = vq_losses(start, X), vq_losses(model, X)
        assert after.reconstruction < before.reconstruction / 20
        assert after.codebook < before.codebook / 10
        assert after.commitment < before.commitment / 10
        constant = np.mean((X - patches[0].mean(axis=0)) ** 2)
        assert after.reconstruction < constant / 3


def test_the_encoding_of_patches_decodes_to_the_reconstruction(patches, trained_on_patches):
    """With the codebook stored exactly: the bytes give what the training loss compares with X."""
    _, model, _ = trained_on_patches
    held = patches[1]
    e = model.encode(held, Cast("float32"))
    assert e.stored_bits == len(held) * 4 * 5 + 32 * 8 * 32
    back = model.decode(type(e).from_bytes(e.to_bytes()))
    z = model.encoder.predict(held).reshape(-1, 8)
    # the nearest codeword by all differences, in float64, apart from the library's search
    d = ((z[:, None].astype(np.float64) - model.codebook[None]) ** 2).sum(axis=2)
    latents = model.codebook[d.argmin(axis=1)].reshape(len(held), 32)
    assert e.decode().tolist() == latents.tolist()
    assert back.tolist() == model.decoder.predict(latents).tolist()
    # outputs of at most 128 float32 roundings, about 2^-17 in all, against an error of root mean
    # square above 0.1: the mean square moves by 2 * 2^-17 / 0.1 of itself
    mean = np.mean((back.astype(np.float64) - held) ** 2)
    assert mean > 0.1**2
    assert mean == pytest.approx(vq_losses(model, held).reconstruction, rel=2e-4)


@pytest.mark.parametrize("rule", ["averages", "gradient"])
def test_the_same_seed_gives_the_same_model_and_nothing_is_changed(rule):
    X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    model = dense_vq_vae(4, 2, 2, 8, (8,), random_state=0)
    before = {k: v.copy() for k, v in model.trainable().items()}
    runs = [
        fit_vq_vae(model, X, epochs=2, codebook_rule=rule, dead_below=0.5, random_state=3)[0]
        for _ in range(2)
    ]
    for key, array in runs[0].trainable().items():
        assert array.tobytes() == runs[1].trainable()[key].tobytes()
        assert array.dtype == np.float32
        assert not np.array_equal(array, before[key])
        assert model.trainable()[key].tobytes() == before[key].tobytes()


def test_the_gradient_rule_moves_codewords_by_the_codebook_loss():
    model, X = dense_vq_vae(3, 1, 2, 4, (), random_state=0), data().astype(np.float32)
    gradient = vq_losses(model, X).gradients["codebook"]
    after, _ = fit_vq_vae(
        model, X, epochs=1, optimizer=SGD(0.5, momentum=0.0), batch_size=7, codebook_rule="gradient"
    )
    np.testing.assert_allclose(after.codebook, model.codebook - 0.5 * gradient, atol=1e-6)


def test_refusals():
    model = dense_vq_vae(4, 2, 3, 8, random_state=0)
    with pytest.raises(ShapeError, match="no codewords"):
        replace(model, codebook=np.ones((8, 5), np.float32))
    with pytest.raises(ShapeError, match="the decoder maps"):
        VQVAE(model.encoder, model.encoder, model.codebook)
    with pytest.raises(RefqError):
        vq_losses(model, np.empty((0, 4), np.float32))
    with pytest.raises(RangeError, match="nan"):
        vq_losses(model, np.full((1, 4), np.nan, np.float32))
    with pytest.raises(ShapeError, match="at least one"):
        fit_vq_vae(model, np.empty((0, 4), np.float32), epochs=1)
    with pytest.raises(RangeError, match="codebook_rule"):
        fit_vq_vae(model, np.ones((2, 4), np.float32), epochs=1, codebook_rule="ema")
    with pytest.raises(ShapeError, match="codes"):
        model.decode_codes([[1]])
    with pytest.raises(RefqError, match="codes"):
        model.decode_codes([[1, 8]])
    with pytest.raises(RangeError, match="codes lie"):
        CodebookAverages.start([[0.0]]).updated([[1.0]], [1], 0.5)
