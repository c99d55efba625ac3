"""Every law of methods on every example of every method."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refq.conformance.arrays import KINDS, PLAIN_SHAPES, RAGGED_SHAPES, weight_arrays
from refq.conformance.laws import Law, laws_for
from refq.conformance.subjects import MethodSubject, method_examples, plain_array
from refq.encodings import METHODS

LAWS = laws_for("method")
#: what is judged on drawn arrays; contract and edges (L6, L7) do not depend on the numbers
NUMERIC = [law for law in LAWS if law.name.split()[0] in ("L1", "L2", "L3")]
COMPOSED = [law for law in laws_for("encoding") if law.name.split()[0] in ("L4", "L9")]
EXAMPLES = dict(method_examples())

# ragged shapes are often refused (no group divides 7), so the plain ones come more often
SHAPES = [PLAIN_SHAPES[0], PLAIN_SHAPES[0], *PLAIN_SHAPES, *RAGGED_SHAPES]


@pytest.fixture(scope="module")
def plain_subjects() -> dict[str, MethodSubject]:
    return {name: MethodSubject.of(method, plain_array()) for name, method in EXAMPLES.items()}


def test_every_method_has_examples() -> None:
    own = {name for name, found in METHODS.items() if found.__module__.startswith("refq.")}
    assert {name.rsplit("-", 1)[0] for name in EXAMPLES} == own
    assert all(f"{name}-1" in EXAMPLES for name in own), "two or three examples each"


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
@pytest.mark.parametrize("name", EXAMPLES)
def test_law_on_plain_array(law: Law, name: str, plain_subjects: dict[str, MethodSubject]) -> None:
    assert plain_subjects[name].refusal is None
    law.check(plain_subjects[name])


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", EXAMPLES)
def test_laws_on_kinds_of_arrays(name: str, kind: str) -> None:
    W = KINDS[kind](np.random.default_rng(5), (12, 16)).astype(np.float32)
    subject = MethodSubject.of(EXAMPLES[name], W)
    if subject.refusal is None:  # a RefqError is a refusal; anything else has passed through
        for law in NUMERIC:
            law.check(subject)
    else:
        assert kind in ("constant", "subnormal", "signed zeros", "wide"), subject.refusal


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=max(settings.default.max_examples // 3, 1))
@given(W=weight_arrays(shapes=SHAPES), other=st.sampled_from([None, "normal", "near"]))
def test_laws_on_drawn_arrays(name: str, W: NDArray[np.floating], other: str | None) -> None:
    X = None
    if other == "normal":
        X = (2 * np.random.default_rng(W.size).standard_normal(W.shape)).astype(W.dtype)
    elif other == "near":
        X = W[::-1].copy()
    subject = MethodSubject.of(EXAMPLES[name], W, X)
    if subject.refusal is None:
        for law in NUMERIC:
            law.check(subject)
        for law in COMPOSED:
            law.check(subject.encoding)
