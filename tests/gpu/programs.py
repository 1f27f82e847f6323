"""Programs from MLIR text on the emulated GPU, for tests that compare with numpy."""

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.emulator import emulator_device
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.program import Program
from pit_mlir.target import Target


def program(
    text: str, *, deterministic: bool = False, target: str = "emulator", tf32: bool = False
) -> Program:
    """The function @main of `text`, compiled for the emulator, or for that of another chip."""
    emulator = Target.of(target)
    with make_context(), ir.Location.unknown():
        code = build_code(ir.Module.parse(text), target=emulator, deterministic=deterministic, tf32=tf32)
    return Program(code, emulator_device(emulator.chip))


def function(arguments: str, body: str, results: list[tuple[str, str]]) -> str:
    """A function @main of `arguments` that returns `results`, each a name and a type."""
    names, types = zip(*results, strict=True)
    return (
        f"func.func @main({arguments}) -> ({', '.join(types)}) {{\n{body}\n"
        f"  return {', '.join(names)} : {', '.join(types)}\n}}"
    )
