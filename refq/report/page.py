"""The page: a report as one HTML file that needs nothing else, no network and no script.

Conventions
-----------
Pictures are inside as base64, the style is inline, every text is escaped. The page says what was
measured, shows table and plots, and keeps the ledgers of the plans in sections that unfold.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape

from .accounts import Entry
from .results import COLUMNS, Report
from .tables import number

__all__ = ["html_page"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto;
       max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th { border-bottom: 2px solid #888; } td.word, th.word { text-align: left; }
tr.best td { background: #eef6fb; } .wide { overflow-x: auto; }
img { max-width: 100%; height: auto; } p.note, footer { color: #555; font-size: .9rem; }
details { margin: .5rem 0; } summary { cursor: pointer; } dt { font-weight: 600; }
dd { margin: 0 0 .5rem 0; }
"""


def html_page(
    report: Report,
    images: Mapping[str, bytes],
    sentences: Mapping[str, str],
    ledgers: Mapping[str, Sequence[Entry]],
    description: str = "",
) -> str:
    """Return a report as a page.

    Parameters
    ----------
    report : Report
        The table.
    images : mapping of str to bytes
        Caption -> PNG file.
    sentences : mapping of str to str
        What each plan does, by its name.
    ledgers : mapping of str to sequence of Entry
        The account of each plan, by its name.
    description : str
        What the data are and how they were split.

    Returns
    -------
    str
        HTML; equal arguments give an equal page.

    Examples
    --------
    >>> page = html_page(Report("<digits>", 0, {}, 0.99, 4, 1), {}, {}, {})
    >>> page[:15], "<digits>" in page, "&lt;digits&gt;" in page
    ('<!DOCTYPE html>', False, True)
    """
    sections = [
        f"<h1>refq compress {escape(report.model)}</h1>",
        f'<p class="note">{escape(description)}</p>' if description else "",
        _lead(report),
        '<h2>Plans</h2><div class="wide">' + _table(COLUMNS, report.rows(), (0,)) + "</div>",
        _legend(),
        *(_picture(caption, data) for caption, data in images.items()),
        _plans(sentences),
        "<h2>Where the bits are</h2>" if ledgers else "",
        *(_account(name, entries) for name, entries in ledgers.items()),
        _footer(report),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>refq compress {escape(report.model)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _lead(report: Report) -> str:
    text = (
        f"The float model answers {100 * report.float_accuracy:.2f} % of the test images right; "
        f"its parameters take {report.float_bytes:,} bytes."
    )
    kept = [p for p in report.plans if p.accuracy >= report.float_accuracy - 0.01]
    if kept:
        best = max(kept, key=lambda plan: plan.compression_ratio)
        text += (
            f" The smallest file within one point of that is <b>{escape(best.name)}</b>: "
            f"{best.bytes:,} bytes, {best.compression_ratio:.1f} times smaller, at "
            f"{100 * best.accuracy:.2f} %."
        )
    return f"<p>{text}</p>"


def _legend() -> str:
    return (
        '<p class="note">Better and worse count the test images whose answer turned right or '
        "wrong. Bits per weight are all bits in the file but its header, over the parameters of "
        "the float model. Bytes are the size of the saved file; the ratio is float bytes over "
        "that. MACs are multiply-accumulates for one image. SQNR compares all weights with the "
        "float model's.</p>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (
            f"<{tag}{' class=word' if i in words else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f"<table>\n<thead>{line('th', head)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _picture(caption: str, data: bytes) -> str:
    source = base64.b64encode(data).decode()
    return (
        f"<h2>{escape(caption)}</h2>\n"
        f'<img alt="{escape(caption)}" src="data:image/png;base64,{source}">'
    )


def _plans(sentences: Mapping[str, str]) -> str:
    if not sentences:
        return ""
    items = "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in sentences.items())
    return f"<h2>What the plans do</h2>\n<dl>\n{items}\n</dl>"


def _account(name: str, entries: Sequence[Entry]) -> str:
    head = ("tensor", "shape", "kept as", "bits/weight", "bytes", "SQNR dB")
    rows = [
        (
            entry.name,
            " x ".join(map(str, entry.shape)),
            entry.noun if entry.noun == entry.kept_as else f"{entry.noun}: {entry.kept_as}",
            number(entry.bits_per_weight, 2),
            f"{entry.payload_bytes:,}",
            number(entry.sqnr_db, 1),
        )
        for entry in entries
    ]
    total = f"{sum(entry.payload_bytes for entry in entries):,} bytes without the header"
    table = _table(head, rows, (0, 1, 2))
    return (
        f"<details><summary>{escape(name)}: {total}</summary>"
        f'<div class="wide">{table}</div></details>'
    )


def _footer(report: Report) -> str:
    named = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        f"<footer><p>Made by <code>refq compress {escape(report.model)} --seed {report.seed}</code>"
        f" with {escape(named)}.</p></footer>"
        if named
        else ""
    )
