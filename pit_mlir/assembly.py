"""From an artifact and a model to a `CompiledModule`; no compiler is needed for that."""

from pit_mlir.artifact import Artifact
from pit_mlir.borders import Border, NumpyBorder, TorchBorder
from pit_mlir.compiled_module import CompiledModule, Settings
from pit_mlir.frontend.signature import ArgumentOutput, BoundModel, Interface
from pit_mlir.runtime.cross import program_of
from pit_mlir.snapshot import Snapshot


def assemble(model: BoundModel, artifact: Artifact, settings: Settings) -> CompiledModule:
    """`artifact`, called as `settings` say with the tensors of `model`; of frozen weights no snapshot is taken yet."""
    program = program_of(artifact.main, settings.target)
    arguments = model.interface.arguments
    border: Border = NumpyBorder(arguments) if settings.arrays else TorchBorder(arguments, program.device)
    snapshot: Snapshot | None = None
    if settings.freeze:
        prepare = None if artifact.prepare is None else program_of(artifact.prepare, settings.target)
        used = {*artifact.used, *returned_weights(model.interface)} - states(model.interface)
        snapshot = Snapshot(prepare, used, border)
    return CompiledModule(program, model, border, artifact, settings, snapshot)


def returned_weights(interface: Interface) -> set[int]:
    """The numbers of the weights that the model returns as they are, or writes somewhere."""
    values = (*interface.outputs, *(back.value for back in interface.write_backs))
    return weights_among(interface, {value.argument for value in values if isinstance(value, ArgumentOutput)})


def states(interface: Interface) -> set[int]:
    """The numbers of the weights that calls write to, which are never frozen."""
    return weights_among(interface, {back.argument for back in interface.write_backs})


def weights_among(interface: Interface, arguments: set[int]) -> set[int]:
    """The numbers, counted among weights, of those `arguments` that are weights."""
    weights = [number for number, a in enumerate(interface.arguments) if a.kind == "weight"]
    return {order for order, number in enumerate(weights) if number in arguments}
