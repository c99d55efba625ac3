import pytest

from refq import nn
from refq.core.errors import LimitError, RangeError, ShapeError
from refq.nn.graph import Node, auto_names, check_nodes, infer_shapes


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "at least one node"),
        ([Node("a", nn.ReLU(), "b")], "node 'a' reads 'b'"),
        ([Node("a", nn.ReLU(), "a")], "node 'a' reads 'a'"),
        ([Node("a", nn.ReLU(), "input"), Node("a", nn.ReLU(), "a")], "'a' is taken"),
        ([Node("input", nn.ReLU(), "input")], "'input' is taken"),
        ([Node("a.b", nn.ReLU(), "input")], "'a.b' may hold"),
        ([Node("a/b", nn.ReLU(), "input")], "'a/b' may hold"),
        ([Node("a*", nn.ReLU(), "input")], "may hold"),
        ([Node("", nn.ReLU(), "input")], "may hold"),
        ([Node("a\n", nn.ReLU(), "input")], "may hold"),
        ([Node("a", nn.Add(), "input")], "node 'a' has 1 input"),
        ([Node("a", nn.ReLU(), ("input", "input"))], "node 'a' has 2 input"),
        ([Node("a", nn.Concat(), ())], "node 'a' has 0 input"),
        ([Node("a", nn.ReLU(), "input"), Node("b", nn.ReLU(), "input")], "'a' feeds no other"),
        ([Node("a", nn.ReLU, "input")], "node 'a' holds"),
    ],
)
def test_what_is_no_graph(nodes, message):
    with pytest.raises(RangeError, match=message):
        check_nodes(nodes)


def test_shapes_of_a_residual_graph():
    nodes = [
        Node("conv", nn.Conv2d(2, 2, 3, padding=1), "input"),
        Node("sum", nn.Add(), ("conv", "input")),
        Node("wide", nn.Concat(), ("sum", "conv", "input")),
        Node("pool", nn.MaxPool(2), "wide"),
    ]
    assert infer_shapes(check_nodes(nodes), (2, 4, 6)) == {
        "input": (2, 4, 6),
        "conv": (2, 4, 6),
        "sum": (2, 4, 6),
        "wide": (6, 4, 6),
        "pool": (6, 2, 3),
    }
    with pytest.raises(ShapeError, match=r"node 'conv': .*takes shape"):
        infer_shapes(nodes, (3, 4, 6))
    with pytest.raises(ShapeError, match=r"node 'pool': .*does not fit"):
        infer_shapes(nodes, (2, 1, 6))


@pytest.mark.parametrize("bad", [(), (0,), (2, 0), (-1,), "x", None])
def test_input_shapes_that_are_none(bad):
    with pytest.raises(ShapeError, match="input_shape"):
        infer_shapes([Node("a", nn.ReLU(), "input")], bad)


def test_a_huge_input_shape():
    with pytest.raises(LimitError, match="input_shape"):
        infer_shapes([Node("a", nn.ReLU(), "input")], (10**9, 10**9))


def test_names_by_kind():
    layers = [
        nn.Conv2d(1, 1, 1),
        nn.BatchNorm(1),
        nn.ReLU(),
        ("conv2", nn.Conv2d(1, 1, 1)),
        nn.Conv2d(1, 1, 1),
        nn.GlobalAvgPool(),
        nn.ClippedReLU(),
        nn.Linear(1, 1),
    ]
    assert [name for name, _ in auto_names(layers)] == [
        "conv1",
        "bn1",
        "relu1",
        "conv2",
        "conv3",
        "globalavgpool1",
        "clippedrelu1",
        "fc1",
    ]
