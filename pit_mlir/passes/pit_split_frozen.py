"""`pit-split-frozen`: what depends on weights alone moves into a function of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pit_mlir.bindings import func, ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.passes.base import Pass

PREPARE = "prepare"
CHEAP = (
    "tensor.extract_slice",
    "tensor.expand_shape",
    "tensor.collapse_shape",
    "tensor.cast",
    "tensor.empty",
)
"""These cost nothing, and would cost a copy as results of a function."""
DIALECTS = ("linalg.", "tensor.", "arith.", "math.", "tm_tensor.")


@dataclass(frozen=True)
class SplitFrozen(Pass):
    """Move what depends on weights alone from @main into @prepare, whose results @main takes.

    A weight is an argument of @main with `pit.kind = "weight"`, or "state" where calls write to it: then nothing that
    depends on it moves. @prepare takes all of them, in order; @main gets one more argument, `pit.kind = "prepared"`,
    for each result of @prepare. A module of which nothing depends on weights alone stays as it is.
    """

    name: ClassVar[str] = "pit-split-frozen"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {
        "num-frozen": "Operations that weights alone decide",
        "num-border": "Results of them that calls use",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """See `Pass`."""
        main = next((f for f in functions(op) if symbol(f) == "main"), None)
        if main is None:
            return
        with op.context, ir.Location.unknown():
            split = Split.of(main)
            if split.border:
                split.apply(report)
                report.count("num-frozen", len(split.frozen))
                report.count("num-border", len(split.border))


def functions(root: ir.Operation) -> Iterator[func.FuncOp]:
    """The functions of the module `root`, or `root` itself, that have a body."""
    view = root.opview
    for op in [view] if isinstance(view, func.FuncOp) else root.regions[0].blocks[0].operations:
        if isinstance(op, func.FuncOp) and not op.is_external:
            yield op


def symbol(function: func.FuncOp) -> str:
    """The name of `function`."""
    return ir.StringAttr(function.attributes["sym_name"]).value


def captured(op: ir.Operation) -> Iterator[tuple[ir.Operation, int, ir.Value]]:
    """Every operand of `op` and of the operations inside it, with who uses it and where."""
    for number, operand in enumerate(op.operands):
        yield op, number, operand
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from captured(inner.operation)


def numbers_of(function: func.FuncOp, *kinds: str) -> list[int]:
    """Which arguments of `function` are of one of `kinds`."""
    attributes = [ir.DictAttr(attribute) for attribute in function.arg_attrs]
    return [
        number
        for number, named in enumerate(attributes)
        if "pit.kind" in named and ir.StringAttr(named["pit.kind"]).value in kinds
    ]


@dataclass
class Split:
    """`frozen`: operations that weights alone decide; `free`: those that nothing decides, such as constants.

    `border` holds the results of the former that other operations of `main` use.
    """

    main: func.FuncOp
    weights: list[ir.Value]
    frozen: list[ir.Operation] = field(default_factory=list[ir.Operation])
    free: list[ir.Operation] = field(default_factory=list[ir.Operation])
    border: list[ir.Value] = field(default_factory=list[ir.Value])

    @staticmethod
    def of(main: func.FuncOp) -> "Split":
        """The split of `main`; nothing is changed yet."""
        arguments = list(main.arguments)
        split = Split(main, [arguments[number] for number in numbers_of(main, "weight", "state")])
        decided = {arguments[number] for number in numbers_of(main, "weight")}
        known: set[ir.Value] = set()
        operations = [op.operation for op in main.entry_block.operations]
        for op in operations:
            outside = [value for _, _, value in captured(op) if not is_inside(value, op)]
            if not movable(op) or any(value not in decided and value not in known for value in outside):
                continue
            is_frozen = any(value in decided for value in outside)
            (split.frozen if is_frozen else split.free).append(op)
            (decided if is_frozen else known).update(op.results)
        inside = set(split.frozen) - split.staying()
        split.border = [
            result
            for op in split.frozen
            if op in inside
            for result in op.results
            if any(top_level(use.owner, main) not in inside for use in result.uses)
        ]
        return split

    def staying(self) -> set[ir.Operation]:
        """The frozen operations that what is not frozen finds anew: sizes, views, memory without values."""
        inside = set(self.frozen)
        found: set[ir.Operation] = set()
        for op in reversed(self.frozen):
            users = [top_level(use.owner, self.main) for result in op.results for use in result.uses]
            is_number = not isinstance(op.results[0].type, ir.RankedTensorType)
            if (is_number or op.name in CHEAP) and any(user not in inside or user in found for user in users):
                found.add(op)
        return found

    def apply(self, report: Report) -> None:
        """Builds @prepare and hands its results to @main."""
        weights = [value.type for value in self.weights]
        results = [value.type for value in self.border]
        with ir.InsertionPoint(self.main):
            prepare = func.FuncOp(PREPARE, (weights, results))
        block = prepare.add_entry_block()
        known: dict[ir.Value, ir.Value] = dict(zip(self.weights, block.arguments, strict=True))
        moved = set(self.frozen) | set(self.free)
        with ir.InsertionPoint(block):
            for op in self.main.entry_block.operations:
                if op.operation in moved:
                    clone_into(op.operation, known)
            func.ReturnOp([known[value] for value in self.border])
        for value in self.border:
            where = location_text(value.owner.location)
            report.remark(where, "computed once, from frozen weights alone", topic="rewritten")
        self.take_results()

    def take_results(self) -> None:
        """Adds the arguments to @main and lets it use them; what is dead then is erased by `cse`."""
        body = self.main.entry_block
        kind = ir.DictAttr.get({"pit.kind": ir.StringAttr.get("prepared")})
        attributes = [*self.main.arg_attrs, *[kind] * len(self.border)]
        for value in self.border:
            value.replace_all_uses_with(body.add_argument(value.type, value.owner.location))
        inputs = [argument.type for argument in body.arguments]
        type_ = ir.FunctionType.get(inputs, self.main.type.results)
        self.main.attributes["function_type"] = ir.TypeAttr.get(type_)
        self.main.arg_attrs = attributes
        for op in reversed(self.frozen):
            if not any(True for result in op.results for _ in result.uses):
                op.erase()


def movable(op: ir.Operation) -> bool:
    """Whether `op` computes tensors or numbers and does nothing else."""
    return op.name.startswith(DIALECTS) and len(op.results) > 0


def is_inside(value: ir.Value, op: ir.Operation) -> bool:
    """Whether `value` is made in a region of `op`."""
    owner = value.owner
    current = owner.owner.operation if isinstance(owner, ir.Block) else owner.operation.parent
    while current is not None:
        if current.operation == op:
            return True
        current = current.operation.parent
    return False


def top_level(op: ir.Operation | ir.OpView, function: func.FuncOp) -> ir.Operation:
    """The operation of the body of `function` that `op` is or lies in."""
    current = op.operation
    while current.parent is not None and current.parent.operation != function.operation:
        current = current.parent.operation
    return current


def clone_into(op: ir.Operation, known: dict[ir.Value, ir.Value]) -> None:
    """A copy of `op` at the insertion point that uses the values in `known`, and is known from then on."""
    copy = op.clone().operation
    for user, number, operand in list(captured(copy)):
        if operand in known:
            user.operands[number] = known[operand]
    known.update(zip(op.results, copy.results, strict=True))
