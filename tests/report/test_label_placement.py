"""Labels keep off each other where there is room."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refq.report.label_placement import place_labels

FRAME = (0.0, 0.0, 900.0, 550.0)
SIZE = (110.0, 14.0)


def meet(a, b):
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


points = st.lists(
    st.tuples(st.integers(150, 750), st.integers(100, 450)), min_size=1, max_size=5, unique=True
)


@given(points)
def test_five_labels_never_overlap(drawn):
    # each label has 48 places; a label placed before and a mark can bar only some of them
    boxes = place_labels(np.array(drawn, float), [SIZE] * len(drawn), FRAME)
    assert not any(meet(a, b) for a, b in combinations(boxes, 2))


@given(points)
def test_labels_have_their_size_and_stay_inside(drawn):
    for box in place_labels(np.array(drawn, float), [SIZE] * len(drawn), FRAME):
        assert np.allclose((box[2] - box[0], box[3] - box[1]), SIZE)
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= 900
        assert box[3] <= 550


def test_a_label_at_the_right_edge_stands_left():
    ((left, _, right, _),) = place_labels(np.array([[890.0, 300.0]]), [SIZE], FRAME)
    assert right < 890
    assert left > 0


def test_labels_keep_off_a_line():
    line = np.array([[0.0, 300.0], [900.0, 300.0]])
    ((_, bottom, _, top),) = place_labels(np.array([[400.0, 300.0]]), [SIZE], FRAME, line=line)
    assert top < 300 or bottom > 300


def test_no_points():
    assert place_labels(np.zeros((0, 2)), [], FRAME) == []
