"""`pit-normalize`: the form of a program that proofs and rules read."""

from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass
from pit_mlir.passes.normal_form.asserts import drop_idle_checks, outline_asserts
from pit_mlir.passes.normal_form.decisions import outline_decisions
from pit_mlir.passes.normal_form.fingerprint import fingerprint
from pit_mlir.passes.normal_form.generalize import generalize_named
from pit_mlir.passes.normal_form.movement import separate_users
from pit_mlir.passes.normal_form.pins import pinned
from pit_mlir.passes.normal_form.positions import fold_table_reads, outline_positions
from pit_mlir.passes.normal_form.reshapes import cancel_reshapes, join_unit_reshapes, split_less
from pit_mlir.passes.normal_form.scalars import fold_sign_tests, fold_truncations
from pit_mlir.passes.normal_form.scope import operations, upstream
from pit_mlir.passes.normal_form.sink import sink_below_slices, sink_below_sorts
from pit_mlir.passes.normal_form.sizes import fold_dims, fold_quotients
from pit_mlir.passes.normal_form.windows import (
    cut_single_windows,
    drop_idle_windows,
    fold_windows,
    outline_windows,
)

# Rounds of folding at most; encoders take 3, window attention with its partitions 9.
_MAX_ROUNDS = 40

_FOLDED = (
    "arith.cmpi",
    "arith.divsi",
    "arith.maxsi",
    "arith.truncf",
    "pit.check",
    "pit.window",
    "tensor.collapse_shape",
    "tensor.dim",
    "tensor.expand_shape",
    "tensor.extract",
    "tensor.extract_slice",
    "tensor.reshape",
    "tm_tensor.sort",
)


@dataclass(frozen=True)
class Normalize(Pass):
    """Brings linalg on tensors into normal form: one iterator per model axis, movement folded into maps.

    Afterwards transposes, broadcasts and most reshapes are gone into indexing maps, bodies take positions
    from iota operands, comparisons of floats that decide over others from masks, asserts are `pit.check`s outside
    bodies, unit dimensions and dead results are gone, and float operations stand one by one: none is fused into
    another or into a contraction.
    """

    name: ClassVar[str] = "pit-normalize"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites the module `op`; what is not understood stays as it is."""
        context = op.context
        with context:
            clean = upstream("canonicalize,cse", context)
            # arith and math on whole tensors, which models written by hand have.
            upstream("convert-elementwise-to-linalg", context).run(op)
            clean.run(op)
            # Before the asserts, whose conditions are then read through broadcasts.
            generalize_named(op)
            cut_single_windows(op)
            outline_windows(op)
            outline_asserts(op)
            upstream("linalg-fold-unit-extent-dims,canonicalize,cse", context).run(op)
            _fold_movement(op)
            outline_positions(op)
            outline_decisions(op)
            clean.run(op)
            assert op.verify()


def _fold_movement(module: ir.Operation) -> None:
    """Folds movement and integer chains into their users until nothing changes.

    It is not enough to count reshapes: a round that moves one without removing any still makes progress.
    """
    fuse = upstream("linalg-fuse-elementwise-ops", module.context)
    tidy = upstream("canonicalize,cse,linalg-fold-unit-extent-dims,canonicalize,cse", module.context)
    before = None
    for _ in range(_MAX_ROUNDS):
        _fold_known(module)
        separate_users(module)
        with pinned(module):
            fuse.run(module)
        tidy.run(module)
        after = fingerprint(module)
        if after == before:
            return
        before = after


def _fold_known(module: ir.Operation) -> None:
    """Folds what follows from sizes and positions, one walk for all."""
    found = operations(module, _FOLDED)
    fold_dims(found["tensor.dim"])
    fold_quotients(found["arith.divsi"])
    sink_below_sorts(found["tm_tensor.sort"])
    sink_below_slices(found["tensor.extract_slice"])
    drop_idle_windows(found["pit.window"])
    fold_windows(found["tensor.expand_shape"] + found["tensor.collapse_shape"])
    found = operations(module, _FOLDED)
    cancel_reshapes(found["tensor.expand_shape"] + found["tensor.reshape"])
    split_less(operations(module, ("tensor.expand_shape",))["tensor.expand_shape"])
    join_unit_reshapes(found["tensor.collapse_shape"])
    fold_sign_tests(found["arith.cmpi"] + found["arith.maxsi"])
    fold_truncations(found["arith.truncf"])
    fold_table_reads(found["tensor.extract"])
    drop_idle_checks(found["pit.check"])
