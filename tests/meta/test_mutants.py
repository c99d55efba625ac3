"""Every law kills its mutants, and does not object where nothing is planted."""

import collections

import pytest

from refq.conformance.laws import LAWS
from refq.conformance.mutants import MUTANTS, mutants_of, survives


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_killed(name: str) -> None:
    assert survives(MUTANTS[name]) is None


@pytest.mark.parametrize("name", MUTANTS)
def test_subjects_pass_without_the_mistake(name: str) -> None:
    assert survives(MUTANTS[name], planted=False) is not None


@pytest.mark.parametrize("law", LAWS)
def test_law_has_a_mutant(law: str) -> None:
    assert mutants_of(law)


def test_many_mutants_where_it_matters() -> None:
    counts = collections.Counter(mutant.law.split()[0] for mutant in MUTANTS.values())
    assert all(counts[number] >= 3 for number in ("L1", "L2", "L3", "L4", "L5", "L9", "L10"))


def test_mutants_leave_nothing_behind() -> None:
    from refq.conformance.judging import judge_method
    from refq.conformance.textbook import textbook_quantizer

    for mutant in MUTANTS.values():
        with mutant.apply():
            pass
    failed = [v.story for v in judge_method(textbook_quantizer()) if v.word == "fail"]
    assert not failed
