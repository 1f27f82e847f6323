"""Tables of offsets: where the places of an axis lie that is made of several iterators and has no stride."""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    delinearize,
    dot,
    flat,
    loop,
    maximum,
    minimum,
    product,
    sub,
    value,
)
from pit_mlir.codegen.outline import outline

SPARE = 64
"""Entries behind the last one, all equal to it: vectors of offsets are read without a mask."""


def table(extents: Sequence[Index], strides: Sequence[Index]) -> ir.Value:
    """A buffer of i32: entry `p` is where place `p` of a space of `extents` lies at `strides`."""
    i32 = ir.IntegerType.get_signless(32)
    count = product(extents)
    buffer = memref.alloc(flat(i32), [value(add(count, SPARE))], [])
    arguments = [buffer, *(value(size) for size in (*extents, *strides))]

    def fill(inside: Sequence[ir.Value]) -> None:
        target, *sizes = inside
        # A space without places has no entry that is read, but it may not divide by 0.
        space = [maximum(size, 1) for size in sizes[: len(extents)]]
        last = sub(product(space), 1)
        with loop(0, add(product(sizes[: len(extents)]), SPARE)) as number:
            place = dot(delinearize(minimum(number, last), space), sizes[len(extents) :])
            memref.store(arith.index_cast(i32, value(place)), target, [number])

    outline(f"pit_table_{len(extents)}", arguments, fill)
    return buffer
