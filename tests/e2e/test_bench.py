"""The benchmarks measure a tiny case each and write rows; options that cannot be are told in a line."""

import json
import runpy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import family, results
from bench.protocol import OURS, Case, Row, Times, interleaved

TINY = {
    "matmul": "--shape 64x64x32 --granularity 32x1 --zeros 0.5 --peer torch --peer csr --peer gather",
    "moe": "--shape 32x16x4x2 --tokens 3 --dtype f32 --weight frozen --peer grouped --peer gathered",
    "relu": "--inputs 64 --outputs 32 --tokens 2 --dtype bf16 --zeros 0.5 --weight kn --peer torch --peer gather",
    "padding": "--layers 1 --hidden 32 --heads 2 --shape 2x16 --fill 0.5 --peer torch --peer packed --peer nested",
    "attention": "--length 64 --block 16 --heads 1 --dim 16 --pattern blocks --peer torch",
    "pruning": "--inputs 64 --outputs 64 --tokens 2 --dtype f32 --granularity 32x64 --zeros 0.5 --layout nk --peer torch",
    "index": "--shape 64x64 --granularity 16x16 --dtype bf16 --peer nonzero --peer numpy --peer sum",
    "models": "--model tiny --peer torch",
    "select": "--shape 16x64x8 --granularity 8x1 --zeros 0.5 --factor first --factor second --peer 8x1 --peer dense",
    "elementwise": "--rows 3 --columns 17 --dtype f32 --chain softmax --chain layer_norm --peer torch",
}
WRONG = [
    ("matmul --granularity 33x1", "33 to divide m = 4096"),
    ("matmul --granularity 32", "2 positive numbers"),
    ("matmul --shape 4x-4x4", "3 positive numbers"),
    ("matmul --zeros 1.5", "a share from 0 to 1"),
    ("matmul --peer cublas", "one of torch, dense"),
    ("matmul --dtype f8", "one of f32, bf16"),
    ("matmul --rounds 0", "a positive number"),
    ("matmul --threads -1", "a positive number"),
    ("matmul --bogus", "No such option: --bogus"),
    ("moe --shape deepseek-v4", "one of mixtral"),
    ("moe --shape olmoe/3", "a divisor of 2048 and 1024"),
    ("moe --shape deepseek-v3 --dtype f64", "GiB of free memory"),
    ("index --granularity 3x1", "3 to divide 4096 rows"),
    ("select --factor third", "one of first, second"),
    ("padding --fill 0", "above 0 to 1, or glue"),
]


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """A run sets torch's threads, gradients and seed, which are everybody's."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    torch.set_rng_state(state)


def run(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """What `python -m bench.<words>` ends with."""
    name, *options = words.split()
    monkeypatch.setattr(sys, "argv", [name, *options])
    monkeypatch.delitem(sys.modules, f"bench.{name}", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"bench.{name}", run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("name", TINY)
def test_writes_rows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.json"
    if name in ("padding", "models"):
        pytest.importorskip("transformers")
    words = f"{name} {TINY[name]} --rounds 1 --json {path}"
    assert run(words, monkeypatch) == 0
    rows = json.loads(path.read_text())
    assert {row["peer"] for row in rows} == {
        word for word in TINY[name].split() if f"--peer {word}" in TINY[name]
    }
    for row in rows:
        assert set(results.KEYS) <= set(row)
        assert row["max_error"] <= 5e-2
        for side in ("peer_ms", "pit_ms"):
            assert 0 < row[side]["min"] <= row[side]["median"] <= row[side]["max"]
        assert row["ratio"] == pytest.approx(row["peer_ms"]["median"] / row["pit_ms"]["median"])
        assert row["zeros"] is None or 0 <= row["zeros"] <= 1


@pytest.mark.parametrize(("words", "told"), WRONG, ids=[words for words, _ in WRONG])
def test_tells_what_cannot_be(
    words: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, monkeypatch) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert len(error.splitlines()) == 1


def a_run(path: Path | None = None) -> family.Run:
    """A run without options."""
    return family.Run("test", "a test", 1, 1, 0, False, ["present", "absent"], path)


def test_wrong_results_are_told_and_not_timed() -> None:
    measured = a_run()
    sides = {"pit": lambda: torch.ones(2), "peer": lambda: torch.zeros(2)}
    case = Case("a case", "2")
    measured.attempt(case, lambda: measured.measure(case, sides, tuple, lambda: torch.ones(2)))
    assert not measured.rows
    assert measured.failures == ["a case 2 f32: peer is wrong by 1.0e+00 of the largest value, 1e-04 passes"]


def test_times_of_the_emulator_are_compared_with_nothing() -> None:
    times = {OURS: Times.of([2.0]), "torch": Times.of([1.0])}
    row = Row(Case("softmax", "4x64", "f32"), times, {OURS: 0.0}, floor=0.5)
    emulated = replace(row, compares=False)
    heads, few = ([column.header for column in results.table("", [one]).columns] for one in (row, emulated))
    assert set(heads) - set(few) == {"x torch", "x floor"}
    assert [row.flat()[0][name] for name in ("ratio", "floor_ms")] == [0.5, 0.5]
    assert [emulated.flat()[0][name] for name in ("ratio", "floor_ms")] == [None, None]


def test_a_missing_peer_is_a_line() -> None:
    def absent() -> None:
        raise family.not_installed("zentorch")

    measured = a_run()
    assert list(measured.others({"present": lambda: print, "absent": absent})) == ["present"]  # type: ignore[dict-item]
    assert list(measured.notes) == ["absent: zentorch is not installed: pip install 'pit_mlir[bench]'"]


def test_an_interrupt_keeps_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(run: family.Run) -> None:
        run.add(Row(Case("a case", "2"), {"pit": Times(1.0, 2.0, 3.0)}, {"pit": 0.0}))
        raise KeyboardInterrupt

    path = tmp_path / "rows.json"
    with pytest.raises(SystemExit) as ended:
        family.start(main, "test", "a test", ["torch"], arguments=["--json", str(path)])
    assert ended.value.code == 130
    assert json.loads(path.read_text())[0]["pit_ms"]["median"] == 2.0
    assert "interrupted: 1 rows kept" in capsys.readouterr().err


def test_every_round_has_arguments_of_its_own_that_sides_share() -> None:
    seen: dict[str, list[int]] = {"one": [], "other": []}
    count = iter(range(100))
    sides = {name: seen[name].append for name in seen}
    times = interleaved(sides, rounds=3, fresh=lambda: (next(count),))
    assert seen["one"] == seen["other"] == [0, 1, 2, 3, 4]
    assert all(time.min <= time.median <= time.max for time in times.values())


def line(
    case: str, shape: str, peer: str | None, peer_ms: float, pit_ms: float, **more: object
) -> dict[str, object]:
    """A row as it is written."""
    times = {"min": pit_ms, "median": pit_ms, "max": pit_ms}
    others = {"min": peer_ms, "median": peer_ms, "max": peer_ms}
    made = {"case": case, "shape": shape, "dtype": "f32", "zeros": None, "granularity": None, "peer": peer}
    made |= {"peer_ms": others if peer else None, "pit_ms": times, "index_ms": None, "floor_ms": 1.0}
    return made | {"ratio": peer_ms / pit_ms, "max_error": 0.0} | more


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine that has measured a little."""
    from bench import figures

    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    folder = tmp_path / "a-machine"
    grid = [
        line("sparse a", "8x8x8", "torch", 30.0, 30.0 - 28 * zeros, zeros=zeros, granularity="32x1")
        for zeros in (0.0, 0.5, 0.9)
    ]
    results.write(folder / "matmul.json", grid)
    experts = [
        line(f"combined {weight} balanced", f"olmoe 8x8x8x8 T={tokens}", "zentorch", 3.0, tokens * 0.5)
        for weight in ("live", "frozen")
        for tokens in (4, 16)
    ]
    results.write(folder / "moe.json", experts)
    seconds = {"compile s": 3.0, "again s": 1.0, "export s": 0.7}
    layers = [line("bert", "x", None, 1.0, 1.0, layers=count, **seconds) for count in (1, 2)]
    results.write(folder / "growth-layers.json", layers)
    return folder


