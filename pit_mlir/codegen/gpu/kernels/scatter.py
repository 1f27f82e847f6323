"""`tm_tensor.scatter`: a thread for each element of the updates where no two meet, or where the memory adds them up.

Where the last of several is to stay, a first kernel finds it: for each place the greatest number of an update. Else
threads walk over the updates in their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate, give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, bytes_of, compare, truth, value, when
from pit_mlir.codegen.gpu.checks import check_word, fail
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.bodies import inlined
from pit_mlir.dialect.yield_ import yielded


@dataclass(frozen=True)
class Scatter:
    """result[indices[n] + w] = body(updates[n, w], result[indices[n] + w]) for each n in order and each w.

    Dimension i of the indices stands for dimension `mapped[i]` of the result; the dimensions of a window w are the last
    ones of the result. An index out of range fails a check and writes nothing.
    """

    operation: ir.Operation
    updates: ir.Value
    indices: ir.Value
    result: ir.Value
    count: Index
    window: tuple[Index, ...]
    extents: tuple[Index, ...]
    mapped: tuple[int, ...]

    @property
    def body(self) -> ir.Block:
        """How an update and what is there become what is put there."""
        return self.operation.regions[0].blocks[0]

    @property
    def first(self) -> int:
        """The first dimension of the result that a window has."""
        return len(self.extents) - len(self.window)

    @property
    def may_overlap(self) -> bool:
        """Whether windows that begin at different places may share some: a dimension of theirs is indexed."""
        return any(dim >= self.first for dim in self.mapped)

    def element(self, update: Index, place: Sequence[Index]) -> ir.Value:
        """What is put at `place` of the window of `update`."""
        return memref.load(self.updates, [value(coordinate) for coordinate in (update, *place)])

    def at(self, starts: Sequence[Index], place: Sequence[Index]) -> list[Index]:
        """The coordinates in the result of `place` of a window that begins at `starts`."""
        inner = [build.add(start, own) for start, own in zip(starts[self.first :], place, strict=True)]
        return [*starts[: self.first], *inner]

    def visit(
        self,
        update: Index,
        place: Sequence[Index],
        write: Callable[[list[Index]], None],
        word: ir.Value | None = None,
    ) -> None:
        """Calls `write` with the coordinates in the result of `place` of the window of `update`, if it lies within.

        Else the check of the operation fails, in `word`, for the first place of the window.
        """
        starts, inside = starts_of(self, update)
        if word is not None:
            is_first = reduce(arith.andi, [compare("eq", coordinate, 0) for coordinate in place], truth(True))
            with when(arith.andi(is_first, arith.xori(inside, truth(True)))):
                fail(word, "an index of a scatter is out of range", self.operation)
        with when(inside):
            write(self.at(starts, place))

    def each_element(
        self, write: Callable[[Index, Sequence[Index], list[Index]], None], word: ir.Value | None = None
    ) -> None:
        """A thread for each element of the updates calls `write` with update, place in the window, and coordinates."""
        with each(build.product([self.count, *self.window])) as number:
            update, *place = build.delinearize(number, [self.count, *self.window])
            self.visit(update, place, lambda at: write(update, place, at), word)


def lower_scatter(op: ir.Operation, lowering: GpuLowering) -> None:
    """Puts updates into what the init holds, see `Scatter`."""
    count, *window = sizes(op.operands[0])
    scatter = Scatter(
        op,
        read(op.operands[0]),
        read(op.operands[1]),
        private_copy(op.operands[2]),
        count,
        tuple(window),
        tuple(sizes(op.operands[2])),
        tuple(op.attributes["dimension_map"]),
    )
    word = check_word(op)
    overwrites = yielded(scatter.body)[0] == scatter.body.arguments[0]
    # What is overwritten is not taken at its word: PyTorch's indices are said to be unique and may not be.
    unique = ir.BoolAttr(op.attributes["unique_indices"]).value and not overwrites
    if unique or count == 1:
        scatter.each_element(lambda update, place, at: combine(scatter, update, place, at), word)
    elif overwrites:
        put_last(scatter, word)
    elif adds_up(scatter.body) and not lowering.deterministic:
        scatter.each_element(lambda update, place, at: add(scatter, update, place, at), word)
    else:
        combine_in_order(scatter, word)
    give(scatter.result, op.results[0])


def combine(scatter: Scatter, update: Index, place: Sequence[Index], at: list[Index]) -> None:
    """Writes what the body makes of an element of the updates and of what is there."""
    there = [value(coordinate) for coordinate in at]
    given = [scatter.element(update, place), memref.load(scatter.result, there)]
    memref.store(inlined(scatter.body, given)[0], scatter.result, there)


def combine_in_order(scatter: Scatter, word: ir.Value) -> None:
    """Walks over the updates in their order: a thread for each place in a window, or one where windows may overlap."""
    places = build.product(scatter.window)
    threads, own = (1, places) if scatter.may_overlap else (places, 1)
    with each(threads) as thread, build.loop(0, scatter.count) as update, build.loop(0, own) as number:
        place = build.delinearize(build.add(thread, number), scatter.window)
        scatter.visit(update, place, lambda at: combine(scatter, update, place, at), word)


def add(scatter: Scatter, update: Index, place: Sequence[Index], at: list[Index]) -> None:
    """Lets the memory add an element of the updates to what is there."""
    element = scatter.element(update, place)
    is_float = isinstance(element.type, ir.FloatType)
    kind = arith.AtomicRMWKind.addf if is_float else arith.AtomicRMWKind.addi
    memref.atomic_rmw(kind, element, scatter.result, [value(coordinate) for coordinate in at])


def put_last(scatter: Scatter, word: ir.Value) -> None:
    """Writes, of the updates that meet at a place, the last one.

    It is found for each place that a window may begin at, or for each place of the result where windows may overlap.
    """
    kept = tuple(range(len(scatter.extents))) if scatter.may_overlap else scatter.mapped
    i32 = ir.IntegerType.get_signless(32)
    room = build.product([scatter.extents[dim] for dim in kept])
    last = allocate([room], i32)
    with each(room) as number:
        memref.store(arith.constant(i32, -1), last, [number])

    def of(at: Sequence[Index]) -> list[ir.Value]:
        """Where the last update of a place of the result is noted."""
        place: Index = 0
        for dim in kept:
            place = build.add(build.mul(place, scatter.extents[dim]), at[dim])
        return [value(place)]

    def note(update: Index, at: Sequence[Index]) -> None:
        number = arith.index_cast(i32, value(update))
        memref.atomic_rmw(arith.AtomicRMWKind.maxs, number, last, of(at))

    def put(update: Index, place: Sequence[Index], at: Sequence[Index]) -> None:
        winner = arith.index_cast(ir.IndexType.get(), memref.load(last, of(at)))
        with when(compare("eq", winner, update)):
            there = [value(coordinate) for coordinate in at]
            memref.store(scatter.element(update, place), scatter.result, there)

    if scatter.may_overlap:
        scatter.each_element(lambda update, _, at: note(update, at), word)
    else:
        with each(scatter.count) as update:
            scatter.visit(update, [0] * len(scatter.window), lambda at: note(update, at), word)
    scatter.each_element(put)


def starts_of(scatter: Scatter, update: Index) -> tuple[list[Index], ir.Value]:
    """Where the window of `update` begins in the result, and whether all of it lies within."""
    starts: list[Index] = [0] * len(scatter.extents)
    inside: list[ir.Value] = []
    for number, dim in enumerate(scatter.mapped):
        given = memref.load(scatter.indices, [value(update), value(number)])
        starts[dim] = arith.index_cast(ir.IndexType.get(), given)
        width: Index = scatter.window[dim - scatter.first] if dim >= scatter.first else 1
        last = build.sub(scatter.extents[dim], width)
        inside += [compare("sge", starts[dim], 0), compare("sle", starts[dim], last)]
    return starts, reduce(arith.andi, inside, truth(True))


def adds_up(body: ir.Block) -> bool:
    """Whether the body adds the update to what is there, numbers of 32 or 64 bits."""
    operations = [op.operation for op in body.operations]
    return (
        len(operations) == 2
        and operations[0].name in ("arith.addf", "arith.addi")
        and set(operations[0].operands) == set(body.arguments)
        and bytes_of(operations[0].results[0].type) >= 4
    )
