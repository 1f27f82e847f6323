"""`explain()`: what repeats is counted, lines of the model are shown in the order of the program, names are short."""

import json
from pathlib import Path

from pit_mlir.diagnostics import Diagnostic, Operator, Report
from pit_mlir.explanation import WIDTH, Explanation

PARALLEL = ("parallel", "every result has d0 as a whole dimension")
REDUCTION = ("reduction", "f(f(acc, x), y) = f(f(acc, y), x) for all acc, x, y, floats as reals")
TIED = ("none", "the body reads the position linalg.index 0")


def sample(directory: Path) -> Report:
    """Two layers of a product behind a gather, in a file that can be read."""
    file = directory / "model.py"
    file.write_text("x = table[ids]\ny = up(x)\n")
    report = Report()
    first, second = f"{file}:1:0", f"{file}:2:0"
    report.operators.append(Operator(first, "gather", (TIED, PARALLEL)))
    for _ in range(2):
        report.operators.append(Operator(second, "matrix product", (PARALLEL, PARALLEL, REDUCTION)))
    note = Diagnostic("note", first, "counterexample: x = 1")
    report.remark(first, "linalg.generic: iterator d0 is none: the body reads the position", (note,))
    for _ in range(2):
        report.remark(second, "compact: runs on live rows alone", topic="compact")
        report.remark(second, "assumes: the data is finite")
    report.remark(
        second, f"its result is 0 where the result at {first} is 0 (relu); assumes: x > 0", topic="zeros"
    )
    report.remark(second, "compact through the index of the live rows of 'mask': 0 elsewhere", topic="index")
    return report


def test_text_groups_by_line_and_counts(tmp_path: Path) -> None:
    text = str(Explanation.of(sample(tmp_path)))
    assert text.splitlines()[:7] == [
        "3 operators at 2 lines of the model",
        "  2 run on live rows alone, 0 on lists, 1 stay dense",
        "indices, made anew in every call, of",
        "  the live rows of 'mask'",
        "assumed of every call",
        "  The data is finite.",
        "  X > 0.",
    ]
    assert text.split("\n\n")[1:] == [
        "model.py:1  x = table[ids]\n"
        "  axes      gather: none (the body reads the position linalg.index 0), parallel\n"
        "  note      counterexample: x = 1\n"
        "  dense     all: no index reaches them",
        "model.py:2  y = up(x)\n"
        "  axes      matrix product: 2 parallel, reduction (x2)\n"
        "  zeros     its result is 0 where the result at model.py:1 is 0 (relu)\n"
        "  index     compact through the index of the live rows of 'mask': 0 elsewhere\n"
        "  rewritten runs on live rows alone (x2)",
    ]


def test_json_has_reasons_counts_and_whole_paths(tmp_path: Path) -> None:
    parsed = json.loads(Explanation.of(sample(tmp_path)).to_json())
    assert parsed["summary"]["operators"] == 3
    assert parsed["assumptions"] == ["The data is finite.", "X > 0."]
    product = parsed["findings"][1]
    assert product["location"] == f"{tmp_path}/model.py:2:0"
    assert product["source"] == "y = up(x)"
    (operators,) = product["operators"]
    assert (operators["kind"], operators["count"]) == ("matrix product", 2)
    assert operators["axes"] == [list(PARALLEL), list(PARALLEL), list(REDUCTION)]
    assert {"topic": "compact", "text": "runs on live rows alone", "count": 2} in product["remarks"]


def test_what_stays_dense_says_why_once() -> None:
    report = Report()
    report.operators.append(Operator("gone.py:7:0", "matrix product", (PARALLEL, REDUCTION)))
    report.remark("gone.py:7:0", "not restricted by relu: " + "each element is used once " * 8, topic="dense")
    text = str(Explanation.of(report))
    assert "nothing is known to be zero or unused" in text
    assert "gone.py:7\n" in text, "the file cannot be read"
    assert "no index reaches" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_program_without_operators() -> None:
    assert str(Explanation.of(Report())).startswith("0 operators at 0 lines")
