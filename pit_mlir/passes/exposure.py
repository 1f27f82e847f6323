"""What a program returns about its indices and its work, and the plan by which the results are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.extents import extent_source
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.codegen.contract_alternatives import alternatives_of
from pit_mlir.codegen.cpu.contract import candidates_of
from pit_mlir.codegen.gpu.contract import cost_of_list
from pit_mlir.dialect.attend import AttendOp, indices_of
from pit_mlir.dialect.block_mask import BlockMaskOp, split_operands
from pit_mlir.dialect.choice import choice
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import DetectOp, detect
from pit_mlir.dialect.element import elements
from pit_mlir.dialect.lists import lists
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.pit import IndexType
from pit_mlir.dialect.segment import SegmentOp
from pit_mlir.dialect.size import size
from pit_mlir.dialect.structured import Structured, maps_of, owner, projection
from pit_mlir.passes.contractions.alternatives import name_of
from pit_mlir.passes.exposed import (
    DeviceChoice,
    ExposedChoice,
    ExposedIndex,
    ExposedWork,
    Exposure,
    Extent,
    Number,
    Rows,
)

SMALLEST_PAIRS = 8
"""Blocks of queries and keys that are smaller are not counted: there are too many of them."""


@dataclass(frozen=True)
class Access:
    """A tensor that an operation reads or writes: which iterator each of its dimensions runs over, None for rows."""

    value: ir.Value
    positions: tuple[int | None, ...]


class Exposer:
    """Collects the further results of one function, at its end."""

    def __init__(self, function: ir.Operation) -> None:
        self.body = function.regions[0].blocks[0]
        self.exposure = Exposure()
        self.index_numbers: dict[ir.Value, int] = {}
        self.results: list[ir.Value] = []
        self.numbers: list[ir.Value] = []
        self.places: dict[ir.Value | tuple[ir.Value, int], Number] = {}

    def number(self, index: ir.Value) -> int:
        """The place of `index`, an `index` value, among the numbers."""
        self.numbers.append(arith.index_cast(ir.IntegerType.get_signless(64), index))
        return len(self.numbers) - 1

    def add_index(self, op: DetectOp, first: int, micro_tiles: Sequence[int]) -> None:
        """The lists of `op`, and how long they are for other micro-tiles where neighbours share one."""
        attributes = op.operation.attributes
        block = tuple(attributes["block"])
        finer: list[tuple[int, int]] = []
        for micro_tile in micro_tiles if max(block, default=1) > 1 else ():
            other = detect(
                op.operation.operands[0],
                segments=list(attributes["segments"]),
                axis=list(attributes["axis"]),
                block=[micro_tile if length > 1 else length for length in block],
                micro_tile=micro_tile,
            )
            finer.append((micro_tile, self.number(size(other))))
        where, segments = location_text(op.operation.location), len(block)
        source = source_text(op.operation.operands[0])
        self.keep(op, ExposedIndex(where, source, first + len(self.results), segments, block, tuple(finer)))

    def add_pairs(self, op: BlockMaskOp, first: int, micro_tiles: Sequence[int]) -> None:
        """The blocks that `op` lists, and how many there are of other sizes."""
        attributes = op.operation.attributes
        sizes, rows = split_operands(op.operation)
        finer: list[tuple[int, int]] = []
        for micro_tile in micro_tiles:
            if micro_tile >= SMALLEST_PAIRS:
                other = op.operation.clone()
                other.attributes["block"] = ir.DenseI64ArrayAttr.get([micro_tile, micro_tile])
                finer.append((micro_tile, self.number(size(other.results[0]))))
        names = dict.fromkeys(
            source_text(read.source) for read in elements(op.operation.regions[0].blocks[0])
        )
        exposed = ExposedIndex(
            location_text(op.operation.location),
            " and ".join(names) or "positions",
            first + len(self.results),
            len(sizes) - 1,
            tuple(attributes["block"]),
            tuple(finer),
            is_pairs=True,
            rows=(self.index_numbers[rows[0]], tuple(attributes["segments"])) if rows else None,
        )
        self.keep(op, exposed)

    def keep(self, op: DetectOp | BlockMaskOp, exposed: ExposedIndex) -> None:
        """Makes the lists of `op` results."""
        index = op.operation.results[0]
        self.index_numbers[index] = len(self.exposure.indices)
        self.exposure.indices.append(exposed)
        self.results += lists(index)

    def add_segment(self, op: SegmentOp) -> None:
        """One segment of an index whose lists are results."""
        self.index_numbers[op.operation.results[0]] = len(self.exposure.indices) + len(self.exposure.segments)
        number = ir.IntegerAttr(op.operation.attributes["number"]).value
        self.exposure.segments.append((self.index_numbers[op.operation.operands[0]], number))

    def add_choice(self, op: ContractOp, first: int) -> None:
        """What `op` expects of each list that it may follow, if there is more than one way."""
        candidates = candidates_of(op.operation)
        if len(candidates) > 1:
            names = tuple(map(name_of, candidates))
            where = location_text(op.operation.location)
            result, work = first + len(self.results), len(self.exposure.work) - 1
            self.exposure.choices.append(ExposedChoice(where, names, result, work))
            self.results.append(choice(op.operation.results[0]))

    def add_device_choice(self, op: ContractOp, chip: str) -> None:
        """By what the kernels of `op` for `chip` choose whether they follow their list, if they do."""
        cost = cost_of_list(op.operation, chip)
        if cost is not None:
            where, name = location_text(op.operation.location), name_of(alternatives_of(op.operation)[-1])
            work = len(self.exposure.work) - 1
            self.exposure.device_choices.append(DeviceChoice(where, name, cost, work))

    def add_work(self, op: ir.Operation) -> None:
        """The extents of the iterators of `op`, if it is a contraction or an attention."""
        accesses = list(accesses_of(op))
        if not accesses:
            return
        lists = alternatives_of(op) if op.name == "pit.contract" else [None]
        index = next((v for v in op.operands if isinstance(v.type, IndexType)), None)
        pairs: ir.Value | None = None
        pair_group: tuple[int, ...] = ()
        attributes = op.attributes
        if op.name == "pit.attend":
            index, pairs = indices_of(op)
            pair_group = tuple(attributes["keys"]) if pairs is not None else ()
            iterators = ir.IntegerAttr(attributes["batch"]).value + 4
            group, block = tuple(attributes["segments"]), ()
        else:
            iterators = len(attributes["iterator_types"])
            group = tuple(attributes["group"]) if "group" in attributes else ()
            block = tuple(attributes["block"]) if "block" in attributes else ()
            if lists[-1] is not None:
                index, group, block = lists[-1].index, lists[-1].group, lists[-1].block
        found: list[Extent] = [None] * iterators
        for access in accesses:
            for dim, position in enumerate(access.positions):
                if position is not None and found[position] is None:
                    found[position] = self.extent(access.value, dim)
        numbers = [None if one is None else self.index_numbers.get(one) for one in (index, pairs)]
        kind = "attention" if op.name == "pit.attend" else "contraction"
        where = location_text(op.location)
        self.exposure.work.append(
            ExposedWork(where, kind, tuple(found), numbers[0], group, block, numbers[1], pair_group)
        )

    def extent(self, value: ir.Value, dim: int) -> Extent:
        """The size of dimension `dim` of `value`: known, the rows of an index, or a number of the call."""
        source = extent_source(value, dim)
        if isinstance(source, int):
            return source
        maker = owner(source[0] if isinstance(source, tuple) else source)
        if maker is not None and maker.name == "pit.size" and maker.operands[0] in self.index_numbers:
            return Rows(self.index_numbers[maker.operands[0]])
        if (
            isinstance(source, tuple)
            and maker is not None
            and maker.name == "pit.sread"
            and source[1] == min(maker.attributes["axis"])
        ):
            return Rows(self.index_numbers[maker.operands[1]])
        if source not in self.places:
            size_ = source if isinstance(source, ir.Value) else dim_of(*source)
            self.places[source] = Number(self.number(size_))
        return self.places[source]


def is_another(op: ir.Operation) -> bool:
    """Whether contractions alone use the index of `op`, beside another of the same elements: the last one is shown."""
    users = [use.owner.operation for use in op.results[0].uses]
    return bool(users) and all(
        user.name == "pit.contract" and user.operands[len(user.operands) - 1] != op.results[0]
        for user in users
    )


def source_text(value: ir.Value) -> str:
    """What a reader calls the tensor `value`: an argument by its name, or where it is made."""
    while (maker := owner(value)) is not None:
        view = Structured.on_tensors(maker)
        if view is None or len(view.inputs) != 1 or "reduction" in view.iterators:
            return f"values at {location_text(maker.location)}"
        # What is made of one tensor, element by element, shows the zeros of that one.
        value = view.inputs[0]
    function = value.owner.owner.operation
    number = list(function.regions[0].blocks[0].arguments).index(value)
    named = function.attributes["arg_attrs"][number] if "arg_attrs" in function.attributes else {}
    return f"'{ir.StringAttr(named['pit.name']).value}'" if "pit.name" in named else f"argument {number}"


def dim_of(value: ir.Value, dim: int) -> ir.Value:
    """The size of dimension `dim` of the tensor `value`, an `index` value."""
    return tensor.dim(value, arith.constant(ir.IndexType.get(), dim))


def accesses_of(op: ir.Operation) -> Iterator[Access]:
    """What a contraction or an attention reads and writes; nothing for any other operation."""
    view = op.opview
    if isinstance(view, ContractOp):
        group = list(op.attributes["group"])
        compact = op.attributes["compact"].value
        yield access(op.operands[0], maps_of(op)[0], group if compact else ())
        for region in op.regions:
            for read in elements(region.blocks[0]):
                attributes = read.operation.attributes
                hidden = group if attributes["compact"].value else ()
                yield access(read.source, attributes["map"].value, hidden)
    elif isinstance(view, AttendOp):
        compact = set(op.attributes["compact"])
        batch = ir.IntegerAttr(op.attributes["batch"]).value
        for number, (value, map_) in enumerate(zip(list(op.operands)[:4], maps_of(op), strict=True)):
            yield access(value, map_, (batch, batch + 1) if number in compact else ())
        for read in elements(op.regions[0].blocks[0]):
            yield access(read.source, read.operation.attributes["map"].value, ())
    elif is_product(structured := Structured.on_tensors(op)):
        assert structured is not None
        values = (*structured.inputs, *structured.outputs)
        for number, (value, map_) in enumerate(zip(values, structured.maps, strict=True)):
            if isinstance(value.type, ir.RankedTensorType):
                yield access(value, map_, structured.group if number in structured.compact else ())


def is_product(view: Structured | None) -> bool:
    """Whether `view` sums up products, as a contraction does that no `pit.contract` was made of."""
    if view is None or "reduction" not in view.iterators:
        return False
    names = {op.operation.name for op in view.body.operations}
    return len(view.inputs) > 1 and bool(names & {"arith.mulf", "arith.muli"})


def access(value: ir.Value, map_: ir.AffineMap, hidden: Sequence[int]) -> Access:
    """The dimensions of `value` that are iterators as a whole and not among `hidden`, which rows stand for."""
    positions = projection(map_) or tuple(
        expression.position if isinstance(expression, ir.AffineDimExpr) else None
        for expression in map_.results
    )
    return Access(value, tuple(None if position in hidden else position for position in positions))


def expose(function: ir.Operation, micro_tiles: Sequence[int], chip: str = "") -> Exposure:
    """Adds the results to `function`; an `Exposure` of nothing, and no change, where it has them already.

    With `chip` the program's own contractions run on such a GPU, and choose by what their lists hold.
    """
    exposer = Exposer(function)
    operations = [op.operation for op in exposer.body.operations]
    if any(op.name == "pit.lists" for op in operations):
        return exposer.exposure
    back = operations[-1]
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    with ir.InsertionPoint(back), back.location:
        for op in operations:
            if isinstance(op.opview, DetectOp) and not is_another(op):
                exposer.add_index(op.opview, len(type_.results), micro_tiles)
            elif isinstance(op.opview, BlockMaskOp):
                exposer.add_pairs(op.opview, len(type_.results), micro_tiles)
        for op in operations:
            if isinstance(op.opview, SegmentOp):
                exposer.add_segment(op.opview)
        for op in operations:
            exposer.add_work(op)
            if isinstance(op.opview, ContractOp) and chip:
                exposer.add_device_choice(op.opview, chip)
            elif isinstance(op.opview, ContractOp):
                exposer.add_choice(op.opview, len(type_.results))
        i64 = ir.IntegerType.get_signless(64)
        exposer.results.append(
            tensor.from_elements(ir.RankedTensorType.get([len(exposer.numbers)], i64), exposer.numbers)
        )
        returned = [*back.operands, *exposer.results]
        ir.Operation.create("func.return", operands=returned)
    back.erase()
    exposer.exposure.numbers = len(exposer.numbers)
    results = [value.type for value in returned]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(type_.inputs, results))
    return exposer.exposure
