"""The runner of pipelines: order, verification, reports, failures and how they are reproduced."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import InputError, PassError, UnsupportedError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Nested, Upstream, parse_pipeline, pipeline_text
from pit_mlir.passes.runner import Observer, run_pipeline
from pit_mlir.passes.upstream import Managers
from pit_mlir.passes.verification import VARIABLE
from pit_mlir.tools.pit_mlir_opt import main

TWICE = """
func.func @twice(%a: i32) -> i32 {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  %2 = arith.muli %0, %1 : i32
  return %2 : i32
}
func.func @other() {
  return
}
"""


@dataclass(frozen=True)
class Call(Pass):
    """Calls a Python function with the operation."""

    name: ClassVar[str] = "test-call"
    function: Callable[[ir.Operation], object] = print

    def run(self, op: ir.Operation, report: Report) -> None:
        self.function(op)


class Names(Observer):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        self.seen.append(f"{step.name} on {op.name}")

    def failed(self, step: Pass | Upstream, op: ir.Operation) -> None:
        self.seen.append(f"{step.name} failed")


def module(text: str = TWICE) -> ir.Module:
    return ir.Module.parse(text, make_context())


def break_return(op: ir.Operation) -> None:
    """Leaves a function without its result: invalid."""
    body = op.regions[0].blocks[0].operations[0].regions[0].blocks[0]
    body.operations[len(body.operations) - 1].erase()
    with op.context, ir.Location.file("model.py", 3, 4), ir.InsertionPoint(body):
        ir.Operation.create("func.return")


def test_ours_and_upstream_in_order() -> None:
    names = Names()
    found = module()
    texts: list[str] = []
    run_pipeline(
        found,
        ("func.func(cse)", Call(lambda op: texts.append(str(op))), "canonicalize"),
        observers=[names],
    )
    assert names.seen == [
        "cse on func.func",
        "cse on func.func",
        "test-call on builtin.module",
        "canonicalize on builtin.module",
    ]
    assert texts[0].count("arith.addi") == 1


def test_nested_pass_of_ours() -> None:
    found = module()
    seen: list[str] = []
    call = Call(lambda op: seen.append(op.attributes["sym_name"].value))
    run_pipeline(found, (Nested("func.func", (call,)),))
    assert seen == ["twice", "other"]


def test_invalid_ir_names_the_pass_and_reproduces(tmp_path: Path) -> None:
    path = tmp_path / "repro.mlir"
    with pytest.raises(PassError) as raised:
        run_pipeline(module(), ("cse", Call(break_return)), reproducer=path)
    error = raised.value
    assert error.location == "model.py:3:4"
    assert (
        "has 0 operands, but enclosing function (@twice) returns 1 (pass 'test-call' failed)" in error.message
    )
    assert str(error).endswith(f"reproduce with: pit-mlir-opt {path} --run-reproducer")
    text = path.read_text()
    assert 'pipeline: "builtin.module(test-call' in text and "verify_each: true" in text
    assert text.count("arith.addi") == 1, "the module before the failing pass, so after cse"


def test_verification_can_be_off() -> None:
    found = module()
    run_pipeline(found, (Call(break_return),), verify="never")
    assert '"func.return"() : () -> ()' in found.operation.get_asm(print_generic_op_form=True)


class Breaking:
    """A manager whose pass leaves invalid IR."""

    is_verified = True

    def enable_verifier(self, enable: bool) -> None:
        self.is_verified = enable

    def run(self, op: ir.Operation) -> None:
        break_return(op)
        if self.is_verified:
            op.verify()


def test_what_is_found_late_is_blamed_on_the_pass_that_did_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Managers.manager
    monkeypatch.setattr(
        Managers,
        "manager",
        lambda self, step, anchor: Breaking() if step.name == "cse" else make(self, step, anchor),
    )
    path, names = tmp_path / "repro.mlir", Names()
    with pytest.raises(PassError, match="pass 'cse' failed"):
        run_pipeline(
            module(),
            (Call(lambda op: None), "cse", "loop-invariant-code-motion"),
            verify="ours",
            observers=[names],
            reproducer=path,
        )
    assert names.seen[1:] == ["cse on builtin.module", "loop-invariant-code-motion on builtin.module"]
    assert 'pipeline: "builtin.module(cse)"' in path.read_text()


def test_passes_of_ours_are_verified_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    seen: list[str] = []
    with pytest.raises(PassError, match="pass 'test-call' failed"):
        run_pipeline(module(), (Call(break_return), Call(lambda op: seen.append(op.name))), reproducer=None)
    assert not seen


def test_verification_by_a_word_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "often")
    with pytest.raises(InputError, match="PIT_VERIFY=often, expected one of"):
        run_pipeline(module(), "cse")


def test_upstream_failure_reproduces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {\n  %y = "pit.mark"(%x) {operandSegmentSizes = array<i32: 1, 0>} '
    text += ": (tensor<4xf32>) -> tensor<4xf32>\n  return %y : tensor<4xf32>\n}"
    path, names = tmp_path / "repro.mlir", Names()
    with pytest.raises(PassError, match="pass 'one-shot-bufferize' failed"):
        run_pipeline(module(text), "one-shot-bufferize", reproducer=path, observers=[names])
    assert names.seen == ["one-shot-bufferize failed"]
    assert main([str(path), "--run-reproducer"]) == 1
    assert "pit.mark" in capsys.readouterr().err


def test_error_of_the_model_keeps_its_kind() -> None:
    def refuse(op: ir.Operation) -> None:
        raise UnsupportedError("no sorting", location="model.py:7:1")

    with pytest.raises(UnsupportedError, match=r"model\.py:7:1: no sorting"):
        run_pipeline(module(), (Call(refuse),))


def test_unexpected_exception(tmp_path: Path) -> None:
    def fail(op: ir.Operation) -> None:
        assert op.name == "func.func", "only functions"

    with pytest.raises(PassError) as raised:
        run_pipeline(module(), (Call(fail),), reproducer=tmp_path / "repro.mlir")
    assert "pass 'test-call' failed: AssertionError: only functions" in raised.value.message
    assert "(test_runner.py:" in raised.value.message
    assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_everything_is_checked_before_anything_runs() -> None:
    seen: list[str] = []
    with pytest.raises(PassError, match="unknown pass 'no-such-pass'"):
        run_pipeline(module(), (Call(lambda op: seen.append(op.name)), "cse,no-such-pass"))
    assert not seen


def test_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("pit_mlir"), "propagate", True)
    with caplog.at_level(logging.DEBUG, logger="pit_mlir.passes"):
        run_pipeline(module(), "cse")
    assert "cse: " in caplog.text and "6 operations" in caplog.text


@pytest.mark.parametrize("text", ["cse", "func.func(cse,canonicalize{top-down=false}),cse", ""])
def test_pipeline_text_round_trip(text: str) -> None:
    steps = parse_pipeline(text)
    assert pipeline_text(steps) == f"builtin.module({text})"
    assert parse_pipeline(pipeline_text(steps)) == steps


def test_location_text() -> None:
    with make_context():
        file, name = ir.Location.file("a.py", 1, 2), ir.Location.name
        assert location_text(file) == "a.py:1:2"
        assert location_text(name("x", file)) == "a.py:1:2"
        assert location_text(ir.Location.fused([ir.Location.unknown(), name("x", file)])) == "a.py:1:2"
        assert location_text(ir.Location.callsite(ir.Location.file("b.py", 3, 4), [file])) == "b.py:3:4"
        assert location_text(name("x")) == '"x"'
        assert location_text(ir.Location.unknown()) == "<unknown>:0"
