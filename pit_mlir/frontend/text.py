"""`.mlir` text as a program: `@main` on tensors, called with arrays. Imports no torch."""

from pathlib import Path

from pit_mlir.bindings import func, ir
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.frontend.arrays import ArrayCall, NoWeights
from pit_mlir.frontend.signature import (
    Argument,
    ImportedModel,
    Interface,
    Output,
    ResultOutput,
    Size,
    SymbolRange,
)

DTYPES = {
    "f64": "float64",
    "f32": "float32",
    "bf16": "bfloat16",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "i1": "bool",
}


def import_text(source: str | Path, *, context: ir.Context, filename: str = "-") -> ImportedModel:
    """The program in `source`: a path, or MLIR text that is called `filename` in messages.

    Arguments are named by their `pit.name`, else `arg0`, `arg1`, ...; every dynamic size is a symbol of its own, such
    as `arg0_1`. Raises `InputError` with `file:line:col` for text that is no valid MLIR and for a path that cannot
    be read, `UnsupportedError` for a program without `@main` on tensors.
    """
    if isinstance(source, Path):
        filename, source = str(source), _read(source)
    module = _parse(source, context, filename)
    function = _main(module, filename)
    symbols: dict[str, SymbolRange] = {}
    arguments = tuple(
        _argument(number, value, _name(function, number), symbols, filename)
        for number, value in enumerate(function.regions[0].blocks[0].arguments)
    )
    results = [_tensor_type(type_, "a result", filename) for type_ in function.type.results]
    outputs: tuple[Output, ...] = tuple(ResultOutput(number) for number in range(len(results)))
    names = [argument.name for argument in arguments]
    if len(set(names)) != len(names):
        raise InputError(f"{filename}: the arguments of @main are named {names}; the names must differ")
    return ImportedModel(
        interface=Interface(arguments, outputs, symbols),
        call=ArrayCall(names),
        weights=NoWeights(),
        module=module,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _parse(text: str, context: ir.Context, filename: str) -> ir.Module:
    """The module; MLIR parses without a file name, which is put into the locations of its errors."""
    message, location = "", None
    try:
        return ir.Module.parse(text, context)
    except ir.MLIRError as error:
        diagnostics = error.error_diagnostics
        if diagnostics:
            line = location_text(diagnostics[0].location)
            location = f"{filename}{line.removeprefix('-')}" if line.startswith("-:") else line
            notes = [note.message for note in diagnostics[0].notes]
            message = "; ".join([diagnostics[0].message, *notes])
        else:
            message = str(error)
    # Raised here and not above: the binding's error would keep the context alive.
    raise InputError(f"not valid MLIR: {message}", location=location or filename)


def _main(module: ir.Module, filename: str) -> func.FuncOp:
    """The function `@main`, with a body."""
    names: list[str] = []
    for op in module.body.operations:
        if isinstance(op, func.FuncOp):
            names.append(f"@{op.name.value}")
            if op.name.value == "main" and not op.is_external:
                return op
    found = ", ".join(names) or "no function"
    raise UnsupportedError(
        f"the program needs a func.func @main with a body, found {found}", location=filename
    )


def _name(function: func.FuncOp, number: int) -> str:
    attributes = function.attributes
    if "arg_attrs" in attributes:
        described = attributes["arg_attrs"][number]
        if "pit.name" in described:
            return ir.StringAttr(described["pit.name"]).value
    return f"arg{number}"


def _argument(
    number: int, value: ir.Value, name: str, symbols: dict[str, SymbolRange], filename: str
) -> Argument:
    type_ = _tensor_type(value.type, f"argument {number} ('{name}')", filename)
    shape: list[Size] = []
    for dim in range(type_.rank):
        if type_.is_dynamic_dim(dim):
            symbol = f"{name}_{dim}"
            symbols[symbol] = SymbolRange()
            shape.append(symbol)
        else:
            shape.append(type_.get_dim_size(dim))
    return Argument(name, "input", DTYPES[str(type_.element_type)], tuple(shape))


def _tensor_type(type_: ir.Type, what: str, filename: str) -> ir.RankedTensorType:
    """`type_` as a ranked tensor of a type that arrays have; raises `UnsupportedError`."""
    if not isinstance(type_, ir.RankedTensorType) or str(type_.element_type) not in DTYPES:
        raise UnsupportedError(
            f"{what} of @main is {type_}, expected a ranked tensor of {', '.join(DTYPES)}", location=filename
        )
    return type_
