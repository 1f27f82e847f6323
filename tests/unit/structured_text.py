"""Writes `linalg.generic` as text for tests of analyses: one operand a pair (results of its map, element type)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context

T = TypeVar("T")
Operand = tuple[str, str]
"""The results of an operand's map, as `d0, d1 + d2`, and its element type."""


def generic(
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    body: str,
    *,
    iterators: int,
    live: Sequence[int] | None = None,
    captures: str = "",
) -> str:
    """A function with one `linalg.generic`; the body names its scalars %x0.. (inputs) and %a0.. (accumulators).

    A line `yield %r : f32` ends the body. `live` numbers the results that are used, all by default. `captures` are
    further arguments of the function, as `%t: tensor<8xf32>`.
    """
    operands = [*inputs, *outputs]
    types = [tensor(operand) for operand in operands]
    dims = ", ".join(f"d{number}" for number in range(iterators))
    maps = ", ".join(f"affine_map<({dims}) -> ({results})>" for results, _ in operands)
    kinds = ", ".join('"parallel"' for _ in range(iterators))
    count = len(inputs)
    arguments = [f"%v{number}: {type_}" for number, type_ in enumerate(types)] + (
        [captures] if captures else []
    )
    scalars = [f"%x{number}: {type_}" for number, (_, type_) in enumerate(inputs)]
    scalars += [f"%a{number}: {type_}" for number, (_, type_) in enumerate(outputs)]
    ins = f"ins({group(range(count), types)})" if count else ""
    used = range(len(outputs)) if live is None else live
    several = f":{len(outputs)}" if len(outputs) > 1 else ""
    name = [f"%r#{number}" if several else "%r" for number in used]
    results = ", ".join(types[count + number] for number in used)
    lines = "\n".join(line.strip() for line in body.strip().splitlines()).replace("yield ", "linalg.yield ")
    return f"""
      func.func @f({", ".join(arguments)}) -> ({results}) {{
        %r{several} = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
          {ins} outs({group(range(count, len(types)), types)}) {{
        ^bb0({", ".join(scalars)}):
          {lines}
        }} -> {types[count] if not several else f"({', '.join(types[count:])})"}
        return {", ".join(name)} : {results}
      }}"""


def tensor(operand: Operand) -> str:
    """The type of an operand: dynamic sizes."""
    results, type_ = operand
    rank = len([result for result in results.split(",") if result.strip()])
    return f"tensor<{'?x' * rank}{type_}>"


def group(numbers: range, types: Sequence[str]) -> str:
    """`%v0, %v1 : type, type`."""
    return f"{', '.join(f'%v{n}' for n in numbers)} : {', '.join(types[n] for n in numbers)}"


def with_op(text: str, use: Callable[[ir.Operation], T], name: str = "linalg.") -> T:
    """What `use` makes of the first operation in `text` whose name starts with `name`."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        for function in module.body.operations:
            for op in function.regions[0].blocks[0].operations:
                if op.operation.name.startswith(name):
                    return use(op.operation)
    raise AssertionError(f"no {name} in {text}")
