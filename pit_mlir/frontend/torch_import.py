"""`import_model`: an `nn.Module` or `ExportedProgram` as linalg on tensors, its weights as arguments."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch._ops import HigherOrderOperator
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec, TensorArgument

from pit_mlir.bindings import func, ir
from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.asserts import put_checks, take_checks
from pit_mlir.frontend.calls import Leaf, ModelCall
from pit_mlir.frontend.conditions import size_conditions
from pit_mlir.frontend.element_order import order_elements
from pit_mlir.frontend.export import capture_program, decompose_program
from pit_mlir.frontend.fingerprint import fingerprint
from pit_mlir.frontend.guards import drop_softmax_guards
from pit_mlir.frontend.indexing import count_from_end
from pit_mlir.frontend.lowering import drop_results, lower_graph, main_function, run
from pit_mlir.frontend.marks import put_marks, take_marks
from pit_mlir.frontend.narrow_integers import widen_integers
from pit_mlir.frontend.outputs import output_node, plan_outputs, returned_inputs
from pit_mlir.frontend.signature import Argument, BoundModel, ConstantInput, ImportedModel, Interface
from pit_mlir.frontend.size_operators import rewrite_size_operators, settle_sizes
from pit_mlir.frontend.sizes import fold_sizes
from pit_mlir.frontend.source import keep_model_frames, model_line
from pit_mlir.frontend.symbols import Symbols
from pit_mlir.frontend.views import clean_views
from pit_mlir.frontend.weights import weight_source
from pit_mlir.frontend.wide_factors import widen_factors
from pit_mlir.passes.interrupts import interrupts_deferred

aten = torch.ops.aten

DTYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
}


@dataclass(frozen=True)
class CapturedModel:
    """A model as torch.export gives it: to be imported, or to be bound to a program that was imported before."""

    model: nn.Module | ExportedProgram
    program: ExportedProgram
    leaves: list[Leaf]
    dynamic_shapes: Any

    def fingerprint(self) -> str | None:
        """What decides all that `import_captured` gives, weights apart; None where that cannot be told."""
        return fingerprint(self.program, self.dynamic_shapes, self.saved_guards)

    @property
    def saved_guards(self) -> Sequence[str]:
        """The conditions of a program that was loaded from a file."""
        return getattr(self.model, "_guards_code", ())

    def has_weights(self, interface: Interface) -> bool:
        """Whether the weights of `interface` are all the model's own: taking operators apart made none."""
        targets = {spec.target for spec in self.program.graph_signature.input_specs}
        return all(argument.name in targets for argument in interface.weights)

    def bind(self, interface: Interface) -> BoundModel:
        """This model with the `interface` that was imported from one with the same fingerprint."""
        call, program = self.program.call_spec, self.program
        assert call.in_spec is not None and call.out_spec is not None
        signature = inspect.signature(self.model.forward) if isinstance(self.model, nn.Module) else None
        names = [argument.name for argument in interface.weights]
        return BoundModel(
            interface=interface,
            call=ModelCall(signature, call.in_spec, self.leaves, call.out_spec),
            weights=weight_source(self.model, program, names),
        )


def import_model(
    model: nn.Module | ExportedProgram,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    context: ir.Context,
) -> ImportedModel:
    """`model` as `@main` in a module of `context`: see `capture_model` and `import_captured`."""
    return import_captured(capture_model(model, args, kwargs, dynamic_shapes), context)


def capture_model(
    model: nn.Module | ExportedProgram,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
) -> CapturedModel:
    """`model` for calls like the example `model(*args, **kwargs)`.

    An `ExportedProgram` brings its own example and dynamic shapes. Raises `UnsupportedError` or `InputError`, with the
    line of the model where there is one.
    """
    program = capture_program(model, tuple(args), dict(kwargs or {}), dynamic_shapes)
    return CapturedModel(model, program, _leaves(program), dynamic_shapes)


def import_captured(captured: CapturedModel, context: ir.Context) -> ImportedModel:
    """`captured` as `@main` in a module of `context`.

    `@main` takes the weights that the program reads and then the inputs, in the order of the exporter's signature; its
    arguments carry `pit.name` and `pit.kind`. Raises `UnsupportedError` or `InputError`, with the line of the model
    where there is one.
    """
    program = decompose_program(captured.program)
    returned = returned_inputs(captured.program, program)
    graph = program.graph
    settle_sizes(graph)
    checks = take_checks(graph)
    _append_outputs(graph, [check.condition for check in checks])
    specs = _drop_unused(program)
    symbols = Symbols(program, captured.dynamic_shapes)
    arguments = tuple(_argument(graph, spec, symbols) for spec in specs)

    output = output_node(graph)
    count = len(program.graph_signature.output_specs)
    marks = take_marks(graph)
    marked = [node for mark in marks for node in (mark.value, mark.mask) if node is not None]
    _append_outputs(graph, marked)
    drop_softmax_guards(graph)
    count_from_end(graph)
    widen_integers(graph)
    widen_factors(graph)
    clean_views(graph)
    values: Sequence[Any] = output.args[0]  # type: ignore[assignment]
    numbers = {spec.arg.name: number for number, spec in enumerate(specs)}
    plan = plan_outputs(program, values[:count], returned, numbers, symbols)
    output.args = ((*plan.results, *values[count:]),)
    graph.eliminate_dead_code()
    rewrite_size_operators(graph)
    keep_model_frames(graph)

    module = lower_graph(graph, context)
    function = main_function(module)
    with context, interrupts_deferred():
        order_elements(function.operation)
        further = drop_results(function, len(plan.results))
        put_checks(function, checks, further[: len(checks)])
        put_marks(function, marks, further[len(checks) :])
        _describe_arguments(function, arguments, {back.argument for back in plan.write_backs})
    fold_sizes(module, function, arguments, symbols.ranges, lambda pipeline: run(pipeline, module, graph))

    interface = Interface(
        arguments=arguments,
        outputs=plan.leaves,
        symbols=symbols.ranges,
        conditions=size_conditions(program, symbols, captured.saved_guards),
        write_backs=plan.write_backs,
    )
    bound = replace(captured, program=program).bind(interface)
    return ImportedModel(interface=interface, call=bound.call, weights=bound.weights, module=module)


