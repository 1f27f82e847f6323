"""`pit.attend` on buffers: a call of a kernel that all attentions of the same form share."""

import hashlib
from collections.abc import Sequence

from pit_mlir.bindings import func, ir
from pit_mlir.codegen.cpu.attend_kernel import Attention, Element, Ragged, emit_attend
from pit_mlir.codegen.cpu.brackets import Lowering, allocate_like, give, read, sizes
from pit_mlir.codegen.cpu.contract import IndexBuffers
from pit_mlir.dialect.attend import AttendOp
from pit_mlir.dialect.element import elements
from pit_mlir.dialect.pit import int_array, integer
from pit_mlir.dialect.structured import projection
from pit_mlir.target import Host


def lower_attend(operation: ir.Operation, lowering: Lowering) -> None:
    """Code for a `pit.attend` at the insertion point, and its result in the place of the operation's."""
    op = operation.opview
    assert isinstance(op, AttendOp)
    indices = list(operation.operands)[4:]
    result = allocate_like(op.init.type, sizes(op.init))
    attention = attention_of(op, lowering.indices[indices[0]] if indices else None, result)
    name = kernel_of(op, attention, lowering.host)
    func.CallOp([], ir.FlatSymbolRefAttr.get(name), attention.values)
    give(result, operation.results[0])


def attention_of(op: AttendOp, index: IndexBuffers | None, result: ir.Value) -> Attention:
    """The view of `op` whose tensors are buffers."""
    body = op.operation.regions[0].blocks[0]
    reads = [
        Element(element.operation.results[0], read(element.source), positions(element.operation.attributes["map"]))
        for element in elements(body)
    ]
    return Attention(
        body,
        (read(op.query), read(op.key), read(op.value), result),
        tuple(positions(map_) for map_ in op.operation.attributes["indexing_maps"]),
        frozenset(int_array(op, "compact")),
        integer(op, "batch"),
        tuple(int_array(op, "segments")),
        tuple(reads),
        {scalar: scalar for scalar in captured_scalars(body)},
        None if index is None else Ragged(index.begin, index.count, index.entries),
        "guarded" in op.operation.attributes,
    )


def positions(map_: ir.Attribute) -> tuple[int, ...]:
    """The iterators a map of a `pit.attend` selects; its verifier has seen that it selects."""
    selected = projection(ir.AffineMapAttr(map_).value)
    assert selected is not None, "the verifier saw to it"
    return selected


def captured_scalars(body: ir.Block) -> list[ir.Value]:
    """What the body uses of scalars made outside of it; constants are not captured but made anew."""
    inside = set(body.arguments)
    found: dict[ir.Value, None] = {}
    for op in body.operations:
        operation = op.operation
        if operation.name != "pit.element":
            outside = [operand for operand in operation.operands if operand not in inside]
            found.update((scalar, None) for scalar in outside if not is_constant(scalar))
        inside.update(operation.results)
    return list(found)


def is_constant(scalar: ir.Value) -> bool:
    """Whether `scalar` is made by `arith.constant`."""
    owner = scalar.owner
    return not isinstance(owner, ir.Block) and owner.operation.name == "arith.constant"


def kernel_of(op: AttendOp, attention: Attention, host: Host) -> str:
    """The name of the kernel for `attention` in the module, which is built on first use."""
    lanes = host.lanes(ir.FloatType(attention.body.arguments[0].type).width)
    types = [argument.type for argument in attention.values]
    text = f"{fingerprint(op, attention)} {lanes} {[str(type_) for type_ in types]}"
    name = f"pit_attend_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    module = op.operation
    while module.name != "builtin.module":
        module = module.parent.operation
    if name not in ir.SymbolTable(module):
        with ir.InsertionPoint(module.regions[0].blocks[0]):
            kernel = func.FuncOp(name, (types, []), visibility="private")
        with ir.InsertionPoint(kernel.add_entry_block()):
            inside, _ = attention.rebound(list(kernel.arguments))
            emit_attend(inside, lanes, f"{name}_task")
            func.ReturnOp([])
    return name


def fingerprint(op: AttendOp, attention: Attention) -> str:
    """A text that two attentions share if one kernel serves both."""
    attributes = op.operation.attributes
    parts = [f"{name}={attributes[name]}" for name in sorted(attributes)]
    parts += [str(element.positions) for element in attention.elements]
    numbers: dict[ir.Value, str] = {scalar: f"c{n}" for n, scalar in enumerate(attention.captured)}
    numbers[attention.body.arguments[0]] = "score"
    for inner in attention.body.operations:
        parts.append(body_line(inner.operation, numbers))
    return "\n".join(parts)


def body_line(operation: ir.Operation, numbers: dict[ir.Value, str]) -> str:
    """One operation of a body as text in which values are numbers; its results get theirs."""
    reads: Sequence[ir.Value] = [] if operation.name == "pit.element" else list(operation.operands)
    operands = [numbers.get(operand) or str(operand.owner) for operand in reads]
    attributes = sorted(f"{name}={operation.attributes[name]}" for name in operation.attributes)
    for result in operation.results:
        numbers[result] = f"v{len(numbers)}"
    return f"{operation.name} {operands} {attributes} {[str(result.type) for result in operation.results]}"
