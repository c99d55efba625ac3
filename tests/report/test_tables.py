"""Columns are aligned, whatever stands in them."""

import math

from hypothesis import given
from hypothesis import strategies as st

from refq.report.tables import number, text_table

cells = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[cells] * n), min_size=1)), st.data()
)
def test_cells_stand_where_the_rule_above_them_says(rows, data):
    n = len(rows[0])
    left = data.draw(st.sets(st.integers(0, n - 1)))
    lines = text_table(rows[0], rows[1:], left).splitlines()
    assert len(lines) == len(rows) + 1
    spans, start = [], 0
    for dashes in lines[1].split("  "):
        spans.append((start, start + len(dashes)))
        start += len(dashes) + 2
    for row, line in zip(rows, [lines[0], *lines[2:]], strict=True):
        for i, (cell, (a, b)) in enumerate(zip(row, spans, strict=True)):
            field = line.ljust(b)[a:b]
            assert field == (cell.ljust(b - a) if i in left else cell.rjust(b - a))


def test_numbers():
    assert number(None, 2) == number(math.nan, 2) == "-"
    assert number(-math.inf, 2) == "-inf"
    assert number(1e6, 0) == "1,000,000"
    assert number(0.005, 1) == "0.0"
