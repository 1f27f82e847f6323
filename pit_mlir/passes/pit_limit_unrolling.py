"""`pit-limit-unrolling`: LLVM repeats the bodies of those loops alone that become faster by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import has_any, operations
from pit_mlir.passes.base import Pass
from pit_mlir.target import host

LOOP = "scf.for"
ANNOTATION = "loop_annotation"
"""The name under which `scf.for` hands the attribute on to the branch that LLVM looks at."""


@dataclass(frozen=True)
class LimitUnrolling(Pass):
    """Tells LLVM which `scf.for` not to unroll.

    A loop around others is not unrolled at all. A loop of scalars is unrolled only wholly, where its trips are few and
    known: LLVM makes vectors of what it can, and what it cannot waits for memory or for a branch. Loops of vectors are
    left to LLVM, as are those that carry a state of several values. With all unrolled, LLVM took 2.15 s for a layer of
    experts; so it takes 1.0 s, for half the code, which is as fast. Loops that round to bf16 are told how many lanes to
    take.
    """

    name: ClassVar[str] = "pit-limit-unrolling"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-outer": "Loops around others",
        "num-scalar": "Innermost loops without vectors",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """What says itself how it is unrolled is left as it is."""
        with op.context:
            never = annotation("disable")
            only_wholly = annotation("runtimeDisable")
            in_lanes = annotation("runtimeDisable", host().lanes(32))
            # Inner loops first: the list has an operation before what it holds.
            for loop in reversed(operations(op, LOOP)):
                outer = enclosing_loop(loop)
                if outer is not None and ANNOTATION not in outer.attributes:
                    outer.attributes[ANNOTATION] = never
                    report.count("num-outer")
                if ANNOTATION not in loop.attributes and not has_vectors(loop) and not is_machine(loop):
                    loop.attributes[ANNOTATION] = in_lanes if rounds_neighbours(loop) else only_wholly
                    report.count("num-scalar")


def annotation(setting: str, lanes: int | None = None) -> ir.Attribute:
    """The attribute that sets `setting` of unrolling to true, and asks for vectors of `lanes`."""
    width = "" if lanes is None else f"vectorize = <disable = false, width = {lanes} : i32>, "
    return ir.Attribute.parse(f"#llvm.loop_annotation<{width}unroll = <{setting} = true>>")


def enclosing_loop(loop: ir.Operation) -> ir.Operation | None:
    """The innermost `scf.for` around `loop`."""
    parent = loop.parent
    while parent is not None and parent.operation.name != LOOP:
        parent = parent.operation.parent
    return None if parent is None else parent.operation


def is_machine(loop: ir.Operation) -> bool:
    """Whether each trip of `loop` goes from one state of several values to the next.

    Such as a merge, with its place in each of two lists: copies of its branch are predicted by histories of their own.
    """
    return len(loop.results) > 1


def has_vectors(loop: ir.Operation) -> bool:
    """Whether `loop` computes with vectors."""
    return has_any(loop, lambda op: any(isinstance(result.type, ir.VectorType) for result in op.results))


def rounds_neighbours(loop: ir.Operation) -> bool:
    """Whether each trip of `loop` rounds to bf16 and moves by one element along all memory that it touches.

    LLVM overestimates what the rounding costs on vectors: it took 4 lanes for a GELU, at four times the time.
    """
    counter = loop.regions[0].blocks[0].arguments[0]
    for use in counter.uses:
        user = use.owner.operation
        is_last = use.operand_number == len(user.operands) - 1
        if user.name not in ("memref.load", "memref.store") or not is_last:
            return False
    return has_any(loop, lambda op: op.name == "arith.truncf" and isinstance(op.results[0].type, ir.BF16Type))