def _append_outputs(graph: fx.Graph, nodes: Sequence[fx.Node]) -> None:
    """Makes `nodes` further outputs of `graph`, behind those it has."""
    output = output_node(graph)
    output.args = ((*output.args[0], *nodes),)  # type: ignore[misc]


def _leaves(program: ExportedProgram) -> list[Leaf]:
    """The flattened arguments of a call: names of tensors, and values that were compiled in."""
    leaves: list[Leaf] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind is not InputKind.USER_INPUT:
            continue
        if isinstance(spec.arg, ConstantArgument):
            leaves.append(ConstantInput(spec.arg.name, spec.arg.value))
        elif isinstance(spec.arg, TensorArgument):
            leaves.append(spec.arg.name)
        else:
            raise UnsupportedError(
                f"input '{spec.arg.name}' is a number that differs from call to call; pass it as a tensor, or "
                "leave it out of dynamic_shapes to have it compiled in"
            )
    return leaves


def _drop_unused(program: ExportedProgram) -> list[InputSpec]:
    """The inputs that become arguments, without weights that nothing reads; the others leave the graph."""
    _refuse_effects(program)
    program.graph.eliminate_dead_code()
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    mutated = {spec.target for spec in program.graph_signature.output_specs if spec.target is not None}
    kept: list[InputSpec] = []
    for spec in program.graph_signature.input_specs:
        node = placeholders[spec.arg.name]
        is_tensor = isinstance(spec.arg, TensorArgument)
        needed = bool(node.users) or spec.kind is InputKind.USER_INPUT or spec.target in mutated
        if is_tensor and needed:
            kept.append(spec)
        elif node.users:
            raise UnsupportedError(f"'{spec.arg.name}' is no tensor, yet the graph computes with it")
        else:
            program.graph.erase_node(node)
    return kept


def _refuse_effects(program: ExportedProgram) -> None:
    """Raises `UnsupportedError` for operators that do more than compute, which the exporter orders by tokens."""
    if any(spec.kind is InputKind.TOKEN for spec in program.graph_signature.input_specs):
        node = next(node for node in program.graph.nodes if isinstance(node.target, HigherOrderOperator))
        raise UnsupportedError(
            f"operator {node.args[1]} has effects besides its result and cannot be imported",
            location=model_line(node),
        )


def _argument(graph: fx.Graph, spec: InputSpec, symbols: Symbols) -> Argument:
    """How `spec` appears in `@main`; raises `UnsupportedError` for a type that programs do not have."""
    value = next(node for node in graph.nodes if node.name == spec.arg.name).meta["val"]
    is_input = spec.kind is InputKind.USER_INPUT
    name = spec.arg.name if is_input else str(spec.target)
    if value.dtype not in DTYPES or value.layout is not torch.strided:
        raise UnsupportedError(
            f"'{name}' holds {value.dtype} ({value.layout}); supported are dense {', '.join(DTYPES.values())}"
        )
    if value.device.type != "cpu":
        raise UnsupportedError(
            f"'{name}' is on {value.device}; programs run on the CPU: move the model to it"
        )
    shape = tuple(symbols.size(size, f"dimension {dim} of '{name}'") for dim, size in enumerate(value.shape))
    return Argument(name, "input" if is_input else "weight", DTYPES[value.dtype], shape)


def _describe_arguments(function: func.FuncOp, arguments: Sequence[Argument], written: set[int]) -> None:
    """Puts `pit.name` and `pit.kind` on the arguments of `@main`; a weight that is `written` to is a state."""
    kinds = [
        "state" if number in written and argument.kind == "weight" else argument.kind
        for number, argument in enumerate(arguments)
    ]
    function.attributes["arg_attrs"] = ir.ArrayAttr.get(
        [
            ir.DictAttr.get(
                {"pit.kind": ir.StringAttr.get(kind), "pit.name": ir.StringAttr.get(argument.name)}
            )
            for kind, argument in zip(kinds, arguments, strict=True)
        ]
    )
