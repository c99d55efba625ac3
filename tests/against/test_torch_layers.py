"""PyTorch's quantized linear and conv2d are refq's presets, engine by engine, on near ties.

Every accumulator is an odd multiple of a base, and every multiplier an odd number over twice a
divisor of that base, rounded to float32 and moved by a few units in the last place: so all exact
products are ties, or within some 2^-22 of one.
"""

import numpy as np
import pytest

from refq.core import semantics
from refq.ops import qlinear_conv, qlinear_matmul

pytestmark = pytest.mark.peers("torch")

VERSION = "2.13"
ENGINES = ("fbgemm", "qnnpack", "onednn", "x86")
BASES = {45: (1, 3, 5, 9, 15, 45), 105: (3, 5, 7, 15, 21, 35, 105), 315: (9, 15, 21, 35, 45, 105)}
#: among them scales s of which 1 / (1 / s) is not s in float32
SCALES = np.float32([0.1, 0.05, 1 / 3, 0.02, 0.0173, 0.7, 0.011, 1.7, 0.6161, 0.4321, 0.0797])


def moved(x, ulps):
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.inf if ulps > 0 else -np.inf))
    return x


def scales_at_ties(rng, base, outputs, x_scale, y_scale):
    ties = (2 * rng.integers(0, 4, outputs) + 1) / (2 * rng.choice(BASES[base], outputs))
    exact = np.float32(ties * float(y_scale) / float(x_scale))
    return np.float32([moved(s, int(rng.integers(-2, 3))) for s in exact])


def digits(accumulators, zero_point):
    """Return uint8 codes and weights whose products are the accumulators: digits of base 100."""
    low = (accumulators + 50) % 100 - 50
    rest, columns = (accumulators - low) // 100, []
    while rest.any() or not columns:
        columns.append(np.clip(rest, -zero_point, 255 - zero_point))
        rest = rest - columns[-1]
    weights = np.int8([100] * len(columns) + [1])
    return np.uint8(np.stack([*columns, low], axis=1) + zero_point), weights


def draw(rng, outputs, rows, per_channel):
    base = int(rng.choice(list(BASES)))
    x_scale, y_scale = rng.choice(SCALES, 2)
    scale = scales_at_ties(rng, base, outputs if per_channel else 1, x_scale, y_scale)
    accumulators = base * (2 * rng.integers(-60, 60, rows) + 1)
    zero_point = int(rng.integers(100, 156))
    x, w = digits(accumulators, zero_point)
    return {
        "x": x, "x_scale": x_scale, "x_zero_point": zero_point, "w": np.tile(w, (outputs, 1)),
        "w_scale": scale if per_channel else scale[0], "w_zero_point": 0, "y_scale": y_scale,
        "y_zero_point": int(rng.integers(0, 256)), "stride": 1, "groups": 1, "padding": 0,
    }  # fmt: skip


def with_bias(rng, given, engine):
    """Add a float bias; near ties of its own for the engine that rounds it to int32."""
    outputs = len(given["w"])
    unit = (given["x_scale"] * given["w_scale"]).astype(np.float32)
    count = 2.0 * rng.integers(-200, 200, outputs) + (0.5 if engine == "qnnpack" else 0)
    bias = np.float32(count.astype(np.float32) * unit)
    bias = np.float32([moved(b, int(rng.integers(-2, 3))) for b in bias])
    return given | {"bias": bias}


