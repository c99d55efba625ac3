"""Every format fits one screen, and the pictures show its values."""

import numpy as np
import pytest

from refq import formats
from refq.core.errors import RangeError
from refq.report.format_pictures import format_picture, format_table


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_a_picture_fits_one_screen(name):
    lines = format_picture(name).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 79
    assert lines[0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    "name", ["int3", "uint2", "nf4", "binary", "ternary", "int5", "bnb_fp4", "pot4", "apot5"]
)
def test_small_formats_list_every_code(name):
    form = formats.get(name)
    lines = format_picture(name).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("code")) + 2
    rows = [line.split() for line in lines[first : first + (1 << form.bits)]]
    for pattern, (row, value) in enumerate(zip(rows, form.values.tolist(), strict=True)):
        assert row[:2] == [str(pattern), format(pattern, f"0{form.bits}b")]
        assert row[2] == ("-" if np.isnan(value) else f"{value:.7g}")


def test_the_table_has_a_line_for_every_format():
    lines = format_table().splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(formats.FORMATS)
    found = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert found["int4"] == ["4", "16", "-8", "7", "1"]
    assert found["uint64"][2:4] == ["0", str(2**64 - 1)]
    assert found["float16"] == ["16", "63487", "-65504", "65504", "5.96e-08"]
    assert found["float32"][4] == "1.401e-45"
    assert found["float64"][4] == "4.941e-324"


def test_an_unknown_format_is_an_error():
    with pytest.raises(RangeError, match="float3"):
        format_picture("float3")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "float8_e4m3fn",
            [
                "float8_e4m3fn: 8 bits, 253 values from -448 to 448",
                "fields: s eeee mmm",
                "e > 0: (-1)^s * 2^(e - 7) * (1 + m/8);  e = 0: (-1)^s * 2^-6 * m/8",
                "NaN: s 1111 111; no infinity",
            ],
        ),
        ("float8_e5m2", ["infinity: s 11111 00; NaN: s 11111, m > 0"]),
        ("float8_e5m2fnuz", ["NaN: 1 00000 00, where -0 would be; no infinity"]),
        ("float6_e2m3fn", ["neither infinity nor NaN", ""]),
        ("float8_e8m0fnu", ["fields: eeeeeeee, meaning 2^(e - 127)"]),
        ("bfloat16", ["fields: s eeeeeeee mmmmmmm"]),
        ("float32", ["fields: s eeeeeeee " + 23 * "m"]),
        ("float64", ["fields: s " + 11 * "e" + " " + 52 * "m"]),
    ],
)
def test_floats_show_their_fields(name, lines):
    shown = format_picture(name).splitlines()
    start = shown.index(lines[0])
    assert shown[start : start + len(lines)] == lines


def test_e2m1_is_listed_code_by_code():
    rows = [line.split() for line in format_picture("float4_e2m1fn").splitlines()]
    assert ["5", "0101", "3"] in rows
    assert ["15", "1111", "-6"] in rows


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("uint1", "the 0/1 binary; 'binary' is the -1/+1 one"),
        ("binary", "0 goes to -1, with half_up to +1; 'uint1' is the 0/1 binary"),
        ("nf4", "a tie goes down"),
        ("bnb_fp4", "a tie goes toward zero; thresholds of its own"),
    ],
)
def test_notes_say_what_a_name_does_not(name, note):
    assert note in format_picture(name).splitlines()
