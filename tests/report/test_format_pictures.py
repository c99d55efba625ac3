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


@pytest.mark.parametrize("name", ["int3", "uint2", "nf4", "binary", "ternary", "int5"])
def test_small_formats_list_every_code(name):
    form = formats.get(name)
    rows = [line.split() for line in format_picture(name).splitlines()[4 : 4 + (1 << form.bits)]]
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
