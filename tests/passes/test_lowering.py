"""The integer model against Python integers and fractions, and against its float model."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import nn
from refq.core.errors import AccumulatorOverflow, DTypeError, RangeError
from refq.core.granularity import PerAxis, PerGroup, PerTensor
from refq.encodings import Cast, ScaledEncoding, dense
from refq.passes import calibrate, compress, lower
from refq.scalar import AffineQuantizer

HALF = Fraction(1, 2)
FEW = settings(max_examples=max(settings.default.max_examples * 3 // 5, 1))


# The oracle: Python integers, walking the calibrated float graph ---------------------------------


def fixed_point(real):
    """Return the multiple of a power of two with 31 significant bits nearest to a fraction."""
    exponent = math.floor(math.log2(real.numerator) - math.log2(real.denominator))
    while Fraction(2) ** exponent > real:
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= real:
        exponent += 1
    unit = Fraction(2) ** (exponent - 30)
    return math.floor(real / unit + HALF) * unit


def half_up(real):
    return math.floor(real + HALF)


class Oracle:
    """Codes of one example as dictionaries from index to Python int; per node also its grid."""

    def __init__(self, model):
        self.model = model
        self.shapes = model.shapes()
        self.off = {}  # node -> how many codes it may be off the float model

    def run(self, x):
        self.x = x
        self.held = {}
        for node in self.model.nodes:
            self.held[node.name] = self.visit(node)
        last = self.held[self.model.nodes[-1].name]
        if last["grid"] is None:
            return self.logits(last)
        return last["codes"], self.shapes[self.model.nodes[-1].name]

    def visit(self, node):
        layer, shape = node.layer, self.shapes[node.name]
        if isinstance(layer, nn.Quantize):
            step, z = Fraction(float(layer.scale_value)), layer.zero_point
            if node.inputs == ("input",):
                form = layer.integers
                quotients = self.x / layer.scale_value  # float32, as the text says
                codes = {
                    i: min(max(round(Fraction(float(q))) + z, form.low), form.high)
                    for i, q in np.ndenumerate(quotients)
                }
                self.off[node.name] = 0
                return {"codes": codes, "grid": (step, z), "off": 0}
            return self.quantize(node, self.held[node.inputs[0]], layer)
        inputs = [self.held[name] for name in node.inputs]
        if isinstance(layer, nn.Dropout):
            return inputs[0]
        if isinstance(layer, (nn.ReLU, nn.ClippedReLU)):
            top = float(layer.ceiling) if isinstance(layer, nn.ClippedReLU) else math.inf
            if inputs[0]["grid"] is None:
                return {**inputs[0], "relu": True, "top": min(top, inputs[0]["top"])}
            return self.waiting("same", node, inputs, shape, relu=True, top=top)
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            return self.waiting("weighted", node, inputs, shape)
        if isinstance(layer, nn.Add):
            return self.waiting("add", node, inputs, shape)
        if isinstance(layer, nn.Concat):
            return self.waiting("concat", node, inputs, shape)
        return self.keep(layer, inputs[0], self.shapes[node.inputs[0]], shape)

    @staticmethod
    def waiting(kind, node, inputs, shape, relu=False, top=math.inf):
        return {
            "kind": kind, "node": node, "inputs": inputs, "shape": shape, "grid": None,
            "relu": relu, "top": top,
        }  # fmt: skip

    def keep(self, layer, source, shape_in, shape):
        codes = source["codes"]
        if isinstance(layer, nn.Flatten):
            order = itertools.product(*map(range, shape_in))
            return {**source, "codes": {(i,): codes[j] for i, j in enumerate(order)}}
        found = {}
        for out in itertools.product(*map(range, shape)):
            if isinstance(layer, nn.GlobalAvgPool):
                window = [v for k, v in codes.items() if k[0] == out[0]]
            else:
                (kh, kw), (sh, sw), (ph, pw) = layer.kernel_size, layer.stride, layer.padding
                window = [
                    codes[out[0], r, c]
                    for r in range(out[1] * sh - ph, out[1] * sh - ph + kh)
                    for c in range(out[2] * sw - pw, out[2] * sw - pw + kw)
                    if 0 <= r < shape_in[1] and 0 <= c < shape_in[2]
                ]
            largest = isinstance(layer, nn.MaxPool)
            found[out] = max(window) if largest else half_up(Fraction(sum(window), len(window)))
        off = source["off"] + (0 if isinstance(layer, nn.MaxPool) else HALF)
        return {**source, "codes": found, "off": off}

    def steps(self, node):
        """Return integer weights and the worth of one accumulator step of each output."""
        weight = node.layer.weight
        scales = [Fraction(float(s)) for s in weight.scale.decode().ravel()]
        q = weight.elements.decode()
        return q, scales * len(q) if len(scales) == 1 else scales

    def sums(self, work):
        """Return exact accumulators with the bias, the worth of their steps, sizes for bounds."""
        layer, source = work["node"].layer, work["inputs"][0]
        step_x, z = source["grid"]
        q, scales = self.steps(work["node"])
        units = [step_x * s for s in scales]
        bias = [0] * len(q)
        if layer.bias is not None:
            bias = [round(Fraction(float(b)) / u) for b, u in zip(layer.bias, units, strict=True)]
        found, codes = {}, source["codes"]
        for out in itertools.product(*map(range, work["shape"])):
            total = bias[out[0]]
            if isinstance(layer, nn.Linear):
                total += sum((codes[i,] - z) * int(w) for i, w in enumerate(q[out[0]]))
            else:
                depth = q.shape[1]
                first = out[0] // (layer.out_channels // layer.groups) * depth
                for (c, i, j), w in np.ndenumerate(q[out[0]]):
                    r = out[1] * layer.stride[0] + i * layer.dilation[0] - layer.padding[0]
                    s = out[2] * layer.stride[1] + j * layer.dilation[1] - layer.padding[1]
                    if (first + c, r, s) in codes:
                        total += (codes[first + c, r, s] - z) * int(w)
            found[out] = total
        spread = [sum(abs(int(w)) for w in row.ravel()) for row in q]
        return found, units, spread, bias

    def quantize(self, node, work, grid):
        step, z, form = Fraction(float(grid.scale_value)), grid.zero_point, grid.integers
        if work["grid"] is not None:
            work = self.waiting("same", node, [work], self.shapes[node.name])
        low = z if work["relu"] else form.low
        high = form.high
        if work["top"] != math.inf:
            top = np.float32(work["top"]) / grid.scale_value
            high = min(high, round(Fraction(float(top))) + z)
        reals, drift = self.reals(work, step)
        codes = {i: min(max(half_up(v) + z, low), high) for i, v in reals.items()}
        # float32 quotients of the calibrated model: 2^-20 of the largest magnitude is ample
        slack = Fraction(1, 1 << 20) * (1 + max(abs(v) for v in reals.values()) + 70000)
        self.off[node.name] = off = math.floor(1 + drift + slack)
        return {"codes": codes, "grid": (step, z), "off": off}

    def reals(self, work, step):
        """Return results in steps, exact up to the multipliers, and the drift before rounding."""
        inputs = work["inputs"]
        if work["kind"] == "weighted":
            sums, units, spread, _ = self.sums(work)
            factors = [fixed_point(u / step) for u in units]
            drift = max(
                f * (HALF + Fraction(inputs[0]["off"]) * s)
                for f, s in zip(factors, spread, strict=True)
            )
            return {i: factors[i[0]] * a for i, a in sums.items()}, drift
        factors = [fixed_point(source["grid"][0] / step) for source in inputs]
        parts = [
            {i: f * (c - source["grid"][1]) for i, c in source["codes"].items()}
            for f, source in zip(factors, inputs, strict=True)
        ]
        drifts = [f * Fraction(s["off"]) for f, s in zip(factors, inputs, strict=True)]
        if work["kind"] == "add":
            return {i: v + parts[1][i] for i, v in parts[0].items()}, sum(drifts)
        if work["kind"] == "concat":
            at = work["node"].layer.axis % (len(work["shape"]) + 1) - 1
            found, offset = {}, 0
            for part in parts:
                for i, v in part.items():
                    found[(*i[:at], i[at] + offset, *i[at + 1 :])] = v
                offset += 1 + max(i[at] for i in part)
            return found, max(drifts)
        return parts[0], drifts[0]

    def logits(self, work):
        sums, units, _, _ = self.sums(work)
        step = max(units)
        low = 0 if work["relu"] else -(1 << 31)
        high = (1 << 31) - 1
        if work["top"] != math.inf:
            high = min(high, half_up(Fraction(work["top"]) / step))
        factors = [fixed_point(u / step) for u in units]
        codes = {i: min(max(half_up(factors[i[0]] * a), low), high) for i, a in sums.items()}
        return codes, work["shape"]


def as_array(codes, shape):
    array = np.empty(shape, np.int64)
    for index, code in codes.items():
        array[index] = code
    return array


# Random graphs -----------------------------------------------------------------------------------

KINDS = (
    *("conv", "conv", "relu", "clipped", "add", "concat", "wide"),
    *("maxpool", "avgpool", "dropout"),
)


def grown(kinds, picks, end, rng):
    nodes, shapes = [], {"input": (2, 4, 3)}

    def append(name, layer, *inputs):
        nodes.append(nn.Node(name, layer.initialize(rng), inputs))
        shapes[name] = layer.output_shape(*(shapes[i] for i in inputs))

    for k, kind in enumerate(kinds):
        source = list(shapes)[-1 - picks[k] % min(2, len(shapes))]
        c, h, w = shapes[source]
        name, pick = f"{kind}{k}", picks[k]
        if kind == "conv":
            kernel = (min(h + 2, 3), min(w + 2, 2))
            groups = c if pick % 4 == 0 else 1
            config = {"padding": 1, "stride": 1 + pick % 2, "groups": groups, "bias": pick % 3 > 0}
            dilation = (2, 1) if h >= 3 and pick % 5 == 0 else 1
            append(
                name,
                nn.Conv2d(c, groups * (1 + pick % 2), kernel, dilation=dilation, **config),
                source,
            )
        elif kind in ("relu", "clipped", "dropout"):
            made = {"relu": nn.ReLU(), "clipped": nn.ClippedReLU(0.7), "dropout": nn.Dropout()}
            append(name, made[kind], source)
        elif kind in ("maxpool", "avgpool"):
            if min(h, w) >= 2:
                pool = nn.MaxPool if kind == "maxpool" else nn.AvgPool
                append(name, pool((2, 2), stride=(1, 2), padding=(pick % 2, 0)), source)
        else:
            joins = {"add": nn.Add(), "concat": nn.Concat(), "wide": nn.Concat(-1)}
            fits = [
                n
                for n, s in shapes.items()
                if s == (c, h, w) or (kind == "concat" and s[1:] == (h, w))
            ]
            append(name, joins[kind], source, fits[pick % len(fits)])
    read = {i for node in nodes for i in node.inputs}
    ends = [name for name in shapes if name not in read and name != "input"] or ["input"]
    for name in ends:
        pool = end % 2 and len(ends) == 1
        append(f"flat_{name}", nn.GlobalAvgPool() if pool else nn.Flatten(), name)
    if len(ends) > 1:
        append("joined", nn.Concat(), *(f"flat_{name}" for name in ends))
    last = list(shapes)[-1]
    append("fc", nn.Linear(shapes[last][0], 3), last)
    if end % 3 == 0:
        append("top", nn.ClippedReLU(0.2), "fc")
    return nn.Model(nodes, (2, 4, 3))


def with_biases(model, rng):
    biases = {k: t for k, t in model.parameters().items() if k.endswith(".bias")}
    return model.replace({k: 0.3 * rng.standard_normal(t.shape, "f4") for k, t in biases.items()})


@st.composite
def calibrated(draw):
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=5))
    picks = draw(st.lists(st.integers(0, 30), min_size=len(kinds), max_size=len(kinds)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    model = with_biases(grown(kinds, picks, draw(st.integers(0, 5)), rng), rng)
    by = draw(st.sampled_from([PerTensor(), PerAxis(0)]))
    bits = draw(st.sampled_from([8, 4, 3]))
    weights = AffineQuantizer(bits, by, draw(st.sampled_from(["symmetric", "symmetric_full"])))
    model = compress(model, {"*": weights})
    scheme = draw(st.sampled_from(["asymmetric", "asymmetric_signed", "symmetric", "unsigned"]))
    X = rng.standard_normal((5, 2, 4, 3), dtype=np.float32)
    if scheme == "unsigned":  # no activation may be negative: take the default there
        scheme = "asymmetric"
    bits = draw(st.sampled_from([8, 8, 4]))
    grids = AffineQuantizer(bits, scheme=scheme, scale_method=Cast("float32"))
    return calibrate(model, X, grids), X


@FEW
@given(calibrated())
def test_every_code_equals_python_integers(case):
    model, X = case
    integers = lower(model)
    values = integers.activations(X[:2])
    last = integers.nodes[-1].name
    for k in range(2):
        oracle = Oracle(model)
        codes, shape = oracle.run(X[k])
        assert np.array_equal(values[last][k], as_array(codes, shape))
        for node in model.nodes:  # wherever the float model has a grid, the codes are the oracle's
            held = oracle.held[node.name]
            if isinstance(node.layer, nn.Quantize):
                name = node.name if node.name in values else node.inputs[0]
                while name not in values:  # a fused layer bears the name of what it began with
                    name = model.node(name).inputs[0]
                want = as_array(held["codes"], oracle.shapes[node.name])
                assert np.array_equal(values[name][k], want), node.name


@FEW
@given(calibrated())
def test_codes_differ_from_the_float_model_by_no_more_than_derived(case):
    model, X = case
    values = model.activations(X[:2].astype(np.float64))
    for k in range(2):
        oracle = Oracle(model)
        oracle.run(X[k])
        for node in model.nodes:
            if isinstance(node.layer, nn.Quantize):
                held = oracle.held[node.name]
                step, z = held["grid"]
                want = np.rint(values[node.name][k] / float(step)).astype(np.int64) + z
                got = as_array(held["codes"], oracle.shapes[node.name])
                assert np.abs(got - want).max() <= oracle.off[node.name], node.name


@FEW
@given(calibrated())
def test_only_integers_after_the_first_node_and_codes_pass_for_floats(case):
    model, X = case
    integers = lower(model)
    values = integers.activations(X)
    first = integers.nodes[0].name
    assert isinstance(integers.nodes[0].layer, nn.QuantizeInput)
    assert all(v.dtype.kind in "iu" for name, v in values.items() if name != "input")
    codes = integers.activations(values[first])
    assert all(np.array_equal(codes[n.name], values[n.name]) for n in integers.nodes)
    assert integers.predict(X[:0]).shape == (0, 3)
    assert np.array_equal(integers.predict(X, batch_size=2), integers.predict(X))
    assert not integers.parameters()


# Named cases -------------------------------------------------------------------------------------

SYMMETRIC = AffineQuantizer(scheme="symmetric")
ROWS = AffineQuantizer(scheme="symmetric", granularity=PerAxis(0))


def chain(*layers, shape=(3,), weights=SYMMETRIC, seed=0):
    model = nn.Sequential(list(layers), input_shape=shape).initialize(seed)
    return compress(model, {"fc*": weights}) if weights else model


def data(n=50, shape=(3,), seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape), dtype=np.float32)


def test_logits_of_channels_with_their_own_scales_can_be_compared():
    # channel 1 has weights a hundred times larger: its accumulators are coarser by as much
    model = chain(nn.Linear(3, 2), weights=None)
    W = np.array([[0.5, -0.25, 0.125], [50.0, -25.0, 12.5]], np.float32)
    model = compress(model.replace({"fc1.weight": W}), {"fc1": ROWS})
    X = data()
    integers = lower(calibrate(model, X))
    logits = integers.predict(X).astype(np.float64)
    step = float(integers.node("fc1").layer.output_scale.decode())
    floats = calibrate(model, X).predict(X.astype(np.float64))
    # M <= 1: the bias is off by half a step, the rounding by another; floats by 2^-20 of the size
    assert np.all(np.abs(logits * step - floats) <= step + 2.0**-20 * np.abs(floats))
    assert np.array_equal(logits.argmax(1), floats.argmax(1))
    assert integers.node("fc1").layer.mantissa.shape == (2,)


def test_output_scale_is_exact():
    for weights in (SYMMETRIC, ROWS):
        model = calibrate(chain(nn.Linear(3, 4), weights=weights), data())
        scale = lower(model).node("fc1").layer.output_scale.decode()
        s_w = model.node("fc1").layer.weight.scale.decode().max()
        s_x = model.node("input_q").layer.scale_value
        assert Fraction(float(scale)) == Fraction(float(s_w)) * Fraction(float(s_x))


def test_one_scale_gives_one_multiplier():
    model = calibrate(chain(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5)), data())
    assert lower(model).node("fc1").layer.mantissa.shape == (1,)


def test_a_clipped_relu_ends_at_the_code_of_its_ceiling():
    X = 4 * data(200)
    model = calibrate(chain(nn.Linear(3, 4), nn.ClippedReLU(0.5), nn.Linear(4, 2)), X)
    layer = lower(model).node("fc1").layer
    grid = model.node("clippedrelu1_q").layer
    assert layer.low == grid.zero_point
    assert layer.high == grid.codes(np.float32([0.5]))[0]
    # on a grid that reaches farther, the ceiling is inside
    nodes = [
        nn.Node(
            n.name,
            nn.Quantize("uint8", 7, 0.01) if n.name == "clippedrelu1_q" else n.layer,
            n.inputs,
        )
        for n in model.nodes
    ]
    wide = lower(nn.Model(nodes, (3,)))
    assert (wide.node("fc1").layer.low, wide.node("fc1").layer.high) == (7, 57)
    assert wide.activations(X)["fc1"].max() == 57


def test_the_lower_of_two_ceilings_counts():
    X = 4 * data()
    quantized = [nn.Linear(3, 2), nn.ClippedReLU(0.5), nn.ReLU(), nn.Quantize("uint8", 0, 0.01)]
    model = nn.Sequential([nn.Quantize("uint8", 9, 0.1), *quantized], input_shape=(3,))
    model = compress(model.initialize(0), {"fc1": SYMMETRIC})
    assert lower(model).node("fc1").layer.high == 50
    last = chain(nn.Quantize("uint8", 9, 0.1), nn.Linear(3, 2), nn.ClippedReLU(0.5), nn.ReLU())
    layer = lower(last).node("fc1").layer
    step = float(layer.output_scale.decode())
    assert (layer.low, layer.high) == (0, math.floor(0.5 / step + 0.5))
    assert lower(last).predict(X).max() == layer.high


def test_dropout_is_left_out_wherever_it_stands():
    X = data()
    plain = chain(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    for places in [(0,), (1,), (2,), (3,), (1, 2, 3)]:
        layers = [("fc1", plain.node("fc1").layer), ("relu1", nn.ReLU())]
        layers.append(("fc2", plain.node("fc2").layer))
        for place in reversed(places):
            layers.insert(place, (f"drop{place}", nn.Dropout()))
        model = nn.Sequential(layers, input_shape=(3,))
        integers = lower(calibrate(model, X))
        assert [n.name for n in integers.nodes] == ["input_q", "fc1", "fc2"]
        assert np.array_equal(integers.predict(X), lower(calibrate(plain, X)).predict(X))


def test_a_last_layer_that_keeps_its_grid_gives_codes():
    model = nn.Sequential([nn.Conv2d(1, 2, 2), nn.GlobalAvgPool()], input_shape=(1, 4, 4))
    model = compress(model.initialize(0), {"conv1": SYMMETRIC})
    y = lower(calibrate(model, data(9, (1, 4, 4)))).predict(data(9, (1, 4, 4)))
    assert y.dtype == np.uint8


def test_sixteen_bit_activations():
    X = data()
    grids = AffineQuantizer(16, scheme="asymmetric_signed", scale_method=Cast("float32"))
    model = calibrate(chain(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), X, grids)
    oracle = Oracle(model)
    codes, shape = oracle.run(X[0])
    assert np.array_equal(lower(model).predict(X[:1])[0], as_array(codes, shape))


def test_names_of_concatenated_parts_make_way():
    nodes = [
        nn.Node("cat_0", nn.Linear(3, 2), "input"),
        nn.Node("b", nn.Linear(3, 2), "input"),
        nn.Node("cat", nn.Concat(), ("cat_0", "b")),
        nn.Node("fc", nn.Linear(4, 2), "cat"),
    ]
    model = compress(nn.Model(nodes, (3,)).initialize(0), {"*": SYMMETRIC})
    integers = lower(calibrate(model, data()))
    assert [n.name for n in integers.nodes] == [
        "input_q",
        "cat_0",
        "b",
        "cat_0_",
        "cat_1",
        "cat",
        "fc",
    ]


def test_work_that_is_quantized_twice_is_done_twice():
    nodes = [
        nn.Node("q", nn.Quantize("uint8", 9, 0.1), "input"),
        nn.Node("fc1", nn.Linear(3, 2), "q"),
        nn.Node("fine", nn.Quantize("int8", 0, 0.05), "fc1"),
        nn.Node("coarse", nn.Quantize("uint8", 128, 0.5), "fc1"),
        nn.Node("sum", nn.Add(), ("fine", "coarse")),
        nn.Node("sum_q", nn.Quantize("int8", 3, 0.5), "sum"),
        nn.Node("fc2", nn.Linear(2, 2), "sum_q"),
    ]
    model = compress(nn.Model(nodes, (3,)).initialize(0), {"fc*": SYMMETRIC})
    X = data(2)
    codes, shape = Oracle(model).run(X[1])
    integers = lower(model)
    assert [n.name for n in integers.nodes] == ["q", "fc1", "coarse", "sum", "fc2"]
    assert np.array_equal(integers.predict(X)[1], as_array(codes, shape))


# Refusals ----------------------------------------------------------------------------------------


def test_what_has_no_integer_form_is_named():
    X = data()
    with pytest.raises(RangeError, match=r"softmax1: nn\.Softmax\(\) has no integer form"):
        lower(calibrate(chain(nn.Linear(3, 2), nn.Softmax()), X))
    with pytest.raises(RangeError, match=r"bn1: .*fold or remove it first"):
        lower(calibrate(chain(nn.Linear(3, 2), nn.BatchNorm(2), nn.Linear(2, 2)), X))
    added = calibrate(nn.Model([nn.Node("add1", nn.Add(), ("input", "input"))], (3,)), X)
    with pytest.raises(RangeError, match=r"add1: nn\.Add\(\) is last; only Linear and Conv2d"):
        lower(added)


def test_an_uncalibrated_model_is_refused_by_node():
    model = chain(nn.Linear(3, 2), nn.Linear(2, 2))
    with pytest.raises(RangeError, match="fc1: it reads floats; calibrate"):
        lower(model)
    q = nn.Quantize("uint8", 0, 0.1)
    nodes = [nn.Node("q", q, "input"), nn.Node("sum", nn.Add(), ("q", "input"))]
    with pytest.raises(RangeError, match="sum: it reads floats"):
        lower(nn.Model(nodes, (3,)))
    nodes = [nn.Node("q", q, "input"), *model.nodes]
    nodes[1] = nn.Node("fc1", model.node("fc1").layer, "q")
    with pytest.raises(RangeError, match=r"fc2: it reads \('fc1',\), not all of them on a grid"):
        lower(nn.Model(nodes, (3,)))
    nodes = [nn.Node("a", q, "input"), nn.Node("b", q, "input"), nn.Node("s", nn.Add(), ("a", "b"))]
    with pytest.raises(RangeError, match="b quantizes the input a second time"):
        lower(nn.Model(nodes, (3,)))


@pytest.mark.parametrize(
    ("weights", "word"),
    [
        (None, "not floats"),
        (AffineQuantizer(), "without zero point"),
        (AffineQuantizer(scheme="symmetric", granularity=PerGroup(2)), "per tensor or per axis 0"),
        (AffineQuantizer(scheme="symmetric", granularity=PerAxis(1)), "per tensor or per axis 0"),
        (Cast("float16"), "DenseEncoding"),
    ],
)
def test_weights_without_an_integer_form_are_refused_by_node(weights, word):
    model = calibrate(chain(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), weights=weights), data())
    with pytest.raises(RangeError, match=f"fc1: weight must be a ScaledEncoding.*{word}"):
        lower(model)


def scaled(codes, scale, offset=None, format="int8"):
    block = tuple(len(c) for c in (codes, codes[0]))
    extra = {} if offset is None else {"offset": dense([[offset]], "float32")}
    return ScaledEncoding(dense(codes, format), dense([[scale]], "float32"), block, **extra)


def one_layer(weight, bias=0.0, scale=1.0):
    layer = nn.Linear(weight.shape[1], 1, bias=[bias], weight=weight)
    return nn.Sequential([nn.Quantize("uint8", 0, scale), layer], (weight.shape[1],))


def test_foreign_weights_are_refused_by_node():
    with pytest.raises(RangeError, match="fc1: weight must be"):
        lower(one_layer(scaled([[1, 2]], 1.0, offset=0.5)))
    with pytest.raises(RangeError, match="fc1: weight must be"):
        lower(one_layer(scaled([[1, 2]], 1.0, format="int32")))
    negative = ScaledEncoding(dense([[1]], "int8"), dense([[-1.0]], "float32"), (1, 1))
    with pytest.raises(RangeError, match=r"fc1: weight\.scale\[0\] = -1\.0 must be finite and > 0"):
        lower(one_layer(negative))


def test_a_bias_that_is_no_int32_is_refused_and_the_largest_is_not():
    weight = scaled([[0]], 1.0)
    with pytest.raises(RangeError, match=r"fc1: bias\[0\] = 2147483648\.0 takes 2147483648 steps"):
        lower(one_layer(weight, 2.0**31))
    assert lower(one_layer(weight, -(2.0**31))).predict(np.uint8([[3]])) == -(2**31)
    top = one_layer(weight).replace({"fc1.bias": np.array([2.0**31 - 1])})
    assert lower(top).predict(np.uint8([[3]])) == 2**31 - 1


def test_sums_that_could_leave_int32_are_refused_before_any_data():
    # 255 * 1 + bias: one step below the limit, and one beyond it
    for code, bias, word in [(1, 2.0**31 - 256, None), (1, 2.0**31 - 255, "reach 2147483648")]:
        model = one_layer(scaled([[code]], 1.0)).replace({"fc1.bias": np.array([bias])})
        if word is None:
            assert lower(model).predict(np.uint8([[255]])) == 2**31 - 1
        else:
            with pytest.raises(AccumulatorOverflow, match=f"fc1: channel 0 can {word}"):
                lower(model)
    low = one_layer(scaled([[-1]], 1.0)).replace({"fc1.bias": np.array([-(2.0**31) + 254])})
    with pytest.raises(AccumulatorOverflow, match="fc1: channel 0 can reach -2147483649"):
        lower(low)
    with pytest.raises(AccumulatorOverflow, match="fc1: channel 0 can reach 2266950000"):
        lower(one_layer(scaled([[127] * 70000], 1.0)))
    lower(one_layer(scaled([[0] * 70000], 1.0)))  # as long, but its sums cannot leave int32


def test_scales_too_far_apart_are_refused_by_node():
    tiny, huge = nn.Quantize("uint8", 0, 1e-12), nn.Quantize("uint8", 0, 1.0)
    nodes = [
        nn.Node("q", huge, "input"),
        nn.Node("other", tiny, "q"),
        nn.Node("sum", nn.Add(), ("q", "other")),
        nn.Node("out", huge, "sum"),
    ]
    with pytest.raises(RangeError, match=r"(other|sum): "):
        lower(nn.Model(nodes, (3,)))


def test_codes_of_another_kind_are_refused():
    integers = lower(calibrate(chain(nn.Linear(3, 2)), data()))
    with pytest.raises(DTypeError, match="got int8; pass uint8 codes or floats"):
        integers.predict(np.zeros((1, 3), np.int8))
    four = AffineQuantizer(4, scale_method=Cast("float32"))
    narrow = lower(calibrate(chain(nn.Linear(3, 2)), data(), four))
    with pytest.raises(RangeError, match=r"got codes in \[0, 16\]; allowed: \[0, 15\]"):
        narrow.predict(np.uint8([[0, 15, 16]]))


def test_the_float_model_is_untouched():
    model = calibrate(chain(nn.Linear(3, 2)), data())
    nodes, before = model.nodes, model.predict(data())
    lower(model)
    assert model.nodes == nodes
    assert np.array_equal(model.predict(data()), before)
