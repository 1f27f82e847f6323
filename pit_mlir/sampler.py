"""The variant of a compiled program that also returns its indices."""

from collections.abc import Sequence

from pit_mlir.analysis.gpu_chips import chip_of
from pit_mlir.analysis.tiles import database
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.passes.exposure import expose
from pit_mlir.passes.rules.functions import functions_of
from pit_mlir.runtime.engine import build_program
from pit_mlir.sample import LENGTHS, Sample, sample_of


class Sampler:
    """Runs a program like the compiled one and reads what its indices held."""

    def __init__(self, sparse: bytes, chip: str = "") -> None:
        """Compiles `sparse`, the bytecode of the sparse program, with its indices as further results.

        It runs on this processor; what the program itself would choose on a GPU that is a `chip` follows from that.
        """
        module = ir.Module.parse(sparse, make_context())
        with module.context:
            (function,) = (f for f in functions_of(module.operation) if is_main(f))
            self._exposure = expose(function, LENGTHS, chip)
        self._costs = chip_of(chip).origin if chip else database().origin
        self._program = build_program(module)

    def run(self, pointers: Sequence[int], sizes: Sequence[int]) -> Sample:
        """The sample of a call; the arguments are those of `Program.call`."""
        results = self._program.call(pointers, sizes)
        return sample_of(self._exposure, self._program.arrays(results), self._costs)


def is_main(function: ir.Operation) -> bool:
    """Whether `function` is the program."""
    return ir.StringAttr(function.attributes["sym_name"]).value == "main"
