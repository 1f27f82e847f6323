"""Contractions of the same rows: which are siblings, and the one contraction that they become."""

from collections.abc import Hashable

from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_kernel import multiplies_siblings
from pit_mlir.dialect.bodies import copied, maker_of
from pit_mlir.dialect.contract import ContractOp, contract
from pit_mlir.dialect.element import ElementOp, elements
from pit_mlir.dialect.structured import owner
from pit_mlir.dialect.yield_ import yielded
from pit_mlir.passes.contractions.absorb import only_user
from pit_mlir.passes.contractions.rebuild import Header

SHARED = ("iterator_types", "group", "block", "tile", "always")
"""The attributes that siblings have in common."""


def sibling_of(op: ContractOp) -> ContractOp | None:
    """The contraction whose result the epilogue of `op`, and nothing else, reads, if they can be one."""
    for read in elements(op.operation.regions[1].blocks[0]):
        maker = owner(read.operation.operands[0])
        if maker is None or maker.name != "pit.contract" or only_user(maker.results[0]) is None:
            continue
        if are_siblings(maker, op.operation, read.operation):
            return maker.opview
    return None


def are_siblings(first: ir.Operation, last: ir.Operation, read: ir.Operation) -> bool:
    """Whether `first`, whose result `last` reads by `read`, has the same rows, and second factors that are alike."""
    if any(text(first, name) != text(last, name) for name in SHARED):
        return False
    if list(first.operands)[1:] != list(last.operands)[1:] or "alternatives" in first.attributes:
        return False
    header = Header.of(first.opview)
    if header.combine != "store" or not (header.compact or header.index is None):
        return False
    if read.attributes["map"] != first.attributes["indexing_maps"][0]:
        return False
    if read.attributes["compact"].value != header.compact:
        return False
    (rows, *columns), (same, *others) = (yielded(op.regions[0].blocks[0]) for op in (first, last))
    if form_of(rows, first) != form_of(same, last):
        return False
    kinds = {
        form_of(factor, op, named=False) for op, some in ((first, columns), (last, others)) for factor in some
    }
    plan = ContractPlan.of(last.opview)
    return len(kinds) == 1 and not isinstance(plan, str) and multiplies_siblings(plan)


def text(op: ir.Operation, name: str) -> str:
    """Attribute `name` of `op` as text; empty where there is none."""
    return str(op.attributes[name]) if name in op.attributes else ""


def form_of(value: ir.Value, op: ir.Operation, *, named: bool = True) -> Hashable:
    """What two values of products have in common if they are computed alike, of the same operands if `named`."""
    maker = maker_of(value, op.regions[0].blocks[0])
    if maker is None:
        outside = owner(value)
        if outside is not None and outside.name == "arith.constant":
            return str(outside.attributes["value"])
        return value
    attributes = tuple(sorted(f"{name}={maker.attributes[name]}" for name in maker.attributes))
    operands: list[Hashable]
    if isinstance(maker.opview, ElementOp) and not named:
        operands = [str(operand.type) for operand in maker.operands]
    else:
        operands = [form_of(operand, op, named=named) for operand in maker.operands]
    return maker.name, attributes, str(value.type), tuple(operands)


def joined(first: ContractOp, last: ContractOp) -> ContractOp:
    """The contraction of the products of both, in the place of `last`; both are erased."""
    header, regions = Header.of(last), [op.operation.regions for op in (first, last)]
    products, epilogues = ([region[number].blocks[0] for region in regions] for number in (0, 1))
    between = first.operation.results[0]
    reads = [
        read.operation.results[0] for read in elements(epilogues[1]) if read.operation.operands[0] == between
    ]

    def product() -> list[ir.Value]:
        rows, *columns = yielded(products[0])
        found = copied([rows, *columns], products[0], {})
        return [*found, *copied(yielded(products[1])[1:], products[1], {})]

    def epilogue(*sums: ir.Value) -> ir.Value:
        count = len(epilogues[0].arguments)
        known = dict(zip(epilogues[0].arguments, sums[:count], strict=True))
        [middle] = copied(yielded(epilogues[0]), epilogues[0], known)
        known = dict(zip(epilogues[1].arguments, sums[count:], strict=True)) | dict.fromkeys(reads, middle)
        [result] = copied(yielded(epilogues[1]), epilogues[1], known)
        return result

    with ir.InsertionPoint(last.operation), last.operation.location:
        made = contract(
            header.init,
            last.operation.attributes["indexing_maps"][0].value,
            header.iterators,
            product=product,
            epilogue=epilogue,
            index=header.index,
            group=header.group,
            block=header.block,
            compact=header.compact,
            combine="add" if header.combine == "add" else "store",
        )
    for name in ("tile", "always"):
        if name in last.operation.attributes:
            made.operation.attributes[name] = last.operation.attributes[name]
    last.operation.results[0].replace_all_uses_with(made.operation.results[0])
    last.operation.erase()
    first.operation.erase()
    return made
