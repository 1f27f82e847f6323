"""Programs from MLIR text, for tests that compare with numpy."""

import os

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.emulator import emulator_device
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.program import Program
from pit_mlir.target import Target


def program(text: str, target: str | None = None, *, deterministic: bool = False) -> Program:
    """The function @main of `text`, compiled for "cpu" or "emulator", by default for `$PIT_TARGET`."""
    chosen = Target.of(os.environ.get("PIT_TARGET", "cpu") if target is None else target)
    with make_context(), ir.Location.unknown():
        code = build_code(ir.Module.parse(text), target=chosen, deterministic=deterministic)
    return Program(code, emulator_device(chosen.chip) if chosen.is_gpu else None)


def elementwise(body: str, element: str, result: str | None = None) -> str:
    """A function that applies `body` (from %a to %q) to each element of a tensor of any length."""
    result = result or element
    return f"""
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<?x{element}>) -> tensor<?x{result}> {{
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x{element}>
  %e = tensor.empty(%n) : tensor<?x{result}>
  %y = linalg.generic {{indexing_maps = [#id, #id], iterator_types = ["parallel"]}}
      ins(%x: tensor<?x{element}>) outs(%e: tensor<?x{result}>) {{
  ^bb0(%a: {element}, %o: {result}):
    {body}
    linalg.yield %q : {result}
  }} -> tensor<?x{result}>
  return %y : tensor<?x{result}>
}}"""
