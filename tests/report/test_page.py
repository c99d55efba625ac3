"""The page is whole, escaped, and reaches for nothing outside itself."""

import base64
from html.parser import HTMLParser

from refq.report.accounts import ledger
from refq.report.figures import new_axes, png
from refq.report.page import html_page
from refq.report.results import PlanResult, Report

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Collects what stands in a page, and sees that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.words, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


NASTY = "<script>alert('&\"')</script>"


def page(folded, quantized):
    row = PlanResult(NASTY, 0.98, 100, 8.0, 4.0, 1, 2, 3, 40.0, "a.refq")
    report = Report(f"digits{NASTY}", 0, {"refq": NASTY}, 0.985, 400, 9, [row])
    picture = png(new_axes(1, 1).figure)
    text = html_page(
        report, {NASTY: picture}, {NASTY: NASTY}, {NASTY: ledger(folded, quantized)}, NASTY
    )
    return text, picture


def test_every_element_is_closed_and_every_text_escaped(folded, quantized):
    text, picture = page(folded, quantized)
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert "<script" not in text
    assert any(NASTY in words for words in checker.words)
    (image,) = checker.images
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == picture
    assert image["alt"] == NASTY


def test_the_page_needs_nothing_else(folded, quantized):
    text, _ = page(folded, quantized)
    checker = Checker()
    checker.feed(text)
    assert not {name for name, _ in checker.attributes} & {"href", "onload", "srcset"}
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_which_plan_is_smallest_within_a_point():
    plans = [
        PlanResult("big", 0.985, 200, 8.0, 2.0, 0, 0, 1, None),
        PlanResult("good", 0.976, 100, 8.0, 4.0, 0, 0, 1, None),
        PlanResult("bad", 0.9, 50, 8.0, 8.0, 0, 0, 1, None),
    ]
    text = html_page(Report("digits", 0, {}, 0.985, 400, 9, plans), {}, {}, {})
    assert "<b>good</b>: 100 bytes" in text
    nothing = html_page(Report("digits", 0, {}, 0.985, 400, 9, plans[2:]), {}, {}, {})
    assert "smallest file within" not in nothing
