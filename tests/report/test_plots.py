"""The plots show the numbers they were given, on the axes they were given."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from refq.core.errors import RangeError
from refq.report.accounts import Entry, ledger
from refq.report.figures import new_axes, png
from refq.report.plots import _front, layers, pareto
from refq.report.results import PlanResult, Report

PLANS = [
    ("int8 per tensor", 0.985, 45_000),
    ("int8 per channel", 0.986, 45_600),
    ("int4 per group", 0.981, 27_000),
    ("k-means", 0.984, 23_400),
    ("product quantization", 0.979, 21_000),
    ("truncated SVD", 0.98, 61_000),
    ("filter pruning", 0.975, 88_000),
    ("combined", 0.978, 7_900),
    ("dense small", 0.962, 7_700),
]


def report():
    plans = [PlanResult(n, a, b, 1.0, 1.0, 0, 0, 1, None) for n, a, b in PLANS]
    return Report("digits", 0, {}, 0.9866, 176_840, 600_000, plans)


def test_every_plan_is_a_point_with_its_name():
    ax = pareto(report())
    points = {tuple(np.ravel(line.get_xydata()).round(3)) for line in ax.lines[1:]}
    assert (176_840, 98.66) in points
    assert points == {(176_840, 98.66), *((b, round(100 * a, 3)) for _, a, b in PLANS)}
    assert {t.get_text() for t in ax.texts} == {"float32", *(n for n, _, _ in PLANS)}


def test_names_do_not_overlap_as_drawn():
    ax = pareto(report())
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in ax.texts]
    boxes = [b.padded(-1) for b in boxes]  # an annotation's box includes its line: compare texts
    texts = [ax.texts[i] for i in range(len(boxes))]
    plain = [super(type(t), t).get_window_extent(canvas.get_renderer()) for t in texts]
    assert not any(a.overlaps(b) for a, b in combinations(plain, 2))
    frame = ax.figure.bbox
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and b.y1 <= frame.y1 for b in plain)


def test_marks_tell_kinds_apart_by_shape():
    shapes = {
        t.get_text(): line.get_marker()
        for t, line in zip(pareto(report()).texts, pareto(report()).lines[1:], strict=True)
    }
    assert len({shapes["float32"], shapes["dense small"], shapes["combined"]}) == 3


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=8))
def test_the_front_is_what_no_point_beats(points):
    sizes, scores = np.array(points, float).T
    front = {points[i] for i in _front(sizes, scores)}
    beaten = {
        p
        for p in points
        for q in points
        if q != p and q[0] <= p[0] and q[1] >= p[1]  # at least as good on both axes
    }
    assert front == set(points) - beaten


def test_plots_use_the_axes_they_are_given():
    ax = new_axes(4, 3)
    assert pareto(report(), ax) is ax
    pair = new_axes(4, 6, rows=2)
    assert layers({"a": [entry("fc.weight")]}, pair) is pair


def entry(name, bits=48, sqnr=40.0, parameter=True):
    return Entry(name, (2, 3), "Scaled", "int8", parameter, bits, 0, bits // 8, 192, sqnr)


def test_cells_are_bits_per_original_weight_and_decibels():
    ledgers = {
        "a": [entry("conv.weight", 24, 20.0), entry("fc.weight", 48, None), entry("fc.scale")],
        "b": [entry("fc.weight", 192, float("inf")), entry("fc.mantissa", parameter=False)],
    }
    bits, error = layers(ledgers)
    assert [t.get_text() for t in bits.texts] == ["4", "8", "-", "32"]
    assert [t.get_text() for t in error.texts] == ["20", "-", "-", "exact"]
    assert [t.get_text() for t in bits.get_xticklabels()] == ["conv", "fc"]
    assert [t.get_text() for t in bits.get_yticklabels()] == ["a", "b"]


def test_a_removed_filter_costs_no_bits_but_counts_as_a_weight(folded, quantized):
    bits, _ = layers({"q": ledger(folded, quantized)})
    shown = [float(t.get_text()) for t in bits.texts]
    stored = [quantized.parameters()[n].stored_bits for n in ("conv1.weight", "fc.weight")]
    assert shown == pytest.approx([stored[0] / 27, stored[1] / 192], rel=5e-3)


def test_nothing_to_show_is_an_error():
    with pytest.raises(RangeError, match="nothing to show"):
        layers({"a": []})


def test_the_same_figure_gives_the_same_bytes():
    assert png(pareto(report()).figure) == png(pareto(report()).figure)


def test_pyplot_is_never_loaded():
    code = (
        "import sys, refq.report; from refq.report.results import Report, PlanResult;"
        "r = Report('m', 0, {}, .9, 99, 1, [PlanResult('a', .8, 9, 1., 1., 0, 0, 1, None)]);"
        "refq.report.png(refq.report.pareto(r).figure);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
