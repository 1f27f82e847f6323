"""`pit.attend` on buffers: a call of a kernel that all attentions of the same form share."""

from collections.abc import Mapping, Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, Blocks, Element, Ragged
from pit_mlir.codegen.brackets import Lowering, allocate_like, give, read, sizes
from pit_mlir.codegen.cpu.attend_kernel import emit_attend
from pit_mlir.codegen.fingerprint import block_lines, digest, is_constant
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.outline import outline
from pit_mlir.dialect.attend import AttendOp, indices_of
from pit_mlir.dialect.element import elements
from pit_mlir.dialect.pit import int_array, integer
from pit_mlir.dialect.structured import projection
from pit_mlir.target import Host


def lower_attend(operation: ir.Operation, lowering: Lowering) -> None:
    """Code for a `pit.attend` at the insertion point, and its result in the place of the operation's."""
    op = operation.opview
    assert isinstance(op, AttendOp)
    init = operation.operands[3]
    result = allocate_like(init.type, sizes(init))
    attention = attention_of(op, lowering.indices, result)
    call_kernel(op, attention, lowering.host)
    give(result, operation.results[0])


def attention_of(op: AttendOp, indices: Mapping[ir.Value, IndexBuffers], result: ir.Value) -> Attention:
    """The view of `op` whose tensors are buffers, as are its `indices`."""
    body = op.operation.regions[0].blocks[0]
    query, key, value = list(op.operation.operands)[:3]
    rows, keys = indices_of(op.operation)
    reads = [
        Element(
            element.operation.results[0], read(element.source), positions(element.operation.attributes["map"])
        )
        for element in elements(body)
    ]
    return Attention(
        body,
        (read(query), read(key), read(value), result),
        tuple(positions(map_) for map_ in op.operation.attributes["indexing_maps"]),
        frozenset(int_array(op, "compact")),
        integer(op, "batch"),
        tuple(int_array(op, "segments")),
        tuple(reads),
        {scalar: scalar for scalar in captured_scalars(body)},
        None if rows is None else lists_of(indices[rows]),
        None if keys is None else blocks_of(op, indices[keys]),
        "guarded" in op.operation.attributes,
    )


def lists_of(index: IndexBuffers) -> Ragged:
    """What a kernel needs of an index."""
    return Ragged(index.begin, index.count, index.entries)


def blocks_of(op: AttendOp, index: IndexBuffers) -> Blocks:
    """The blocks of keys that `op` looks at."""
    along = build.value(index.extents[-2])
    return Blocks(lists_of(index), along, tuple(int_array(op, "keys")), "lowest" in op.operation.attributes)


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


def call_kernel(op: AttendOp, attention: Attention, host: Host) -> None:
    """Calls the kernel for `attention`, which is built on first use."""
    types = [str(value.type) for value in attention.values]
    name = f"pit_attend_{digest([*fingerprint(op, attention), str(host.vector_bits), str(types)])}"

    def emit(arguments: Sequence[ir.Value]) -> None:
        inside, _ = attention.rebound(arguments)
        emit_attend(inside, host, f"{name}_task")

    outline(name, attention.values, emit)


def fingerprint(op: AttendOp, attention: Attention) -> list[str]:
    """Lines that two attentions share if one kernel serves both."""
    attributes = op.operation.attributes
    lines = [f"{name}={attributes[name]}" for name in sorted(attributes)]
    lines += [str(element.positions) for element in attention.elements]
    numbers = {element.source: f"t{number}" for number, element in enumerate(elements(attention.body))}
    numbers |= {scalar: f"c{number}" for number, scalar in enumerate(attention.captured)}
    return lines + block_lines(attention.body, numbers)
