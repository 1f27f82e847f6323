"""The page of a report: well-formed, complete, escaped, and without anything from elsewhere."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest

from pit_mlir.diagnostics import Diagnostic, Kernel, Operator, Report
from pit_mlir.errors import InputError
from pit_mlir.explanation import Explanation, percent
from pit_mlir.report.markup import Markup, element, number
from pit_mlir.report.pictures import bars, coverage_curve, heat_map, runs, shade
from pit_mlir.sample import Candidate, Choice, Coverage, Pattern, Sample, Work
from pit_mlir.sample import heat_map as folded

EVIL = "/models/<script>alert('x')&amp;\"/<b>model.py"
"""What a file may be called."""


class Page(HTMLParser):
    """Reads a page and keeps what a test asks for; fails where elements do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def pattern(location: str, **changes: object) -> Pattern:
    """Lists of a ReLU."""
    coverage = (Coverage(1, 30, 100, 0.3), Coverage(2, 40, 50, 0.51))
    heat = ((0.0, 1.0, 0.01), (0.5, 0.5, 0.5))
    whole = Pattern(
        location, f"values at {location}", "list", 4, 25, 40, 2, (3.0, 0.0, 7.0, 9.0), heat, coverage
    )
    return replace(whole, **changes)


def choice(location: str) -> Choice:
    """Lists of 8 and of 32 rows, and none: 8 cost least."""
    candidates = (
        Candidate("8x1", 30, (0.5, 0.25, 1.25, 0.0)),
        Candidate("32x1", 20, (0.25, 0.25, 3.0, 0.5)),
        Candidate("dense", 0, (0.0, 0.0, 4.0, 0.0)),
    )
    return Choice(location, candidates, 0, "of <nowhere>")


def sample_explanation() -> Explanation:
    """Two lines in a file with a wicked name, and a sample run."""
    report = Report()
    first, second = f"{EVIL}:3:0", f"{EVIL}:4:0"
    axes = (("parallel", "every result has d0 as a whole dimension"), ("none", "d1 < d0 & <i>it</i> is tied"))
    report.operators.append(Operator(first, "matrix product", axes, "C[i, j] += A[i] * B[j]", ("i", "j")))
    report.operators.append(Operator(second, "gather", axes))
    report.remark(second, "kept <dense>", topic="dense")
    report.remark(first, "restricted to what is live by relu: a list along reduced iterators", topic="list")
    report.add(Diagnostic("remark", first, "assumes: the <data> is finite"))
    report.kernels.append(Kernel(first, "pit_contract_0123456789abcdef"))
    sample = Sample(
        (pattern(first), pattern(first), pattern(first, kind="rows", segments=1, loads=(4.0,))),
        (Work(first, "contraction", 250, 1000, 0), Work(second, "contraction", 10, 10, None)),
        (choice(first), choice(first), replace(choice(first), picked=2)),
    )
    return replace(Explanation.of(report, "<Model>"), sample=sample)


def pictures(page: str) -> Iterator[ElementTree.Element]:
    """Every picture of `page`, read as XML."""
    for text in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        yield ElementTree.fromstring(text)


