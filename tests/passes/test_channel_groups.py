"""Which channels live and die together, graph by graph."""

import pytest

from refq import nn
from refq.core.errors import RangeError
from refq.passes import channel_units, prunable_layers
from refq.passes.channel_groups import is_depthwise


def units_of(*nodes, input_shape=(2, 4, 4)):
    return channel_units(nn.Model([nn.Node(*node) for node in nodes], input_shape))


def test_a_chain_with_batch_normalization():
    units = units_of(
        ("conv1", nn.Conv2d(2, 3, 3, bias=False), "input"),
        ("bn1", nn.BatchNorm(3), "conv1"),
        ("relu1", nn.ReLU(), "bn1"),
        ("conv2", nn.Conv2d(3, 4, 1), "relu1"),
    )
    assert len(units) == 3
    assert units[1].makers == ("conv1",)
    assert units[1].slices == (
        ("conv1.weight", 0, (1,)),
        ("bn1.weight", 0, (1,)),
        ("bn1.bias", 0, (1,)),
        ("bn1.running_mean", 0, (1,)),
        ("bn1.running_var", 0, (1,)),
        ("conv2.weight", 1, (1,)),
    )


def test_flatten_repeats_a_channel_over_its_pixels():
    units = units_of(
        ("conv1", nn.Conv2d(2, 2, 3), "input"),  # to (2, 2, 2)
        ("flat", nn.Flatten(), "conv1"),
        ("fc", nn.Linear(8, 2), "flat"),
    )
    assert units[1].slices[-1] == ("fc.weight", 1, (4, 5, 6, 7))


def test_an_addition_ties_and_a_concatenation_shifts():
    nodes = [
        ("a", nn.Conv2d(2, 3, 1), "input"),
        ("b", nn.Conv2d(2, 3, 1), "input"),
        ("c", nn.Conv2d(2, 2, 1), "input"),
        ("sum", nn.Add(), ("a", "b")),
        ("cat", nn.Concat(), ("c", "sum", "c")),
        ("out", nn.Conv2d(7, 1, 1), "cat"),
    ]
    units = units_of(*nodes)
    assert [u.makers for u in units] == [("a", "b")] * 3 + [("c",)] * 2
    assert units[0].slices[-1] == ("out.weight", 1, (2,))
    assert units[4].slices[-1] == ("out.weight", 1, (1, 6))
    assert list(map(len, prunable_layers(units).values())) == [3, 2]


def test_an_addition_of_a_flattened_image_ties_pixels_to_one_channel():
    units = units_of(
        ("conv", nn.Conv2d(2, 2, 3), "input"),
        ("flat", nn.Flatten(), "conv"),
        ("whole", nn.Flatten(), "input"),
        ("fc", nn.Linear(32, 8), "whole"),
        ("sum", nn.Add(), ("flat", "fc")),
        ("out", nn.Linear(8, 1), "sum"),
    )
    assert [u.makers for u in units] == [("conv", "fc")] * 2
    assert units[1].made_by("fc") == (4, 5, 6, 7)
    assert units[1].made_by("conv") == (1,)
    with pytest.raises(RangeError, match="'out' does not make"):
        units[1].made_by("out")


@pytest.mark.parametrize("axis", [2, 3, -1, -2])
def test_joining_pixels_ties_channels(axis):
    units = units_of(
        ("a", nn.Conv2d(2, 3, 1), "input"),
        ("b", nn.Conv2d(2, 3, 1), "input"),
        ("cat", nn.Concat(axis), ("a", "b")),
        ("out", nn.Conv2d(3, 1, 1), "cat"),
    )
    assert [u.makers for u in units] == [("a", "b")] * 3


def test_a_negative_channel_axis_is_the_channel_axis():
    units = units_of(
        ("a", nn.Linear(2, 3), "input"),
        ("b", nn.Linear(2, 2), "input"),
        ("cat", nn.Concat(-1), ("a", "b")),
        ("out", nn.Linear(5, 1), "cat"),
        input_shape=(2,),
    )
    assert [u.slices[-1] for u in units] == [("out.weight", 1, (i,)) for i in range(5)]


def test_what_touches_the_input_or_the_output_is_kept():
    assert not units_of(
        ("conv", nn.Conv2d(2, 2, 1), "input"),
        ("sum", nn.Add(), ("conv", "input")),
        ("relu", nn.ReLU(), "sum"),
        ("out", nn.Conv2d(2, 3, 1), "relu"),
    )
    assert not units_of(
        ("conv", nn.Conv2d(2, 2, 1), "input"),
        ("flat", nn.Flatten(), "conv"),
    )


def test_a_grouped_convolution_keeps_the_channels_around_it():
    units = units_of(
        ("conv1", nn.Conv2d(2, 4, 1), "input"),
        ("conv2", nn.Conv2d(4, 4, 1, groups=2), "conv1"),
        ("conv3", nn.Conv2d(4, 3, 1), "conv2"),
        ("out", nn.Conv2d(3, 1, 1), "conv3"),
    )
    assert [u.makers for u in units] == [("conv3",)] * 3


def test_a_softmax_mixes_channels_and_keeps_them():
    # a masked channel would still take its share: exp(0) = 1
    assert not units_of(
        ("fc1", nn.Linear(2, 3), "input"),
        ("soft", nn.Softmax(), "fc1"),
        ("fc2", nn.Linear(3, 2), "soft"),
        input_shape=(2,),
    )


def test_a_layer_of_somebody_else_keeps_its_channels():
    class _Mix(nn.Layer):
        def output_shape(self, *input_shapes):
            return input_shapes[0]

        def forward(self, *inputs, training=False, rng=None):
            return inputs[0][:, ::-1], None

        def backward(self, grad, cache):
            return (grad[:, ::-1],), {}

    units = units_of(
        ("fc1", nn.Linear(2, 3), "input"),
        ("mix", _Mix(), "fc1"),
        ("fc2", nn.Linear(3, 2), "mix"),
        ("fc3", nn.Linear(2, 2), "fc2"),
        input_shape=(2,),
    )
    assert [u.makers for u in units] == [("fc2",)] * 2


def test_dropout_and_fake_quantization_pass_channels_through():
    units = units_of(
        ("fc1", nn.Linear(2, 3), "input"),
        ("drop", nn.Dropout(0.5), "fc1"),
        ("q", nn.Quantize(), "drop"),
        ("fc2", nn.Linear(3, 2), "q"),
        input_shape=(2,),
    )
    assert len(units) == 3


def test_depthwise():
    assert not is_depthwise(nn.Conv2d(1, 1, 1))
    assert not is_depthwise(nn.ReLU())
    assert is_depthwise(nn.Conv2d(2, 2, 1, groups=2))
