"""From an FX graph to linalg on tensors, through torch-mlir; its failures become errors at lines of the model."""

import re
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any

from torch import fx

from pit_mlir.bindings import PassManager, func, ir, torch_importer
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.source import model_line

# Kept whole in torch-mlir's first pipeline, which would turn them back into `view` (see views.py).
LEGAL = "aten.flatten.using_ints,aten.unflatten.int"
PIPELINES = (
    f"builtin.module(torchdynamo-export-to-torch-backend-pipeline{{backend-legal-ops={LEGAL}}})",
    "builtin.module(torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true})",
)

ADVICE = "write it with other operators, or leave it out of the part that is compiled"

_OPERATOR = re.compile(r"torch\.((?:aten|prims|torchvision)\.[A-Za-z0-9_.]*\w)")

_importer = torch_importer()


class _NodeImporter(_importer.GraphNodeImporter):
    """Imports node by node; says which node could not be imported."""

    def import_nodes(self, nodes: Iterable[fx.Node], **options: Any) -> None:
        current: list[fx.Node] = []

        def watched() -> Iterator[fx.Node]:
            for node in nodes:
                current[:] = [node]
                yield node

        try:
            super().import_nodes(watched(), **options)
        except Exception as error:
            # A failure of any kind means that torch-mlir does not know the operator.
            node = current[0]
            raise UnsupportedError(
                f"operator {_name(node)} cannot be imported: {_first_line(error)}; {ADVICE}",
                location=model_line(node),
            ) from error


def lower_graph(graph: fx.Graph, context: ir.Context) -> ir.Module:
    """A module with `@main` for `graph`, whose placeholders become its arguments and whose outputs its results.

    Raises `UnsupportedError` with the line of the model for an operator that torch-mlir cannot import or lower.
    """
    importer = _importer.FxImporter(context=context, graph_node_importer_cls=_NodeImporter)
    try:
        importer.import_stateless_graph(graph, func_name="main")
    except UnsupportedError:
        raise
    except Exception as error:
        # What the importer checks outside its nodes; its message names the operator.
        named = next((node for node in graph.nodes if f"{_name(node)} " in f"{error} "), None)
        raise UnsupportedError(
            f"the graph cannot be imported: {_first_line(error)}; {ADVICE}",
            location=None if named is None else model_line(named),
        ) from error
    module = importer.module
    for pipeline in PIPELINES:
        run(pipeline, module, graph)
    return module


def main_function(module: ir.Module) -> func.FuncOp:
    """The `func.func @main` of `module`."""
    for op in module.body.operations:
        if op.operation.name == "func.func" and op.name.value == "main":
            return op
    raise AssertionError("the module has no @main")


def drop_results(function: func.FuncOp, count: int) -> list[ir.Value]:
    """Leaves `function` its first `count` results; the values that the others were."""
    block = function.regions[0].blocks[0]
    returned = block.operations[len(block.operations) - 1].operation
    operands = list(returned.operands)
    with returned.location:
        ir.Operation.create("func.return", operands=operands[:count], ip=ir.InsertionPoint(returned))
    returned.erase()
    type_ = ir.FunctionType.get(
        [argument.type for argument in block.arguments], [operand.type for operand in operands[:count]]
    )
    function.attributes["function_type"] = ir.TypeAttr.get(type_)
    return operands[count:]


def run(pipeline: str, module: ir.Module, graph: fx.Graph) -> None:
    """Runs a pipeline on what was imported from `graph`; raises `UnsupportedError` with the line of the model."""
    errors = _errors(pipeline, module)
    if errors:
        raise _lowering_error(errors, graph)


def _errors(pipeline: str, module: ir.Module) -> list[tuple[str, str]]:
    """Runs a pipeline; its errors as (location, message), kept from the terminal."""
    context = module.context
    errors: list[tuple[str, str]] = []

    def collect(diagnostic: ir.Diagnostic) -> bool:
        if diagnostic.severity == ir.DiagnosticSeverity.ERROR:
            errors.append((location_text(diagnostic.location), diagnostic.message))
        return True

    # Some of torch-mlir's passes report an error and succeed all the same, so the diagnostics decide.
    handler = context.attach_diagnostic_handler(collect)
    emitted = context.emit_error_diagnostics
    context.emit_error_diagnostics = True
    try:
        with context:
            PassManager.parse(pipeline).run(module.operation)
    except ir.MLIRError as error:
        errors = errors or [("<unknown>:0", _first_line(error))]
    finally:
        context.emit_error_diagnostics = emitted
        handler.detach()
    return errors


def _lowering_error(errors: list[tuple[str, str]], graph: fx.Graph) -> UnsupportedError:
    """One error for all diagnostics: the operator and line of the first that names one, the rest behind it."""
    named = [(operator, *error) for error in errors for operator in _OPERATOR.findall(error[1])]
    location, message = errors[0]
    if named:
        operator, location, message = named[0]
        what = f"operator {operator}"
    else:
        # torch-mlir sometimes complains of an operand only; then the operators of the line are what is known.
        found = {_name(node) for node in graph.nodes if model_line(node) == location}
        what = f"an operator of this line ({', '.join(sorted(found))})" if found else "an operator"
    others = "".join(f"\n  {where}: {_shorten(text)}" for where, text in errors[1:4])
    return UnsupportedError(
        f"{what} cannot be lowered to linalg, {ADVICE}: {_shorten(message)}{others}", location=location
    )


def _name(node: fx.Node) -> str:
    """The operator of a node as torch names it: `aten.add.Tensor`; functions that compute sizes by their name."""
    target: Any = node.target
    return (
        f"{target.__name__} of sizes"
        if isinstance(target, FunctionType | BuiltinFunctionType)
        else str(target)
    )


def _shorten(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return line if len(line) <= 300 else f"{line[:297]}..."


def _first_line(error: BaseException) -> str:
    # What the importer does not know it prints with everything that torch keeps about a node.
    return _shorten(f"{type(error).__name__}: {error}".split(", {'")[0])
