"""What a contraction takes in: gathers and cheap work on its operands, element-wise work and scatters behind it.

Each function rewrites the contraction once and returns the new one, or returns None where there is nothing to take.
"""

from collections.abc import Mapping
from dataclasses import replace

from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.element import elements, operand_element
from pit_mlir.dialect.group import group_size, segment_blocks
from pit_mlir.dialect.structured import Iterator, Structured, owner, projection, projection_map
from pit_mlir.dialect.window import is_window
from pit_mlir.dialect.yield_ import yielded
from pit_mlir.passes.contractions.rebuild import Header, rebuild, replace_yield

CHEAP = frozenset(
    f"arith.{name}"
    for name in (
        "addf subf mulf negf maximumf minimumf maxnumf minnumf cmpf select constant extf truncf uitofp sitofp "
        "addi subi muli andi ori xori cmpi extsi extui trunci"
    ).split()
)
"""Work that costs no more than the load it follows, so that doing it again in each task is no loss."""


def absorb_epilogue(op: ContractOp) -> ContractOp | None:
    """Takes in the element-wise operation that alone uses the result, over the same iterators and the same list."""
    header = Header.of(op)
    user = only_user(op.operation.results[0])
    view = None if user is None else Structured.on_tensors(user)
    if view is None or not is_elementwise(view) or (keeps_init(header) and view.index is None):
        return None
    if op.operation.results[0] not in view.inputs:
        return None
    number = view.inputs.index(op.operation.results[0])
    own = projection(view.maps[number])
    maps = [projection(map_) for map_ in view.maps]
    if own is None or sorted(own) != list(range(len(view.iterators))):
        return None
    if any(positions is None or len(set(positions)) != len(positions) for positions in maps):
        return None
    # Iterator own[d] of the user is dimension d of the result, which runs over header.positions[d].
    iterator_of = {iterator: header.positions[d] for d, iterator in enumerate(own)}
    if view.index is not None and not is_same_list(header, view, iterator_of):
        return None
    output = tuple(iterator_of[iterator] for iterator in maps[-1] or ())
    rows = header.group[0] if header.group and header.compact else None
    made = rebuild(op, replace(header, init=view.outputs[0], positions=output), before=view.op)
    epilogue = made.operation.regions[1].blocks[0]
    known = {view.scalars[number]: yielded(epilogue)[0]}
    with ir.InsertionPoint(epilogue.operations[len(epilogue.operations) - 1]), view.location:
        for other, source in enumerate(view.inputs):
            if other == number:
                continue
            positions = [iterator_of[iterator] for iterator in maps[other] or ()]
            map_ = projection_map(len(header.iterators), positions)
            known[view.scalars[other]] = operand_element(source, map_, compact=rows in positions)
        made_yields = copied(view.yields, view.body, known)
    replace_yield(epilogue, made_yields)
    finish(op, made, view.op)
    return made


def absorb_write(op: ContractOp) -> ContractOp | None:
    """Takes in the `pit.swrite` that alone uses the result: rows go to their places as they are finished."""
    header = Header.of(op)
    user = only_user(op.operation.results[0])
    if user is None or user.name != "pit.swrite" or user.operands[0] != op.operation.results[0]:
        return None
    if user.attributes["combine"].value not in ("store", "add") or header.combine != "store":
        return None
    axis, group = list(user.attributes["axis"]), list(user.attributes["group"])
    row = header.positions[min(axis)]
    if are_images(op, row):
        return None
    listed = with_index(header, user, row)
    if listed is None:
        return None
    rank = ir.RankedTensorType(user.operands[1].type).rank
    rest = [p for p in header.positions if p != listed.group[0]]
    positions = tuple(listed.group[group[axis.index(d)]] if d in axis else rest.pop(0) for d in range(rank))
    new = replace(
        listed,
        init=user.operands[1],
        positions=positions,
        compact=False,
        combine=user.attributes["combine"].value,
    )
    return rewritten(op, new, row if header.index is None else None, before=user, replaced=user)


def absorb_read(op: ContractOp) -> ContractOp | None:
    """Takes in a `pit.sread` of an operand: its rows are gathered while they are packed, or where sums are finished."""
    header = Header.of(op)
    for reader in (reader for block in blocks_of(op) for reader in elements(block)):
        read = owner(reader.operation.operands[0])
        if read is None or read.name != "pit.sread":
            continue
        positions = list(projection(reader.operation.attributes["map"].value) or ())
        axis, group = list(read.attributes["axis"]), list(read.attributes["group"])
        row = positions[min(axis)]
        if are_images(op, row):
            continue
        listed = with_index(header, read, row)
        if listed is None:
            continue
        rank = ir.RankedTensorType(read.operands[0].type).rank
        rest = [p for p in positions if p != row]
        dims = [listed.group[group[axis.index(d)]] if d in axis else rest.pop(0) for d in range(rank)]
        gathered = (reader.operation.operands[0], row, read.operands[0], dims)
        made = rewritten(op, listed, row if header.index is None else None, gathered=gathered)
        if made is not None:
            return made
    return None


