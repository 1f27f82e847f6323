"""The one forward rewrite: builds the compact operations that `demand` decided, in place of the reads."""

from pit_mlir.bindings import ir
from pit_mlir.dialect.sread import sread
from pit_mlir.dialect.structured import Structured, owner, projection
from pit_mlir.passes.rules.cancel import written_rows
from pit_mlir.passes.rules.demand import Demands
from pit_mlir.passes.rules.hoist import plan_generic
from pit_mlir.passes.rules.hoist_shape import compact_fill, is_refillable
from pit_mlir.passes.rules.rows import Plan, Rows


class Compaction:
    """Rewrites one function by the plans of `demands`, in program order."""

    def __init__(self, function: ir.Operation, demands: Demands) -> None:
        self.block = function.regions[0].blocks[0]
        self.demands = demands
        self.compact: dict[tuple[ir.Value, Rows], ir.Value] = {}
        """The compact tensors made so far."""
        self.position = {op.operation: number for number, op in enumerate(self.block.operations)}

    def run(self) -> int:
        """Builds the compact operations, replaces the reads of their values, erases what is left without users.

        How many reads were replaced.
        """
        dead: list[ir.Operation] = []
        for operation in list(self.block.operations):
            op = operation.operation
            if op in self.demands.plans:
                self.build(op)
                dead.append(op)
            elif op.name == "pit.sread" and self.replace(op):
                dead.append(op)
        for op in reversed(dead):
            assert not any(list(result.uses) for result in op.results), f"still used: {op}"
            op.erase()
        return len(dead) - len(self.demands.plans)

    def build(self, op: ir.Operation) -> None:
        """Makes the compact form of `op` from its operands read as planned."""
        plan, demanded = self.demands.plans[op]
        index = next(iter(demanded.values())).index
        with self.place(op, index), op.location:
            operands = [
                operand if rows is None else self.read(operand, rows)
                for operand, rows in zip(op.operands, plan.reads, strict=True)
            ]
            results = plan.build(operands)
        for number, rows in demanded.items():
            self.compact[op.results[number], rows] = results[number]

    def place(self, op: ir.Operation, index: ir.Value) -> ir.InsertionPoint:
        """Where `op` stands, or behind the size of `index` if that is made later: all compact users stand there."""
        maker = owner(index)
        if maker is None or self.position[maker] < self.position[op]:
            return ir.InsertionPoint(op)
        return ir.InsertionPoint(self.behind(maker))

    def behind(self, maker: ir.Operation) -> ir.Operation:
        """The first operation behind `maker` that is not one of ours: what is built now goes in front of it."""
        following = list(self.block.operations)[self.current(maker) + 1 :]
        return next(op.operation for op in following if op.operation in self.position)

    def current(self, op: ir.Operation) -> int:
        """The number of `op` in the block as it is now."""
        return [other.operation for other in self.block.operations].index(op)

    def replace(self, op: ir.Operation) -> bool:
        """Puts the compact tensor in place of the `pit.sread` `op`, if there is one."""
        rows = Rows.of_op(op, op.operands[1])
        if (op.operands[0], rows) not in self.compact:
            written = written_rows(op.operands[0], rows)
            if written is None:
                self.compact[op.operands[0], rows] = op.results[0]
                return False
            self.compact[op.operands[0], rows] = written
        op.results[0].replace_all_uses_with(self.compact[op.operands[0], rows])
        return True

    def read(self, value: ir.Value, rows: Rows) -> ir.Value:
        """`rows` of `value`: compact already, made anew, or read here."""
        if (value, rows) not in self.compact:
            self.compact[value, rows] = self.make(value, rows)
        return self.compact[value, rows]

    def make(self, value: ir.Value, rows: Rows) -> ir.Value:
        """`rows` of a dense `value`: a fill at the compact size, what was written there (R4), or a new read."""
        maker = owner(value)
        if maker is not None and is_refillable(maker):
            return compact_fill(value, maker, rows)
        if maker is not None and is_broadcast(maker):
            copied = self.broadcast(maker, rows)
            if copied is not None:
                return copied
        return written_rows(value, rows) or sread(value, rows.index, axis=rows.axis, group=rows.group)

    def broadcast(self, maker: ir.Operation, rows: Rows) -> ir.Value | None:
        """`rows` of what `maker` broadcasts, broadcast anew: whoever reads all of it does not make its rows dense."""
        clone = maker.clone()
        plan = plan_generic(clone, {0: rows})
        made = None
        if isinstance(plan, Plan):
            operands = [
                operand if read is None else self.read(operand, read)
                for operand, read in zip(maker.operands, plan.reads, strict=True)
            ]
            made = plan.build(operands)[0]
        clone.erase()
        return made


def is_broadcast(op: ir.Operation) -> bool:
    """Whether `op` only repeats its one operand along further dimensions, as a bias is."""
    view = Structured.on_tensors(op)
    if view is None or len(view.inputs) != 1 or len(view.outputs) != 1 or view.index is not None:
        return False
    source, out = projection(view.maps[0]), projection(view.maps[1])
    repeats = source is not None and out is not None and len(source) < len(out)
    return repeats and view.yields[0] == view.scalars[0]
