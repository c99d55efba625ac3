"""Laws tell a story when broken, are silent where they do not apply, and survive crashes."""

import numpy as np
import pytest

from refq.conformance.judging import judge, judge_method, matrix, show_matrix
from refq.conformance.laws import LAWS, LawViolation, law, laws_for
from refq.conformance.mutants import MUTANTS
from refq.conformance.subjects import MethodSubject, plain_array
from refq.conformance.textbook import textbook_quantizer
from refq.core.errors import RangeError
from refq.encodings import Cast, dense


@pytest.mark.parametrize("name", MUTANTS)
def test_story_has_four_lines_and_the_sentence(name: str) -> None:
    mutant = MUTANTS[name]
    made = LAWS[mutant.law]
    with mutant.apply():
        stories = [v.story for v in (judge(made, s) for s in mutant.subjects()) if v.word == "fail"]
    assert stories
    for story in stories:
        lines = story.splitlines()
        assert [line.split(":")[0] for line in lines] == ["law", "given", "expected", "got"], story
        assert made.sentence in lines[0]
        assert lines[2].split(":", 1)[1].strip() != lines[3].split(":", 1)[1].strip()


@pytest.mark.parametrize("name", LAWS)
def test_law_is_written_down(name: str) -> None:
    made = LAWS[name]
    assert made.name == name
    assert made.sentence.endswith(".")
    assert made.source
    assert name.split()[0][1:].isdigit()


def test_law_that_does_not_apply_is_silent() -> None:
    class _Forgetful(type(textbook_quantizer())):  # type: ignore[misc]
        memoryless = False

    subject = MethodSubject(_Forgetful(), plain_array())
    assert judge(LAWS["L2 memoryless"], subject).word == "not applicable"
    LAWS["L2 memoryless"].check(subject)


def test_refusal_and_crash_are_told_apart() -> None:
    huge = MethodSubject(Cast("float16"), np.full((2, 2), 1e6, np.float32))
    assert judge(LAWS["L1 promise"], huge).word == "refused"

    class _Crashing(type(textbook_quantizer())):  # type: ignore[misc]
        def _encode(self, W):  # type: ignore[no-untyped-def]
            raise ZeroDivisionError("planted")

    verdict = judge(LAWS["L1 promise"], MethodSubject(_Crashing(), plain_array()))
    assert verdict.word == "fail"
    assert "ZeroDivisionError: planted" in verdict.story


def test_a_teachers_own_method_is_judged() -> None:
    class _Truncating(type(textbook_quantizer())):  # type: ignore[misc]
        def codes(self, x, scale, zero):  # type: ignore[no-untyped-def]
            return np.clip(np.trunc(x / scale) + zero, 0, (1 << self.bits) - 1).astype(np.uint8)

    broken = {v.law for v in judge_method(_Truncating()) if v.word == "fail"}
    assert "L3 error bound" in broken
    assert not [v for v in judge_method(textbook_quantizer()) if v.word == "fail"]


def test_registration_is_checked() -> None:
    with pytest.raises(RangeError, match="is taken"):
        law("L2 memoryless", sentence="", source="", applies_to="method")
    with pytest.raises(RangeError, match="'teapot'"):
        law("L99 new", sentence="", source="", applies_to="teapot")
    with pytest.raises(RangeError):
        laws_for("teapot")
    assert "L99 new" not in LAWS


def test_violation_is_an_assertion_error() -> None:
    assert issubclass(LawViolation, AssertionError)


def test_matrix_shows_failures() -> None:
    with MUTANTS["scales not counted"].apply():
        rows = matrix([("cast", Cast()), ("book", textbook_quantizer().fit_encode(plain_array()))])
    table = show_matrix(rows)
    cast, book = table.splitlines()[2:]
    assert "FAIL" not in cast
    assert book.count("FAIL") == 1


def test_leaf_alone_has_no_composed_laws_to_break() -> None:
    assert all(judge(made, dense([1.5, 2.0])).word != "fail" for made in laws_for("encoding"))