def absorb_producer(op: ContractOp) -> ContractOp | None:
    """Takes in cheap element-wise work on an operand that nothing else uses, such as a weight times its mask."""
    header = Header.of(op)
    for reader in elements(op.operation.regions[0].blocks[0]):
        source = reader.operation.operands[0]
        maker = owner(source)
        view = None if maker is None else Structured.on_tensors(maker)
        if view is None or not is_elementwise(view, cheap=True):
            continue
        if any(use.owner.operation.block not in blocks_of(op) for use in source.uses):
            continue
        maps = [projection(map_) for map_ in view.maps]
        if any(positions is None or len(set(positions)) != len(positions) for positions in maps):
            continue
        # Dimension d of the source runs over iterator maps[-1][d] of its maker.
        positions = projection(reader.operation.attributes["map"].value) or ()
        iterator_of = dict(zip(maps[-1] or (), positions, strict=True))
        is_rows = reader.operation.attributes["compact"].value
        rows = header.group[0] if is_rows else None
        known: dict[ir.Value, ir.Value] = {}
        with ir.InsertionPoint(reader.operation), view.location:
            for number, input_ in enumerate(view.inputs):
                places = [iterator_of[iterator] for iterator in maps[number] or ()]
                map_ = projection_map(len(header.iterators), places)
                known[view.scalars[number]] = operand_element(input_, map_, compact=rows in places)
            [computed] = copied(view.yields, view.body, known)
        reader.operation.results[0].replace_all_uses_with(computed)
        reader.operation.erase()
        return op
    return None


def rewritten(
    op: ContractOp,
    header: Header,
    row: int | None,
    *,
    before: ir.Operation | None = None,
    replaced: ir.Operation | None = None,
    gathered: tuple[ir.Value, int, ir.Value, list[int]] | None = None,
) -> ContractOp | None:
    """`op` with `header`, in place of `replaced` or of itself; None, and nothing changed, if no code can be made of it.

    `row`, an iterator of rows that the header lists anew, makes what runs over it compact. `gathered` is an
    operand to read elsewhere: what it was, its rows, what it is read from and over which iterators.
    """
    trial = op.operation.clone(ip=ir.InsertionPoint(op.operation))
    made = rebuild(trial.opview, header, before=before)
    trial.erase()
    for region in made.operation.regions:
        for reader in elements(region.blocks[0]):
            positions = projection(reader.operation.attributes["map"].value) or ()
            if row is not None and row in positions:
                reader.operation.attributes["compact"] = ir.BoolAttr.get(True)
            if gathered and reader.operation.operands[0] == gathered[0] and gathered[1] in positions:
                reader.operation.operands[0] = gathered[2]
                reader.operation.attributes["compact"] = ir.BoolAttr.get(False)
                map_ = projection_map(len(header.iterators), gathered[3])
                reader.operation.attributes["map"] = ir.AffineMapAttr.get(map_)
    if isinstance(ContractPlan.of(made), str):
        made.operation.erase()
        return None
    finish(op, made, replaced or op.operation)
    return made


def finish(op: ContractOp, made: ContractOp, replaced: ir.Operation) -> None:
    """Puts the result of `made` in place of that of `replaced`, which is erased with `op`."""
    replaced.results[0].replace_all_uses_with(made.result)
    if replaced != op.operation:
        replaced.erase()
    op.operation.erase()


def is_same_list(header: Header, view: Structured, iterator_of: Mapping[int, int]) -> bool:
    """Whether `view` runs over the list of elements that the contraction runs over: it replaces all that is written."""
    listed = tuple(iterator_of[iterator] for iterator in view.group)
    return (
        (header.index, header.group, header.combine) == (view.index, listed, "store")
        and not header.compact
        and not view.compact
    )


def with_index(header: Header, user: ir.Operation, row: int) -> Header | None:
    """`header` over the index that `user`, a `pit.sread` or `pit.swrite`, goes through; `row` runs over its rows.

    None if it has another index already, or if `row` cannot be listed.
    """
    index = user.operands[len(user.operands) - 1]
    if header.index is not None:
        same = header.index == index and is_row_list(header) and header.group[0] == row
        return header if same else None
    size, blocks = group_size(index), segment_blocks(index)
    if size is None or blocks is None or header.iterators[row] != "parallel":
        return None
    count = len(header.iterators)
    added: tuple[Iterator, ...] = ("parallel",) * (size - 1)
    return replace(
        header,
        index=index,
        iterators=(*header.iterators, *added),
        group=(row, *range(count, count + size - 1)),
        block=(1,) * len(blocks),
        compact=row in header.positions,
    )


def are_images(op: ContractOp, row: int) -> bool:
    """Whether `row` runs over images whose windows are read: each gives many columns, and lists are of rows."""
    for reader in elements(op.operation.regions[0].blocks[0]):
        positions = projection(reader.operation.attributes["map"].value) or ()
        if row in positions and is_window(reader.operation.operands[0]):
            return True
    return False


def is_row_list(header: Header) -> bool:
    """Whether the index lists rows: parallel iterators alone."""
    return bool(header.group) and all(header.iterators[position] == "parallel" for position in header.group)


def keeps_init(header: Header) -> bool:
    """Whether elements of the result may be those of the init, which an epilogue does not see."""
    return header.combine == "add" or (is_row_list(header) and not header.compact)


def only_user(value: ir.Value) -> ir.Operation | None:
    """The operation that uses `value`, or reads it by a `pit.element`, if it does so once and nothing else does."""
    uses = list(value.uses)
    if len(uses) != 1:
        return None
    user = uses[0].owner.operation
    return user.parent.operation if user.name == "pit.element" else user


def blocks_of(op: ContractOp) -> list[ir.Block]:
    """The blocks of both regions."""
    return [region.blocks[0] for region in op.operation.regions]


def is_elementwise(view: Structured, *, cheap: bool = False) -> bool:
    """Whether each element of the one result is computed from one element of each input; by cheap work if asked."""
    if len(view.outputs) != 1 or "reduction" in view.iterators or (cheap and view.index is not None):
        return False
    output = projection(view.maps[-1])
    if output is None or sorted(output) != list(range(len(view.iterators))):
        return False
    if any(True for _ in view.scalars[-1].uses):
        return False
    names = [op.operation.name for op in view.body.operations][:-1]
    return all(
        name in CHEAP if cheap else name.startswith(("arith.", "math.", "pit.element")) for name in names
    )
