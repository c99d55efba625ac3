"""Plans in files mean what methods print, and nothing in them is executed."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.core.errors import FormatError, RangeError, RefqError
from refq.core.granularity import PerAxis, PerBlock, PerGroup, PerToken
from refq.encodings import Cast
from refq.passes.plan_files import known_methods, method_from_text, plan_from_json, read_plan
from refq.pruning import FilterPruner
from refq.scalar import AffineQuantizer, MinMaxRange, PercentileRange

EXAMPLES = [m for kind in known_methods().values() for m in kind.examples()]


@pytest.mark.parametrize("method", EXAMPLES, ids=repr)
def test_every_method_is_read_back_from_what_it_prints(method):
    assert repr(method_from_text(repr(method))) == repr(method)


@pytest.mark.parametrize("granularity", [PerAxis(-1), PerGroup(7), PerBlock((2, 3)), PerToken()])
@pytest.mark.parametrize("found", [MinMaxRange(), PercentileRange(99.5)])
def test_arguments_may_be_values_of_their_own(granularity, found):
    method = AffineQuantizer(bits=4, granularity=granularity, range_method=found)
    again = method_from_text(repr(method))
    assert again.granularity == granularity
    assert again.range_method == found
    assert again.bits == 4


def test_positional_negative_and_nested_arguments():
    made = method_from_text(" AffineQuantizer(4, PerGroup(8, -2), scale_method=Cast('float32')) ")
    assert made.granularity == PerGroup(8, -2)
    assert made.scale_method.format == "float32"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('echo no')", "column 1: a method is called by its plain name"),
        ("eval('1')", "column 1: 'eval' is no method"),
        ("AfineQuantizer()", "did you mean AffineQuantizer?"),
        ("AffineQuantizer(bits=1 + 1)", "column 22: allowed are"),
        ("AffineQuantizer(bits=[b for b in (1,)])", "column 22: allowed are"),
        ("AffineQuantizer(bits=-'a')", "column 22: allowed are"),
        ("AffineQuantizer(bits=b'a')", "column 22: allowed are"),
        ("AffineQuantizer(**{})", "no [*][*] may stand"),
        ("AffineQuantizer(*(1, 2))", "column 17: allowed are"),
        ("AffineQuantizer(wits=4)", "column 1: AffineQuantizer: .*wits"),
        ("AffineQuantizer(bits=99)", "column 1: AffineQuantizer: bits = 99"),
        ("AffineQuantizer(bits=4,, )", "column 24"),
        ("AffineQuantizer(granularity=PerGroup(0))", "column 29: PerGroup: "),
        ("AffineQuantizer", "allowed are calls"),
        ("PerGroup(4)", "is no method"),
        ("4", "is no method"),
        ("", "column"),
        ("lambda: 0", "allowed are"),
        ("Cast(); Cast()", "column"),
        ("(" * 1500, "column|no call"),
        ("-" * 1900 + "1", "no call|recursion|allowed|no method"),
        ("Cast('" + "a" * 3000 + "')", "at most 2000"),
        ("Cast('a\x00')", "column|no call"),
    ],
)
def test_everything_else_is_an_error_that_says_where(text, says):
    with pytest.raises(RefqError, match=says):
        method_from_text(text)


@given(st.text(st.sampled_from("AffineQuantizer(Cast)='float16',-1.[]{}:*\"\\\n #_"), max_size=40))
def test_no_text_raises_anything_but_refqs_own_errors(text):
    try:
        method_from_text(text)
    except RefqError:
        return


def test_nothing_is_imported_by_a_text():
    before = set(sys.modules)
    with pytest.raises(FormatError):
        method_from_text("__import__('antigravity')")
    assert "antigravity" not in set(sys.modules) - before


def test_a_file_is_a_plan_in_its_order(tmp_path):
    plan = {"fc*": FilterPruner(sparsity=0.5), "*.bias": Cast(), "conv*": AffineQuantizer(bits=4)}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({k: repr(m) for k, m in plan.items()}))
    read = read_plan(path)
    assert [(k, repr(m)) for k, m in read.items()] == [(k, repr(m)) for k, m in plan.items()]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('{"a": "Cast()", "a": "Cast()"}', FormatError, "'a' twice"),
        ('{"a": "Cast(4)"}', RangeError, r"plan\['a'\], column 1: Cast: format = 4"),
        ('{"a": {"b": "Cast()"}}', FormatError, r"plan\['a'\] must be the text"),
        ('{"a": 4}', FormatError, r"plan\['a'\] must be the text"),
        ('["Cast()"]', FormatError, "must be a JSON object"),
        ("{}", RangeError, "empty"),
        ("{", FormatError, "must be JSON"),
        ("[" * 100_000, FormatError, "must be JSON"),
        ("null", FormatError, "must be a JSON object"),
    ],
)
def test_what_is_no_plan_is_an_error(text, error, says):
    with pytest.raises(error, match=says):
        plan_from_json(text)


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "plan.json"
    with pytest.raises(FormatError, match=r"plan\.json is no file"):
        read_plan(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match=r"plan\.json: a plan must be text in UTF-8"):
        read_plan(path)
    path.write_text('{"a": "Cat()"}')
    with pytest.raises(FormatError, match=r"plan\.json: plan\['a'\], column 1: 'Cat' is no"):
        read_plan(path)
    path.write_text(" " * ((1 << 20) + 1))
    with pytest.raises(FormatError, match="at most 1048576"):
        read_plan(path)


def test_methods_of_strangers_are_not_called():
    class Strange(Cast):
        """A method that some other code has defined."""

    try:
        assert "Strange" not in known_methods()
    finally:
        from refq.encodings import METHODS

        del METHODS["Strange"]