def test_figures_are_drawn_from_rows_in_the_colours_of_the_reader(measured: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench import figures

    figures.main(machine="a-machine", images=tmp_path / "images", png=False)
    for name in figures.FIGURES:
        text = (tmp_path / "images" / f"{name}.svg").read_text()
        assert "prefers-color-scheme" in text
        assert figures.INK not in text
    assert "olmoe, f32" in (tmp_path / "images" / "experts.svg").read_text()


def test_goals_tell_what_was_missed_and_what_was_not_measured(measured: Path) -> None:
    from bench import goals

    told = goals.table(measured).splitlines()
    assert "| product, blocks, 50% zeros, over torch dense | at least 1.75x | 1.88x | yes |" in told
    assert "| product, blocks, 90% zeros, over torch dense | at least 7x | 6.25x | 0 of 1 |" in told
    assert "| experts, frozen, over zentorch | at least 1x | 0.375x to 1.5x | 1 of 2 |" in told
    assert "| a call of a tiny model | at most 20 us | not measured | |" in told


def test_tables_are_rows(measured: Path) -> None:
    from bench import goals, tables

    text = "".join(f"<!-- {name} -->\nold\n<!-- {name} -->\n" for name in tables.TABLES)
    for name, made in tables.TABLES.items():
        text = goals.with_table(text, name, made(measured))
    assert "old" not in text
    assert "| zeros in | 0.5 | 0.9 |\n|---|---|---|\n| 32x1 | 1.9 | 6.2 |\n" in text
    assert "| 32x1 | 1.0 / 4.8: 21% |" in text
    assert "| olmoe, f32 | 1.50 / 1.50 | 0.38 / 0.38 |" in text
    with pytest.raises(SystemExit, match="has 0 lines <!-- experts -->"):
        goals.with_table("", "experts", "")


@pytest.mark.parametrize("table", ["subset", "gpu"])
def test_every_part_has_a_family_and_a_name_of_its_own(table: str) -> None:
    from bench import subset

    parts = subset.parts("", table)
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        assert (Path(subset.__file__).parent / f"{part.words.split()[0]}.py").exists()


def test_programs_are_made_here_and_measured_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"matmul --shape 33x64x7 --granularity 1x1 --zeros 0.5 --peer torch --rounds 1 --target emulator --programs {tmp_path}"
    assert run(f"{words} --make", monkeypatch) == 0
    assert "the programs of 1 cases" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.pit"))) == 2  # the product, and the index alone

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("pit_mlir.compile", forbidden)
    rows = tmp_path / "rows.json"
    assert run(f"{words} --json {rows}", monkeypatch) == 0
    assert [row["target"] for row in json.loads(rows.read_text())] == ["emulator:sm_80"]
    assert run(f"{words.replace('33x64x7', '32x64x7')}", monkeypatch) == 1  # nobody made that one


def test_a_target_that_is_not_here_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        ("index --target cuda:sm_1", "chips: sm_80"),
        ("index --make", "--programs with it"),
        ("index --target cuda:sm_90a", "--make compiles without one"),
    ):
        if torch.cuda.is_available() and "90a" in words:
            continue
        assert run(words, monkeypatch) == 2
        assert told in capsys.readouterr().err