def as_images(rng, given, kind):
    """Return the same accumulators from a convolution: 1x1, 3x3 in groups, or depthwise 3x3."""
    rows, k = given["x"].shape
    outputs, side = len(given["w"]), int(rows**0.5)
    if kind == "1x1":
        x, w = given["x"].T.reshape(1, k, side, side), given["w"].reshape(outputs, k, 1, 1)
        return given | {"x": np.ascontiguousarray(x), "w": w}
    groups = {"3x3": 1, "groups": 2, "depthwise": outputs}[kind]
    channels = 1 if kind == "depthwise" else 2
    shape = (1, channels * groups, 3 * side, 3 * side)
    x = np.full(shape, given["x_zero_point"], np.uint8)
    w = rng.integers(-128, 128, (outputs, channels, 3, 3)).astype(np.int8)
    for tap in range(k):  # windows do not overlap: the stride is three
        i, j = divmod(tap, 3)
        x[0, ::channels, i::3, j::3] = given["x"][:, tap].reshape(side, side)
        w[:, 0, i, j] = given["w"][:, tap]
    if channels == 2:
        w[:, 1] = rng.integers(-128, 128, w[:, 1].shape)  # multiplied by differences of zero
    return given | {"x": x, "w": w, "stride": 3, "groups": groups}


KINDS = ("1x1", "3x3", "groups", "depthwise")
LINEAR_SHAPES = ((7, 64), (16, 49), (33, 100), (64, 64), (130, 37), (300, 25), (1, 400))
CONV_OUTPUTS = (8, 16, 32, 64, 30)
GRANULARITIES = ("tensor", "channel")


def cases():
    """Return ``{name: (engine, operator, arrays)}`` of all calls."""
    rng, found = np.random.default_rng(0), {}
    for engine in ENGINES:
        for granularity in GRANULARITIES:
            for bias in ("none", "bias"):
                for number in range(21):
                    outputs, rows = LINEAR_SHAPES[number % len(LINEAR_SHAPES)]
                    if granularity == "channel" and outputs == 1:
                        outputs = 5
                    given = draw(rng, outputs, rows, granularity == "channel")
                    if engine in ("fbgemm", "qnnpack", "x86") and number % 3 == 2:
                        given["w_zero_point"] = 5
                    add(rng, found, engine, granularity, bias, "linear", number, given)
                    if engine == "onednn":
                        signed = as_signed(given)
                        add(rng, found, engine, granularity, bias, "linear_int8", number, signed)
                for kind in KINDS:
                    for number in range(15):
                        given = draw(rng, CONV_OUTPUTS[number % 5], 64, granularity == "channel")
                        given = as_images(rng, given, kind) | {"padding": int(number % 5 == 4)}
                        add(rng, found, engine, granularity, bias, kind, number, given)
    return found


def as_signed(given):
    """Return the same accumulators from int8 codes, for an int8 result."""
    shifted = {field: given[field] - 128 for field in ("x_zero_point", "y_zero_point")}
    return given | shifted | {"x": (given["x"].astype(np.int16) - 128).astype(np.int8)}


def add(rng, found, engine, granularity, bias, kind, number, given):
    if bias == "bias":
        given = with_bias(rng, given, engine)
    elif engine == "qnnpack":  # it wants one
        given = given | {"bias": np.zeros(len(given["w"]), np.float32)}
    operator = ("linear" if kind.startswith("linear") else "conv2d") + (
        "_relu" if number % 2 else ""
    )
    found[f"{engine}.{kind}.{granularity}.{bias}.{number}"] = (engine, operator, given)


@pytest.fixture(scope="module")
def asked():
    return cases()


@pytest.fixture(scope="module")
def theirs(peer, asked):
    tasks = [f"{name} {engine} {operator}" for name, (engine, operator, _) in asked.items()]
    found = peer("torch_layers", tasks=np.array(tasks), **named(asked))
    assert str(found.pop("version")).startswith(VERSION)
    return {task.split()[0]: codes for task, codes in found.items()}


def named(asked):
    return {
        f"{name}.{field}": value
        for name, (_, _, given) in asked.items()
        for field, value in given.items()
    }


