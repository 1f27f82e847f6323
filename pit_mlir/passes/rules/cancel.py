"""R4, cancel: sread(swrite(v, _, I), I) = v, where the swrite stores. No facts are needed: I lists each place once."""

from pit_mlir.bindings import ir
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal, Rows


def written_rows(value: ir.Value, rows: Rows) -> ir.Value | None:
    """The compact tensor whose rows `rows` of `value` are, if a `pit.swrite` stored just these; else None."""
    op = value.owner
    if isinstance(op, ir.Block) or op.operation.name != "pit.swrite":
        return None
    write = op.operation
    if ir.StringAttr(write.attributes["combine"]).value != "store":
        return None
    return write.operands[0] if Rows.of_op(write, write.operands[2]) == rows else None


def plan_swrite(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R4 on a `pit.swrite` whose result is read through the index that it was written through."""
    written = written_rows(op.results[0], demanded[0])
    if written is None:
        return Refusal("it is written through another index, or combines")
    return Plan((None, None, None), lambda operands: [operands[0]])
