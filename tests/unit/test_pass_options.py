"""Options of passes: dataclass fields to text and back."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.errors import PassError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.options import option_lines
from pit_mlir.passes.pit_prove_permutation import ProvePermutation


@dataclass(frozen=True)
class Everything(Pass):
    """A pass with an option of each kind."""

    name: ClassVar[str] = "test-everything"
    flag: bool = False
    count: int = 3
    ratio: float = 0.5
    some_text: str = ""
    mode: Literal["a", "b"] = "a"
    limit: int | None = None
    sizes: tuple[int, ...] = ()

    def run(self, op: ir.Operation, report: Report) -> None: ...


@dataclass(frozen=True)
class Required(Pass):
    """A pass that needs its option."""

    name: ClassVar[str] = "test-required"
    argument: int

    def run(self, op: ir.Operation, report: Report) -> None: ...


def braces(text: str) -> str:
    return text[text.index("{") + 1 : -1] if "{" in text else ""


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Everything,
        flag=st.booleans(),
        count=st.integers(-9, 9),
        ratio=st.floats(allow_nan=False),
        some_text=st.text(st.characters(codec="ascii", exclude_characters="'{}\n\r"), max_size=8),
        mode=st.sampled_from(["a", "b"]),
        limit=st.none() | st.integers(0, 9),
        sizes=st.lists(st.integers(-9, 9), max_size=3).map(tuple),
    )
)
def test_text_round_trip(given: Everything) -> None:
    assert Everything.from_options(braces(str(given))) == given


def test_text_shows_what_differs() -> None:
    assert str(Everything()) == "test-everything"
    assert str(Everything(flag=True, sizes=(1, 2))) == "test-everything{flag=true sizes=1,2}"
    assert str(Everything(some_text="x y")) == "test-everything{some-text='x y'}"


def test_forms_of_text() -> None:
    assert Everything.from_options("flag") == Everything(flag=True)
    assert Everything.from_options('some-text="a b"  count=7') == Everything(some_text="a b", count=7)
    assert Everything.from_options("some-text={a b}") == Everything(some_text="a b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing=1", "pass 'test-everything' has no option 'nothing'; options: flag, count"),
        ("count=x", "option 'count' must be of type int, got 'x'"),
        ("count", "option 'count' needs a value"),
        (
            f"count={2**63}",
            "option 'count' must be from -9223372036854775808 to 9223372036854775807, got '922",
        ),
        ("flag=perhaps", "option 'flag' must be true or false, got 'perhaps'"),
        ("mode=c", "option 'mode' must be one of a, b, got 'c'"),
        ("= 3", "malformed options"),
    ],
)
def test_what_does_not_fit(text: str, message: str) -> None:
    with pytest.raises(PassError) as raised:
        Everything.from_options(text)
    assert message in str(raised.value)


@pytest.mark.parametrize("value", [-5, 0, 2**31])
def test_integers_have_a_range(value: int) -> None:
    with pytest.raises(PassError, match=f"'timeout-ms' must be from 1 to 2147483647, got '{value}'"):
        ProvePermutation.from_options(f"timeout-ms={value}")
    assert ProvePermutation.from_options("timeout-ms=1").timeout_ms == 1


def test_required_option() -> None:
    assert Required.from_options("argument=1") == Required(argument=1)
    with pytest.raises(PassError, match="requires option 'argument'"):
        Required.from_options("")


def test_listing() -> None:
    assert option_lines(Everything)[:2] == ["flag=bool (default false)", "count=int (default 3)"]
    assert "mode=a|b (default a)" in option_lines(Everything)
    assert "limit=int" in option_lines(Everything)
