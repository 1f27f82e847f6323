"""Every linalg operation of the bindings as MLIR text of small static shapes, found in the bindings themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pit_mlir.bindings import linalg

Operand = tuple[str, str]
"""A name, and the type."""


@dataclass(frozen=True)
class NamedOperation:
    """An operation `name` in a function @f, as `text`, or the reason why there is none."""

    name: str
    text: str = ""
    reason: str = ""


NO_OPERATION = {
    "linalg.generic": "is what named operations are short for; any of its forms is proved the same way",
    "linalg.index": "is part of a body: the position along an iterator",
    "linalg.yield": "is part of a body: its results",
}
LAYOUT = (
    "changes the layout, without maps or body; as pad, expand and transpose it is read by the maps of others"
)
WINOGRAD = "products with constant matrices, without maps or body until they are decomposed"
NO_BODY = {
    "linalg.softmax": "several reductions in one, without maps or body; decomposed, it is proved piece by piece",
    "linalg.pack": LAYOUT,
    "linalg.unpack": LAYOUT,
    "linalg.winograd_filter_transform": WINOGRAD,
    "linalg.winograd_input_transform": WINOGRAD,
    "linalg.winograd_output_transform": WINOGRAD,
}
"""Operations that have no indexing maps: `prove` answers None, which a test holds."""
NO_BODY_FORMS = {
    "linalg.softmax": "2x3 2x3 softmax dimension(1) ins(%I : {0}) outs(%O : {1}) -> {1}",
    "linalg.pack": "4x4 2x2x2x2 pack %I inner_dims_pos = [0, 1] inner_tiles = [2, 2] into %O : {0} -> {1}",
    "linalg.unpack": "2x2x2x2 4x4 unpack %I inner_dims_pos = [0, 1] inner_tiles = [2, 2] into %O : {0} -> {1}",
    "linalg.winograd_filter_transform": "2x3x3x5 6x6x5x2 winograd_filter_transform fmr(F_4_3) ins(%I : {0}) "
    "outs(%O : {1}) -> {1}",
    "linalg.winograd_input_transform": "2x10x10x5 6x6x2x2x2x5 winograd_input_transform fmr(F_4_3) ins(%I : {0}) "
    "outs(%O : {1}) -> {1}",
    "linalg.winograd_output_transform": "6x6x2x2x2x2 2x8x8x2 winograd_output_transform fmr(F_4_3) ins(%I : {0}) "
    "outs(%O : {1}) -> {1}",
}
"""The shapes of input and output, and the operation on them."""


def named_operations() -> list[NamedOperation]:
    """All operations of the dialect, by name; `elementwise` once a kind."""
    classes = (item for item in vars(linalg).values() if isinstance(item, type))
    names = {item.OPERATION_NAME for item in classes if hasattr(item, "OPERATION_NAME")}
    found: list[NamedOperation] = []
    for name in sorted(name for name in names if name.startswith("linalg.")):
        short = name.removeprefix("linalg.")
        if name in NO_OPERATION:
            found.append(NamedOperation(name, reason=NO_OPERATION[name]))
        elif short == "elementwise":
            found += elementwise()
        elif name in NO_BODY:
            found.append(NamedOperation(name, whole(NO_BODY_FORMS[name]), NO_BODY[name]))
        elif short in WRITTEN:
            found.append(NamedOperation(name, written(short)))
        else:
            found.append(NamedOperation(name, defined(short)))
    return found


def defined(short: str) -> str:
    """The text of an operation that upstream defines in Python: operands and the symbols of their sizes."""
    definition = getattr(linalg, short).op_def
    operands = definition.registered_operands.values()
    steps = {
        str(size) for operand in operands if operand.kind.name == "INDEX_ATTR" for size in operand.size_exprs
    }
    # Operations on elements leave the rank open.
    has_sizes = any(operand.size_exprs for operand in operands if operand.kind.name != "INDEX_ATTR")
    inputs: list[Operand] = []
    outputs: list[Operand] = []
    for operand in operands:
        if operand.kind.name in ("INPUT_TENSOR", "OUTPUT_TENSOR"):
            sizes = [size_of(size, steps) for size in operand.size_exprs or ()] if has_sizes else [2, 3]
            type_ = f"tensor<{''.join(f'{size}x' for size in sizes)}{element_type(short, operand)}>"
            (inputs if operand.kind.name == "INPUT_TENSOR" else outputs).append((operand.name, type_))
        elif operand.kind.name == "SCALAR":
            inputs.append((operand.name, element_type(short, operand)))
    return function(short, inputs, outputs[0])


def size_of(expression: Any, steps: set[str]) -> int:
    """The value of a size where each symbol is 2, strides and dilations 1, as they are by default."""
    sides = getattr(expression, "lhs", None), getattr(expression, "rhs", None)
    if sides[0] is None:
        return 1 if str(expression) in steps else 2
    a, b = size_of(sides[0], steps), size_of(sides[1], steps)
    return a + b if "Add" in expression.ir_ctor.__name__ else a * b


def element_type(short: str, operand: Any) -> str:
    """f32 where anything goes; quantized operations take i8 to i32, unsigned ones i32, `select` a truth value."""
    variable = str(operand.type_var).removeprefix("TypeVar(").removesuffix(")")
    if variable in ("I32", "I64", "F64"):
        return variable.lower()
    quantized = short.startswith("quantized") or short.endswith("_q")
    if quantized or short == "fill_rng_2d":
        return "i32" if operand.kind.name == "OUTPUT_TENSOR" else "i8"
    if short == "select" and operand.name == "cond":
        return "i1"
    return "i32" if "unsigned" in short else "f32"


CONTRACTED = ", ".join(
    f"affine_map<(d0, d1, d2, d3) -> {results}>" for results in ("(d0, d2, d3)", "(d1, d2, d3)", "(d0, d1)")
)
WRITTEN: dict[str, tuple[str, str, str, str]] = {
    "matmul": ("A 2x3, B 3x2", "C 2x2", "", ""),
    "batch_matmul": ("A 2x2x3, B 2x3x2", "C 2x2x2", "", ""),
    "batch_reduce_matmul": ("A 2x2x3, B 2x3x2", "C 2x2", "", ""),
    "contract": ("A 2x3x2, B 2x3x2", "C 2x2", f"indexing_maps = [{CONTRACTED}]", ""),
    # Upstream's definitions in Python have no channel in the output of these two.
    "depthwise_conv_3d_ndhwc_dhwc": ("I 2x4x4x4x2, K 2x2x2x2", "O 2x2x2x2x2", "", ""),
    "depthwise_conv_3d_ndhwc_dhwcm": ("I 2x4x4x4x2, K 2x2x2x2x2", "O 2x2x2x2x2x2", "", ""),
    "map": ("lhs 2x3, rhs 2x3", "O 2x3", "{ arith.mulf }", ""),
    "reduce": ("I 2x3", "O 2", "{ arith.addf }", "dimensions = [1]"),
    "transpose": ("I 2x3", "O 3x2", "", "permutation = [1, 0]"),
    "broadcast": ("I 2", "O 2x3", "", "dimensions = [1]"),
}
"""Operations that upstream defines in C++ alone: inputs, output, what stands before the operands, what after them."""


def written(short: str) -> str:
    """The text of an operation of `WRITTEN`."""
    inputs, output, before, after = WRITTEN[short]
    operands = [
        (name, f"tensor<{shape}xf32>")
        for name, shape in (one.split() for one in (*inputs.split(", "), output))
    ]
    return function(short, operands[:-1], operands[-1], before, after)


WITHOUT_RESULT_TYPE = ("map", "reduce", "transpose", "broadcast")


def function(
    short: str, inputs: Sequence[Operand], output: Operand, before: str = "", after: str = ""
) -> str:
    """A function @f of the operands that returns the result of one operation."""
    arguments = ", ".join(f"%{name}: {type_}" for name, type_ in (*inputs, output))
    values = f"{', '.join(f'%{name}' for name, _ in inputs)} : {', '.join(type_ for _, type_ in inputs)}"
    result = "" if short in WITHOUT_RESULT_TYPE else f"-> {output[1]}"
    return (
        f"func.func @f({arguments}) -> {output[1]} {{\n"
        f"  %r = linalg.{short} {before} ins({values}) outs(%{output[0]} : {output[1]}) {after} {result}\n"
        f"  return %r : {output[1]}\n}}\n"
    )


def whole(form: str) -> str:
    """A function @f that returns the result of an operation of `NO_BODY_FORMS`."""
    given, made, operation = form.split(" ", 2)
    types = f"tensor<{given}xf32>", f"tensor<{made}xf32>"
    return (
        f"func.func @f(%I: {types[0]}, %O: {types[1]}) -> {types[1]} {{\n"
        f"  %r = linalg.{operation.format(*types)}\n"
        f"  return %r : {types[1]}\n}}\n"
    )


def elementwise() -> Iterator[NamedOperation]:
    """`linalg.elementwise` with each of its kinds."""
    names = ("lhs", "rhs", "third")
    for kind in linalg.ElementwiseKind:
        count = {"select": 3}.get(kind.name, 2 if kind.name in BINARY else 1)
        type_ = "tensor<2x3xi32>" if "signed" in kind.name else "tensor<2x3xf32>"
        inputs = [(name, type_) for name in names[:count]]
        if kind.name == "select":
            inputs = [("cond", "tensor<2x3xi1>"), *inputs[:2]]
        before = f"kind=#linalg.elementwise_kind<{kind.name}>"
        yield NamedOperation(
            f"linalg.elementwise {kind.name}", function("elementwise", inputs, ("O", type_), before)
        )


BINARY = "add sub mul div div_unsigned max_signed min_signed max_unsigned min_unsigned powf".split()