def test_page_is_whole_and_asks_nothing_of_a_network() -> None:
    text = sample_explanation().to_html()
    page = Page(text)
    assert text.startswith("<!doctype html>\n<html") and {"html", "head", "body", "style"} <= {
        t for t, _ in page.tags
    }
    fetching = {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "video",
        "audio",
        "source",
        "form",
    }
    assert not fetching & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "style"} & set(attributes)
        assert all(not name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text and "@import" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_page_escapes_what_users_wrote() -> None:
    text = sample_explanation().to_html()
    assert "<script" not in text and "<b>model" not in text and "<i>it" not in text
    shown = "".join(Page(text).text)
    for given in ("<b>model.py:3", "kept <dense>", "The <data> is finite", "<Model>", "tied"):
        assert given in shown, given


def test_page_has_every_operator_line_and_kernel() -> None:
    explanation = sample_explanation()
    shown = "".join(Page(explanation.to_html()).text)
    for said in ("matrix product", "gather", "C[i, j] += A[i] * B[j]", "pit_contract_0123456789abcdef"):
        assert said in shown
    assert "every result has i as a whole dimension" in shown, "axes have the letters of the equation"
    assert "25.7 %" in shown and "260 of 1,010" in shown, "the work"
    assert "single rows, gathered (chosen)" in shown
    assert "micro-tiles of 2 x 1, gathered (chosen)" not in shown, "which lists were followed says the choice"


def test_page_and_text_say_what_was_chosen_and_why() -> None:
    explanation = sample_explanation()
    page, text = Page(explanation.to_html()), " ".join(str(explanation).split())
    shown = "".join(page.text)
    reason = (
        "list of 30 micro-tiles 8x1 is followed: without a list it is expected to take 2 times as long (0.5 ms finding "
        "what is live, 0.25 ms preparing operands, 1.25 ms multiplying) (x2)"
    )
    assert reason in shown and reason in text
    assert "expected, in ms of one thread: 8x1 2, 32x1 4, dense 4; costs: of <nowhere>" in text
    dense = "no list is followed: the cheapest, 8x1, is expected to take 0.5 times as long"
    assert dense in text and dense[1:] in shown
    assert "8x1 (followed)" in shown and "dense (followed)" in shown and "Costs: of <nowhere>." in shown
    chosen = json.loads(explanation.to_json())["sample"]["choices"][0]
    assert chosen["candidates"][1] == {"name": "32x1", "entries": 20, "expected": [0.25, 0.25, 3.0, 0.5]}
    assert chosen["picked"] == 0


def test_work_is_that_of_what_was_followed() -> None:
    work, chosen = Work("", "contraction", 640, 10_000, 0), choice("")
    assert chosen.done(work, 10_000).done == 640 * 30 * 8 // (20 * 32)
    assert chosen.done(work, 200).done == 200, "never more than without a list"
    assert replace(chosen, picked=1).done(work, 10_000).done == 640
    assert replace(chosen, picked=2).done(work, 10_000).done == 10_000
    nothing = replace(
        chosen,
        candidates=(chosen.candidates[0], replace(chosen.candidates[1], entries=0), chosen.candidates[2]),
    )
    assert nothing.done(work, 10_000).done == 0


def test_links_lead_to_lines() -> None:
    tags = Page(sample_explanation().to_html()).tags
    targets = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {(attributes["href"] or "").removeprefix("#") for tag, attributes in tags if tag == "a"}
    assert links and links <= targets


def test_pictures_are_xml_and_say_what_they_show() -> None:
    found = list(pictures(sample_explanation().to_html()))
    assert len(found) >= 8
    for picture in found:
        title = picture[0]
        assert title.tag.endswith("title") and title.text
        width, height = map(float, picture.attrib["viewBox"].split()[2:])
        assert width > 0 and height > 0 and picture.attrib["role"] == "img"


def test_heat_map_shows_each_cell() -> None:
    assert runs([0, 0, 3, 3, 3, 1]) == [(0, 2, 0), (2, 3, 3), (5, 1, 1)]
    assert [shade(share) for share in (0.0, 1e-9, 0.5, 1.0)] == [0, 1, 4, 8]
    picture = heat_map([[0.0, 1.0], [1.0, 1.0]], "a map")
    assert 'd="M1 0h1v1h-1zM0 1h2v1h-2z"' in picture and 'fill-opacity="1"' in picture


def test_a_long_list_is_folded_evenly() -> None:
    everything = numpy.arange(128)
    cells = folded(numpy.zeros(128, numpy.int64), everything, 1, 128)
    assert (len(cells), len(cells[0])) == (2, 64) and all(share == 1 for row in cells for share in row)
    assert folded(numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64), 1, 0) == ()


@pytest.mark.parametrize("values", [[], [0.0], [1.0, 2.0], [5.0] * 300])
def test_bars_of_any_number(values: list[float]) -> None:
    picture = ElementTree.fromstring(bars(values, "bars", 1.0))
    assert sum(child.attrib.get("class") == "bar" for child in picture) == sum(value > 0 for value in values)


def test_curve_of_one_length() -> None:
    picture = ElementTree.fromstring(coverage_curve([Coverage(1, 0, 0, 0.0)], 1, "one"))
    assert any(child.attrib.get("class") == "chosen" for child in picture)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.1234, "12.3 %"), (1e-6, "< 0.1 %"), (0.99999, "> 99.9 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_markup_escapes_all_but_markup() -> None:
    assert element("p", "a < b", Markup("<br>"), None, class_='"x"', stroke_width=2, id=None) == (
        '<p class="&quot;x&quot;" stroke-width="2">a &lt; b<br></p>'
    )
    assert [number(value) for value in (1.0, 0.5, 1 / 3)] == ["1", "0.5", "0.33"]


def test_without_a_sample_run_or_operators() -> None:
    explanation = replace(sample_explanation(), sample=None)
    shown = "".join(Page(explanation.to_html()).text)
    assert "No sample run" in shown and "multiply-adds" not in shown
    assert "no index is made" in "".join(Page(Explanation.of(Report()).to_html()).text)


def test_text_and_json_tell_of_the_sample() -> None:
    explanation = sample_explanation()
    text = str(explanation)
    assert "in the sample run: 25.7 % of the multiply-adds of the dense model, 260 of 1,010" in text
    assert "sample    80 of 200 micro-tiles of 2 x 1 of values at" in text
    parsed = json.loads(explanation.to_json())["sample"]
    assert parsed["patterns"][0]["coverage"][1] == {"micro_tile": 2, "live": 40, "total": 50, "random": 0.51}
    assert parsed["work"][0]["done"] == 250


def test_saved_by_the_end_of_the_name(tmp_path: Path) -> None:
    explanation = sample_explanation()
    for name, start in (("a.html", "<!doctype html>"), ("a.JSON", "{"), ("a.txt", "2 operators")):
        explanation.save(tmp_path / name)
        assert (tmp_path / name).read_text().startswith(start)
    with pytest.raises(InputError, match=r"must end in \.html, \.json, \.txt"):
        explanation.save(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="cannot write"):
        explanation.save(tmp_path / "none" / "a.html")
