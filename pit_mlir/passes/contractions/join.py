"""Element-wise work behind a contraction that reads its result in several places, as one operation.

An activation such as `x * sigmoid(x)` is two operations that read x. As one, it is the only user of what the
contraction computes, which can take it in.
"""

from pit_mlir.bindings import ir
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.structured import Structured, build_generic, projection, projection_map
from pit_mlir.passes.contractions.absorb import is_elementwise, only_user


def join_users(op: ContractOp) -> int:
    """Joins the element-wise users of the result of `op` until there is one, or none can be; how often it did.

    Nothing is done where something else reads the result, too.
    """
    result, joined = op.operation.results[0], 0
    while len(list(result.uses)) > 1:
        users = [elementwise(use.owner.operation) for use in result.uses]
        pair = None if None in users else next(filter(None, map(pair_of, users)), None)
        if pair is None:
            break
        join(*pair)
        joined += 1
    return joined


def elementwise(op: ir.Operation) -> Structured | None:
    """The view of `op` if it computes its one result element by element, from whole tensors."""
    view = Structured.on_tensors(op) if op.name == "linalg.generic" else None
    return view if view is not None and is_elementwise(view) else None


def pair_of(first: Structured | None) -> tuple[Structured, Structured] | None:
    """`first` and the element-wise operation that alone reads its result, once for each of its elements."""
    user = None if first is None else only_user(first.op.results[0])
    last = None if user is None else elementwise(user)
    if first is None or last is None or first.op.results[0] not in last.inputs:
        return None
    read = projection(last.maps[last.inputs.index(first.op.results[0])])
    maps = [projection(map_) for map_ in (*first.maps, *last.maps)]
    fits = read is not None and sorted(read) == list(range(len(last.iterators)))
    return (first, last) if fits and None not in maps else None


def join(first: Structured, last: Structured) -> None:
    """Puts one operation in place of `last` that computes what `first` did on the way."""
    between = first.op.results[0]
    number = last.inputs.index(between)
    iterator_of = dict(
        zip(projection(first.maps[-1]) or (), projection(last.maps[number]) or (), strict=True)
    )
    operands = [
        *(
            (value, tuple(iterator_of[p] for p in projection(map_) or ()))
            for value, map_ in zip(first.inputs, first.maps, strict=False)
        ),
        *(
            (value, projection(map_) or ())
            for value, map_ in zip(last.inputs, last.maps, strict=False)
            if value != between
        ),
    ]
    # What both read is read once.
    distinct = list(dict.fromkeys(operands))
    maps = [*(projection_map(len(last.iterators), positions) for _, positions in distinct), last.maps[-1]]

    def body(*scalars: ir.Value) -> list[ir.Value]:
        known = dict(zip(distinct, scalars, strict=False))
        given = [known[operand] for operand in operands]
        [middle] = copied(
            first.yields, first.body, dict(zip(first.scalars, given[: len(first.inputs)], strict=False))
        )
        rest = given[len(first.inputs) :]
        rest.insert(number, middle)
        return copied(last.yields, last.body, dict(zip(last.scalars, rest, strict=False)))

    with ir.InsertionPoint(last.op), last.location:
        made = build_generic([value for value, _ in distinct], last.outputs, maps, last.iterators, body)
    last.op.results[0].replace_all_uses_with(made.results[0])
    last.op.erase()
    first.op.erase()
