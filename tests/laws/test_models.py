"""Every law of models on every model example."""

import pytest

from refq.conformance.laws import Law, laws_for
from refq.conformance.small_models import model_examples

LAWS = laws_for("model")
MODELS = dict(model_examples())


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
@pytest.mark.parametrize("name", MODELS)
def test_law_on_every_example(law: Law, name: str) -> None:
    law.check(MODELS[name])
