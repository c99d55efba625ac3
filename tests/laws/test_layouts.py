"""Every law of layouts on every type that a layout reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.conformance.laws import Law, laws_for
from refq.conformance.layout_subjects import layout_examples

LAWS = laws_for("layout")
NAMES = list(dict(layout_examples()))


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
@pytest.mark.parametrize("name", NAMES)
def test_law_on_every_example(law: Law, name: str) -> None:
    law.check(dict(layout_examples())[name])


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
@given(seed=st.integers(0, 1 << 20))
def test_law_on_other_bytes(law: Law, seed: int) -> None:
    for _, subject in layout_examples(seed):
        law.check(subject)
