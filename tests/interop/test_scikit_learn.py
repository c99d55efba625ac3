"""Methods in scikit-learn's hands: its own checks, pipelines, searches, and what the codes mean."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from refq import (
    AffineQuantizer,
    KMeansQuantizer,
    LloydMaxQuantizer,
    MagnitudePruner,
    OptimalLevelQuantizer,
    OptimizedProductQuantizer,
    PerAxis,
    PerBlock,
    PerGroup,
    ProductQuantizer,
    ResidualQuantizer,
)
from refq.core.errors import NotFittedError as RefqNotFittedError
from refq.core.errors import RangeError, ShapeError
from refq.interop.scikit_learn import CodecTransformer

COLUMNS = AffineQuantizer(bits=8, granularity=PerAxis(1))
METHODS = [
    KMeansQuantizer(3, random_state=0),
    ProductQuantizer(2, 3, random_state=0),
    OptimizedProductQuantizer(2, 3, max_iter=2, start_iter=3, random_state=0),
    ResidualQuantizer(2, 3, random_state=0),
    OptimalLevelQuantizer(5),
    LloydMaxQuantizer(5),
    COLUMNS,
    AffineQuantizer(bits=4, scheme="symmetric"),
]


@parametrize_with_checks([CodecTransformer(method) for method in METHODS])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def data(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * np.arange(1, d + 1)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_codes_and_vectors_are_the_methods(method):
    X = data()
    t = CodecTransformer(method).fit(X)
    codes = t.transform(X)
    assert_array_equal(codes, t.fit_transform(X))
    assert codes.dtype == (np.int8 if getattr(method, "scheme", "") == "symmetric" else np.uint8)
    decoded = t.inverse_transform(codes)
    assert decoded.shape == X.shape
    # the encoding of the same array is another way to the same numbers
    encoding = method.clone().fit(X).encode(X)
    np.testing.assert_allclose(decoded, encoding.decode(), rtol=1e-6, atol=1e-6)
    assert t.score(X) == pytest.approx(-np.mean((X - decoded) ** 2))
    assert not hasattr(method, "fitted_shape_"), "the method that was given was fitted"


@pytest.mark.parametrize("n_subspaces", [1, 2, 3, 4, 5])
def test_any_number_of_subspaces(n_subspaces):
    X = data()
    t = CodecTransformer(ProductQuantizer(n_subspaces, 60, random_state=0)).fit(X)
    assert t.transform(X).shape == (60, n_subspaces)
    # as many codewords as rows: only the storage in float16 loses something
    np.testing.assert_allclose(t.inverse_transform(t.transform(X)), X, rtol=2**-11, atol=2**-24)


def test_unseen_rows_of_any_number_use_the_columns_own_scales():
    X = data()
    t = CodecTransformer(COLUMNS).fit(X)
    new = data(7, seed=1)
    scale, zero = t.method_.scale_[0], t.method_.zero_point_[0].astype(int)
    assert scale.shape == (5,)
    by_hand = np.clip(np.rint(new / scale) + zero, 0, 255)
    assert_array_equal(t.transform(new), by_hand)
    assert_array_equal(t.inverse_transform(by_hand.astype(int)), ((by_hand - zero) * scale))
    assert t.inverse_transform(np.zeros((0, 5), np.uint8)).shape == (0, 5)


def test_wide_codes_and_iterations():
    X = data(300)
    t = CodecTransformer(ProductQuantizer(1, 300, max_iter=3, random_state=0)).fit(X)
    assert t.transform(X).dtype == np.uint16
    for method in METHODS:
        if "max_iter" in method.get_params():
            t = CodecTransformer(method).fit(X)
            assert type(t.n_iter_) is int
            assert 1 <= t.n_iter_ <= method.max_iter


def test_pipeline_and_search():
    X = data(120, 6)
    pipe = make_pipeline(StandardScaler(), CodecTransformer(ProductQuantizer(random_state=0)))
    grid = {
        "codectransformer__method__n_subspaces": [2, 4],
        "codectransformer__method__n_codewords": [2, 8],
        "codectransformer__method__codebook_method__format": ["float16"],
    }
    search = GridSearchCV(pipe, grid, cv=3).fit(X)
    best = search.best_estimator_[-1].method
    # more codes and more codewords: less error, also on held-out rows
    assert (best.n_subspaces, best.n_codewords) == (4, 8)
    assert search.best_score_ < 0
    methods = {"codectransformer__method": [KMeansQuantizer(2, random_state=0), COLUMNS]}
    best = GridSearchCV(pipe, methods, cv=3).fit(X).best_params_["codectransformer__method"]
    assert isinstance(best, AffineQuantizer)
    # the pipeline leads back to the unit of the data: errors of the scaled data, times its scale
    pipe = search.best_estimator_
    decoded = pipe.inverse_transform(pipe.transform(X))
    assert np.mean((decoded - X) ** 2) < np.mean(X**2)


def test_clone_copies_the_method_and_nothing_learned():
    t = CodecTransformer(ProductQuantizer(2, 3, random_state=0)).fit(data())
    copy = clone(t)
    assert repr(copy) == repr(t)
    assert copy.method is not t.method
    assert not hasattr(copy, "method_")
    copy.set_params(method__n_codewords=2)
    assert (copy.method.n_codewords, t.method.n_codewords) == (2, 3)


def test_names_and_set_output():
    t = CodecTransformer(METHODS[1]).fit(data())
    assert t.get_feature_names_out().tolist() == ["codectransformer0", "codectransformer1"]
    assert isinstance(t.set_output(transform="default").transform(data()), np.ndarray)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X = pandas.DataFrame(data(), columns=list("abcde"))
    framed = clone(t).set_output(transform="pandas").fit(X).transform(X)
    assert list(framed.columns) == ["codectransformer0", "codectransformer1"]
    assert_array_equal(framed.to_numpy(), t.transform(data()))
    assert_array_equal(t.inverse_transform(framed), t.inverse_transform(t.transform(data())))


def test_the_default_is_shared_weights():
    t = CodecTransformer().fit(data())
    assert isinstance(t.method_, KMeansQuantizer)
    assert t.method is None


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (MagnitudePruner(), "codes one array, not rows"),
        (AffineQuantizer(granularity=PerAxis(0)), "a scale for every 1 rows"),
        (AffineQuantizer(granularity=PerGroup(4)), "a scale for every 1 rows"),
        (AffineQuantizer(granularity=PerBlock((2, 2))), "a scale for every 2 rows"),
        (ProductQuantizer(6), "n_features = 5"),
        (ProductQuantizer(2, 61), "n_samples = 60"),
        (ProductQuantizer(2, 0), "n_codewords"),
    ],
)
def test_refuses(method, words):
    with pytest.raises((RangeError, ShapeError), match=words):
        CodecTransformer(method).fit(data())


def test_errors_are_whose_they_are():
    t = CodecTransformer(METHODS[1])
    for call in (t.transform, t.inverse_transform, t.score):
        with pytest.raises(NotFittedError) as caught:
            call(np.zeros((2, 2), np.uint8))
        assert not isinstance(caught.value, RefqNotFittedError)
    t.fit(data())
    with pytest.raises(ShapeError, match=r"needs \(n, 2\)"):
        t.inverse_transform(np.zeros((4, 3), np.uint8))
    with pytest.raises(RangeError, match="codes"):
        t.inverse_transform(np.full((4, 2), 3, np.uint8))
    with pytest.raises(RangeError, match="codes"):
        CodecTransformer(COLUMNS).fit(data()).inverse_transform(np.full((4, 5), 256))
    with pytest.raises(RefqNotFittedError):
        METHODS[1].clone().encode_codes(data())


def test_importing_the_door_does_not_load_scikit_learn():
    code = (
        "import sys, refq, refq.interop\n"
        "assert 'sklearn' not in sys.modules\n"
        "assert 'scikit_learn' in dir(refq.interop)\n"
        "refq.interop.scikit_learn.CodecTransformer\n"
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
