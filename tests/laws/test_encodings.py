"""Every law of encodings on every noun example, on drawn graphs, and on what methods give."""

import pytest
from hypothesis import given, settings

from refq.conformance.drawn_encodings import encodings
from refq.conformance.laws import Law, laws_for
from refq.conformance.subjects import MethodSubject, method_examples, noun_examples, plain_array
from refq.encodings import NOUNS, Encoding, Leaf, Method

LAWS = laws_for("encoding")
NODES = dict(noun_examples())
METHODS = dict(method_examples())

law_ids = [law.name for law in LAWS]


@pytest.mark.parametrize("law", LAWS, ids=law_ids)
@pytest.mark.parametrize("name", NODES)
def test_law_on_every_noun(law: Law, name: str) -> None:
    law.check(NODES[name])


@pytest.mark.parametrize("law", LAWS, ids=law_ids)
@given(encoding=encodings())
def test_law_on_drawn_graphs(law: Law, encoding: Encoding) -> None:
    law.check(encoding)


@given(encoding=encodings(depth=3))
@settings(max_examples=max(settings.default.max_examples // 5, 1))
def test_laws_on_deeper_graphs(encoding: Encoding) -> None:
    for law in LAWS:
        law.check(encoding)


@pytest.mark.parametrize("name", METHODS)
def test_laws_on_what_a_method_gives(name: str) -> None:
    method: Method = METHODS[name]
    encoding = MethodSubject.of(method, plain_array()).encoding
    for law in LAWS:
        law.check(encoding)


def test_examples_cover_every_noun() -> None:
    nouns = {name for name in NOUNS if NOUNS[name].__module__.startswith("refq.")}
    assert {type(encoding).__name__ for encoding in NODES.values()} == nouns


def test_examples_and_draws_share_parts() -> None:
    def shares(encoding: Encoding) -> bool:
        reached = sum(len(node.parts()) for node in encoding.nodes())
        return reached > len(encoding.nodes()) - 1

    assert any(shares(encoding) for encoding in NODES.values())
    found = []

    @settings(max_examples=100, derandomize=True, database=None)
    @given(encoding=encodings())
    def draw(encoding: Encoding) -> None:
        found.append(encoding)

    draw()
    assert sum(map(shares, found)) >= 5
    drawn = {type(node) for encoding in found for node in encoding.nodes()}
    assert drawn == {type(encoding) for encoding in NODES.values()}
    assert any(
        isinstance(node, Leaf) and node.coding == "gaps" for e in found for node in e.nodes()
    )
