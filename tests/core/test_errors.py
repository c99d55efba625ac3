"""One family of errors."""

import pickle

import pytest

from refq.core import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_a_refq_error_and_a_value_error(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.RefqError)
    assert issubclass(kind, ValueError)
    assert kind.__doc__
    back = pickle.loads(pickle.dumps(kind("x[3] = nan")))
    assert (type(back), str(back)) == (kind, "x[3] = nan")


def test_the_list_is_complete():
    found = {n for n, v in vars(errors).items() if isinstance(v, type)}
    assert found == set(errors.__all__)
