import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import RangeError
from refq.encodings import MaskedEncoding, dense


class Counter(float):
    """A number that counts the products it takes part in."""

    products = 0

    def __mul__(self, other):
        Counter.products += 1
        return Counter(float(self) * float(other))


@given(
    groups=st.integers(1, 2),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    out=st.integers(1, 2),
)
def test_macs_equal_the_products_of_a_loop(groups, kernel, stride, padding, out):
    layer = nn.Conv2d(2 * groups, out * groups, kernel, stride, padding, groups=groups)
    model = nn.Sequential([layer, nn.Flatten()], (2 * groups, 4, 5))
    rows = len(range(-padding, 4 + padding - kernel[0] + 1, stride))
    columns = len(range(-padding, 5 + padding - kernel[1] + 1, stride))
    Counter.products = 0
    for _ in np.ndindex(out * groups, rows, columns):
        sum(Counter(1) * 1 for _ in np.ndindex(2, *kernel))
    assert nn.macs(model) == {"conv1": Counter.products, "flatten1": 0}


def residual():
    nodes = [
        nn.Node("conv", nn.Conv2d(1, 1, 3, padding=1), "input"),
        nn.Node("bn", nn.BatchNorm(1), "conv"),
        nn.Node("sum", nn.Add(), ("bn", "input")),
        nn.Node("flat", nn.Flatten(), "sum"),
        nn.Node("fc", nn.Linear(16, 3), "flat"),
    ]
    return nn.Model(nodes, (1, 4, 4))


def test_costs_of_a_graph():
    model = residual()
    assert nn.macs(model) == {"conv": 144, "bn": 0, "sum": 0, "flat": 0, "fc": 48}
    assert nn.total_macs(model) == 192
    assert nn.bops(model, 4, 8) == {"conv": 4608, "bn": 0, "sum": 0, "flat": 0, "fc": 1536}
    mixed = nn.bops(model, {"conv": 8, "fc": 2}, {"conv": 8, "fc": 4})
    assert (mixed["conv"], mixed["fc"]) == (144 * 64, 48 * 8)


def test_masked_weights_are_not_discounted():
    mask = dense(np.zeros((3, 1)), "uint1")
    empty = MaskedEncoding(mask, dense(np.zeros((0, 16)), "float16"), (3, 16))
    model = residual()
    assert nn.macs(model.replace({"fc.weight": empty})) == nn.macs(model)


def test_counts_do_not_overflow():
    model = nn.Sequential([nn.Conv2d(1, 8, 3, padding=1)], (1, 2**17, 2**16))
    assert nn.total_macs(model) == 9 * 2**36
    assert nn.bops(model, 2**20, 2**20) == {"conv1": 9 * 2**76}
    assert type(nn.total_macs(model)) is int


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits", "message"),
    [
        (0, 8, "weight_bits = 0"),
        (4, 8.0, "activation_bits"),
        ({"conv": 8}, 8, "lacks node 'fc'"),
        ({"conv": 8, "fc": 8, "fc9": 8}, 8, "names 'fc9'"),
        (8, {"conv": 8, "fc": 0}, r"activation_bits\['fc'\] = 0"),
    ],
)
def test_widths(weight_bits, activation_bits, message):
    with pytest.raises(RangeError, match=message):
        nn.bops(residual(), weight_bits, activation_bits)