def computed(given, operator, preset):
    zero_point = given["x"].dtype.type(given["y_zero_point"])
    low = int(zero_point if operator.endswith("relu") else np.iinfo(zero_point.dtype).min)
    x = given["x"], given["x_scale"], given["x_zero_point"]
    if operator.startswith("linear"):
        w = given["w"].T, given["w_scale"], given["w_zero_point"]
        y = given["y_scale"], zero_point, given.get("bias")
        return np.maximum(qlinear_matmul(*x, *w, *y, semantics=preset), zero_point.dtype.type(low))
    w = given["w"], given["w_scale"], given["w_zero_point"]
    y = given["y_scale"], zero_point, given.get("bias")
    where = {"stride": given["stride"], "groups": given["groups"], "padding": given["padding"]}
    return qlinear_conv(*x, *w, *y, **where, low=low, semantics=preset)


@pytest.mark.parametrize("bias", ["none", "bias"])
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("kind", ["linear", *KINDS])
@pytest.mark.parametrize("engine", ENGINES)
def test_layers(asked, theirs, engine, kind, granularity, bias):
    preset = semantics.get(f"torch_{engine}", VERSION)
    names = [n for n in asked if n.startswith(f"{engine}.{kind}.{granularity}.{bias}.")]
    total = 0
    for name in names:
        _, operator, given = asked[name]
        np.testing.assert_array_equal(computed(given, operator, preset), theirs[name], name)
        total += theirs[name].size
    assert total >= (50_000 if kind == "linear" else 25_000)  # with bias and without: 50,000


def test_layers_of_int8(asked, theirs):
    """Only oneDNN takes int8 activations, only in linear layers; it divides by the last scale."""
    preset, total = semantics.get("torch_onednn_int8", VERSION), 0
    for name in (n for n in asked if ".linear_int8." in n):
        _, operator, given = asked[name]
        np.testing.assert_array_equal(computed(given, operator, preset), theirs[name], name)
        total += theirs[name].size
    assert total >= 50_000


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("other", ["onnx", "torch_fbgemm", "torch_qnnpack", "torch_onednn"])
def test_the_draws_tell_the_presets_apart(asked, theirs, engine, other):
    preset = semantics.get(other)
    if preset.requantize == semantics.get(f"torch_{engine}").requantize:
        pytest.skip("the same rule of requantization")
    differ = 0
    for name in (n for n in asked if n.startswith(f"{engine}.linear.channel.none.")):
        _, operator, given = asked[name]
        given = {k: v for k, v in given.items() if k != "bias"}
        differ += int((computed(given, operator, preset) != theirs[name]).sum())
    assert differ > 0


@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack", "onednn"])
def test_ends(peer, engine):
    """Products beyond int32, and accumulators beyond it: 70,000 products of 255 and 127."""
    x = np.uint8([[255], [0], [128], [129], [127]])
    asked, columns = {}, 70_000
    for number, y_scale in enumerate([1e-3, 1e-6, 1e-9, 1e-12, 1e-30, 1e30]):
        asked[f"small{number}"] = x, 128, np.float32(y_scale), 10
    asked["wrapped"] = np.full((2, columns), 255, np.uint8), 0, np.float32(1.3e7), 100
    cases = {}
    for name, (codes, zero_point, y_scale, y_zero_point) in asked.items():
        for outputs in (1, 16, 17):
            w = np.full((outputs, codes.shape[1]), 100 if codes.shape[1] == 1 else 127, np.int8)
            cases[f"{name}.{outputs}"] = (engine, "linear", {
                "x": codes, "x_scale": np.float32(1), "x_zero_point": zero_point, "w": w,
                "w_scale": np.float32(1), "w_zero_point": 0, "y_scale": y_scale,
                "y_zero_point": y_zero_point, "bias": np.zeros(outputs, np.float32),
            })  # fmt: skip
    tasks = [f"{name} {engine} linear" for name in cases]
    theirs = peer("torch_layers", tasks=np.array(tasks), **named(cases))
    preset = semantics.get(f"torch_{engine}", VERSION)
    for name, (_, operator, given) in cases.items():
        ours = computed(given, operator, preset)
        np.testing.assert_array_equal(ours, theirs[f"{name} {engine} linear"], name)
