"""Data sets: shapes, exact values, and splits that never change and never leak."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import RangeError, ShapeError
from refq.zoo import Split, find_fashion, load_digits, load_fashion
from refq.zoo.datasets import stratified_split


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def images(split):
    return {x.tobytes() for x in split.X}


def test_sizes_and_dtypes(digits):
    for split, n in ((digits.train, 1200), (digits.calibration, 256), (digits.test, 597)):
        assert (split.X.shape, split.X.dtype) == ((n, 1, 8, 8), np.float32)
        assert (split.y.shape, split.y.dtype) == ((n,), np.int64)
        assert len(split) == n
    assert digits.class_names == tuple("0123456789")


def test_values_are_sixteenths(digits):
    codes = digits.train.X * 16
    np.testing.assert_array_equal(codes, np.rint(codes))
    assert (codes.min(), codes.max()) == (0, 16)


def test_no_test_image_was_seen(digits):
    assert not images(digits.test) & images(digits.train)
    assert images(digits.calibration) <= images(digits.train)


def test_train_and_test_are_all_the_images(digits):
    from sklearn.datasets import load_digits as original

    pixels, labels = original(return_X_y=True)
    want = sorted((*p, c) for p, c in zip(pixels.tolist(), labels.tolist(), strict=True))
    X = np.concatenate([digits.train.X, digits.test.X]).reshape(1797, 64) * 16
    y = np.concatenate([digits.train.y, digits.test.y])
    assert sorted((*p, c) for p, c in zip(X.tolist(), y.tolist(), strict=True)) == want


def test_every_class_has_its_share(digits):
    total = np.bincount(digits.train.y) + np.bincount(digits.test.y)
    assert (abs(np.bincount(digits.test.y) - 597 * total / 1797) < 1).all()
    share = 256 * np.bincount(digits.train.y) / 1200
    assert (abs(np.bincount(digits.calibration.y) - share) < 1).all()


def test_the_splits_are_what_they_always_were(digits):
    def fingerprint(split):
        codes = (split.X * 16).astype(np.uint8).tobytes() + split.y.astype("<i8").tobytes()
        return hashlib.sha256(codes).hexdigest()[:16]

    splits = (digits.train, digits.calibration, digits.test)
    assert [fingerprint(s) for s in splits] == FINGERPRINTS


FINGERPRINTS = ["00eee97163ae617a", "c595e8bcad0539ee", "80d90bcab4d3e5fd"]


def test_arrays_are_read_only(digits):
    with pytest.raises(ValueError, match="read-only"):
        digits.test.X[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        digits.train.y[0] = 1


@given(st.lists(st.sampled_from([0, 1, 3]), min_size=1, max_size=30), st.data())
def test_stratified_split_is_a_partition_in_proportion(labels, data):
    y = np.array(labels)
    n = data.draw(st.integers(0, len(y)))
    drawn, rest = stratified_split(y, n, data.draw(st.integers(0, 9)))
    assert sorted([*drawn, *rest]) == list(range(len(y)))
    assert len(drawn) == n
    assert (np.diff(drawn) > 0).all()
    for label in set(labels):
        quota, remainder = divmod(n * labels.count(label), len(y))
        got = labels_at(labels, drawn).count(label)
        assert got in ({quota} if remainder == 0 else {quota, quota + 1})


def labels_at(labels, indices):
    return [labels[i] for i in indices]


def test_other_seeds_draw_others():
    y = np.zeros(100, int)
    assert stratified_split(y, 50, 0)[0].tolist() != stratified_split(y, 50, 1)[0].tolist()
    assert stratified_split(y, 50, 0)[0].tolist() == stratified_split(y, 50, 0)[0].tolist()


@pytest.mark.parametrize("n", [-1, 4])
def test_no_more_than_there_are(n):
    with pytest.raises(RangeError, match=r"must be in \[0, 3\]"):
        stratified_split(np.zeros(3, int), n)


def test_a_split_must_fit():
    with pytest.raises(ShapeError, match="X has shape"):
        Split(np.zeros((2, 1, 8, 8)), np.zeros(3))
    with pytest.raises(ShapeError, match="X has shape"):
        Split(np.zeros((2, 64)), np.zeros(2))


def test_fashion():
    try:
        find_fashion()
    except RangeError as error:
        pytest.skip(str(error))
    data = load_fashion()
    sizes = [(len(s), s.X.shape[1:]) for s in (data.train, data.calibration, data.test)]
    assert sizes == [(n, (1, 28, 28)) for n in (60_000, 1000, 10_000)]
    assert np.bincount(data.train.y).tolist() == [6000] * 10
    assert np.bincount(data.calibration.y).tolist() == [100] * 10
    assert np.bincount(data.test.y).tolist() == [1000] * 10
    assert (data.test.X.dtype, data.test.y.dtype) == (np.float32, np.int64)
    assert (data.test.X.min(), data.test.X.max()) == (0, 1)
    codes = np.rint(data.test.X[:100] * np.float32(255))
    np.testing.assert_array_equal(codes / np.float32(255), data.test.X[:100])
    assert not images(data.test) & images(data.train)
    assert data.class_names[data.test.y[0]] == "Ankle boot"
