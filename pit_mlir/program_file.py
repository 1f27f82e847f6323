"""Compiled models in files: what `CompiledModule.save` writes and `load` reads, with no compiler in the process.

The machine code of a file is that of the processor it was compiled on and others that can do as much; the kernels of a
GPU are there for several chips. A file is code: load only what you would run.
"""

import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pit_mlir.artifact import Artifact
from pit_mlir.assembly import assemble
from pit_mlir.borders import static_shape
from pit_mlir.compiled_module import CompiledModule, Settings
from pit_mlir.container import Buffer, Container, write_container, written_whole
from pit_mlir.errors import InputError, PlatformError, UnsupportedError
from pit_mlir.frontend.arrays import ArrayCall, NoWeights
from pit_mlir.frontend.signature import BoundModel, CallSource, Interface, WeightSource
from pit_mlir.plain import Plain, restored
from pit_mlir.runtime.cross import device_of, images_text
from pit_mlir.runtime.device import Device
from pit_mlir.runtime.library import VERSION
from pit_mlir.snapshot import Snapshot
from pit_mlir.target import Target, host

KIND = "program"
X86_INSTRUCTIONS = (
    r"pni|s?sse.*|avx.*|amx_.*|fma4?|f16c|bmi[12]|abm|popcnt|movbe|adx|aes|pclmulqdq|vaes|vpclmulqdq|gfni|sha_ni|xop|"
    r"tbm|rdrand|rdseed|fsgsbase|3dnowprefetch|clflushopt|clwb"
)
"""Flags of Linux for instructions of x86-64 that LLVM may use; the others say nothing about compiled code."""


@dataclass(frozen=True)
class Machine:
    """What machine code needs: an architecture, and the instructions that its compiler could use."""

    architecture: str
    instructions: tuple[str, ...]

    @staticmethod
    def of(target: Target) -> "Machine":
        """What a program for `target` that is compiled here needs: for a GPU, plain instructions are enough."""
        here = Machine.here()
        return Machine(here.architecture, ()) if target.kind == "cuda" else here

    @staticmethod
    def here() -> "Machine":
        """This machine."""
        found = host()
        wanted = X86_INSTRUCTIONS if found.architecture == "x86_64" else ".*"
        instructions = sorted(name for name in found.features if re.fullmatch(wanted, name))
        return Machine(found.architecture, tuple(instructions))


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a part of the file, row by row."""

    dtype: str
    shape: tuple[int, ...]
    part: str


@dataclass(frozen=True)
class StoredWeights:
    """The model's `tensors`, and for each weight which of them it is, None for one that is not in the file; `unnamed`
    are the numbers of weights that no state dict has."""

    tensors: tuple[StoredTensor, ...]
    places: tuple[int | None, ...]
    unnamed: tuple[int, ...]


@dataclass(frozen=True)
class StoredSnapshot:
    """Of frozen weights, those that the program reads as they are, by number, and what was prepared from all."""

    kept: tuple[tuple[int, StoredTensor], ...]
    prepared: tuple[StoredTensor, ...]


@dataclass(frozen=True)
class Saved:
    """A compiled model but for how it is called; calls must be in `mode`, see `Border`."""

    settings: Settings
    artifact: Artifact
    interface: Interface
    weights: StoredWeights
    snapshot: StoredSnapshot | None
    mode: str | None


class TensorParts:
    """Tensors that become parts of a file."""

    def __init__(self) -> None:
        self.parts: dict[str, Buffer] = {}

    def put(self, tensor: Any) -> StoredTensor:
        """Makes `tensor` a part."""
        from pit_mlir.frontend.tensors import dtype_name, tensor_bytes

        part = f"tensor.{len(self.parts)}"
        self.parts[part] = tensor_bytes(tensor)
        return StoredTensor(dtype_name(tensor.dtype), tuple(tensor.shape), part)


def save(compiled: CompiledModule, path: str | Path, *, weights: bool) -> None:
    """See `CompiledModule.save`."""
    from pit_mlir import __version__

    path = Path(path)
    if not compiled._artifact.is_portable:
        raise UnsupportedError(
            f"programs cannot be saved on {platform.machine()}: LLVM alone loads their machine code there"
        )
    tensors, plain = TensorParts(), Plain()
    model, snapshot = compiled._model, compiled._snapshot
    saved = Saved(
        compiled._settings,
        compiled._artifact,
        model.interface,
        stored_weights(compiled, tensors, weights=weights),
        None if snapshot is None or not weights else stored_snapshot(snapshot, tensors),
        compiled._border.mode,
    )
    data = {
        "kind": KIND,
        "writer": __version__,
        "runtime": VERSION,
        "machine": plain.of(Machine.of(compiled.target), "machine"),
        "program": plain.of(saved, "program"),
        "call": call_to_data(model.call),
    }
    try:
        with written_whole(path) as file:
            write_container(file, data, {**plain.parts, **tensors.parts})
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", location=str(path)) from None


def stored_weights(compiled: CompiledModule, parts: TensorParts, *, weights: bool) -> StoredWeights:
    """The tensors of the model: all those that calls read, without `weights` only those that no state dict has.

    Calls of a program with frozen weights read none, but whoever gives it weights of another model needs the latter.
    """
    source = compiled._model.weights
    reads_all = compiled._snapshot is None or compiled._has_own_tensors
    try:
        unnamed, found = source.unnamed(), source.read()
    except InputError:
        if reads_all or not weights:
            raise
        return StoredWeights((), (), ())
    tensors: list[StoredTensor] = []
    known: dict[Any, int] = {}
    places: list[int | None] = []
    for number, tensor in enumerate(found):
        if not ((weights and reads_all) or number in unnamed):
            places.append(None)
            continue
        # Weights that are one tensor are one tensor again.
        key = tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.numel() or number
        if key not in known:
            known[key] = len(tensors)
            tensors.append(parts.put(tensor))
        places.append(known[key])
    return StoredWeights(tuple(tensors), tuple(places), tuple(sorted(unnamed)))


def stored_snapshot(snapshot: Snapshot, parts: TensorParts) -> StoredSnapshot:
    """Frozen weights as they are."""
    weights, prepared = snapshot.state
    return StoredSnapshot(
        tuple((number, parts.put(weights[number])) for number in sorted(snapshot.used)),
        tuple(parts.put(tensor) for tensor in prepared),
    )


def load(path: str | Path, weights: Any = None) -> CompiledModule:
    """The compiled model that `CompiledModule.save` wrote to the file `path`, which is not needed afterwards.

    `weights` are read instead of those in the file: a module like the one that was compiled, or a state dict. They are
    read at each call, or, where the program was compiled with frozen weights, now and at each `refresh()`.

    Raises `InputError` for a file that is none of ours, is cut off or damaged, or was written by another release, and
    `PlatformError` where this machine cannot run the program: another architecture, a processor that lacks
    instructions, no GPU that any of its kernels were compiled for.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return Loader(Container(file, str(path))).load(weights)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", location=str(path)) from None


@dataclass(frozen=True)
class Contents:
    """What a file says of its program, whether or not that runs here; `obstacle` says why it does not."""

    title: str
    target: Target
    interface: Interface
    images: str
    """The kernels of a GPU that it has, and their chips, for a reader; empty for the CPU."""
    obstacle: str | None


def contents(path: str | Path) -> Contents:
    """What the program in the file `path` takes and gives, and on what it runs; raises `InputError` as `load` does."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return Loader(Container(file, str(path))).contents()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", location=str(path)) from None


class Loader:
    """Makes a compiled model of what a container has."""

    def __init__(self, container: Container) -> None:
        self._container = container
        data = container.data
        try:
            if data["kind"] != KIND:
                raise self._refusal(f"holds a {data['kind']}, expected a {KIND}")
            self._verify_release(data)
            self._machine = restored(Machine, data["machine"], container.read)
            self._saved = restored(Saved, data["program"], container.read)
            self._call = call_of_data(data["call"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._not_understood(error) from None
        self._images = images_text(self._saved.artifact.main)
        self._place = "cpu"

    def contents(self) -> Contents:
        """What the file says of its program."""
        obstacle = None
        try:
            self._verify_machine()
        except PlatformError as error:
            obstacle = error.message
        saved = self._saved
        title = saved.artifact.explanation.title
        return Contents(title, saved.settings.target, saved.interface, self._images, obstacle)

    def load(self, given: Any) -> CompiledModule:
        """The compiled model, on the weights that are `given`, or on those in the file."""
        saved = self._saved
        device = self._verify_machine()
        self._place = "cpu" if device is None else device.place
        source = self._weights(given)
        compiled = assemble(BoundModel(saved.interface, self._call, source), saved.artifact, saved.settings)
        compiled._border.mode = saved.mode
        if compiled._snapshot is None:
            source.read()  # raises where there are none
        elif given is None and saved.snapshot is not None:
            compiled._snapshot.state = self._state(saved.snapshot)
        else:
            compiled.refresh()
        return compiled

    def _verify_machine(self) -> Device | None:
        """The device that the program runs on; raises `PlatformError` where this machine cannot run it."""
        needed, here = self._machine, Machine.here()
        if needed.architecture != here.architecture:
            raise self._unfit(
                f"was compiled for {needed.architecture}, this is {here.architecture}: compile the model here"
            )
        missing = sorted(set(needed.instructions) - set(here.instructions))
        if missing:
            raise self._unfit(
                f"was compiled for a processor with the instructions {', '.join(missing)}, which this one lacks: "
                "compile the model here, or on the oldest processor that is to run it"
            )
        try:
            return device_of(self._saved.settings.target)
        except PlatformError as error:
            has = f"has {self._images}, and nothing here runs it: " if self._images else ""
            raise self._unfit(f"{has}{error.message}") from None

    def _verify_release(self, data: Any) -> None:
        """Raises `InputError` where another release has written the file."""
        if data["runtime"] != VERSION:
            raise self._refusal(
                f"was compiled by pit_mlir {data['writer']} for version {data['runtime']} of the run-time library, "
                f"this is version {VERSION}: compile the model again"
            )

    def _weights(self, given: Any) -> WeightSource:
        """Where the weights come from: from `given`, or from the file."""
        saved = self._saved
        if saved.settings.arrays:
            if given is not None:
                raise InputError("a program in MLIR has no weights: leave them out")
            return NoWeights()
        from pit_mlir.frontend.given_weights import StoredTensors, given_weights

        stored, names = saved.weights, [argument.name for argument in saved.interface.weights]
        unnamed = set(stored.unnamed)
        wanted = [place for number, place in enumerate(stored.places) if given is None or number in unnamed]
        tensors = {place: self._tensor(stored.tensors[place]) for place in set(wanted) if place is not None}
        if given is None:
            found = [None if place is None else tensors[place] for place in stored.places]
            return StoredTensors(found or [None] * len(names), unnamed)
        held = {
            number: tensors[place]
            for number, place in enumerate(stored.places)
            if number in unnamed and place is not None
        }
        return given_weights(given, names, held)

    def _state(self, stored: StoredSnapshot) -> tuple[list[Any], list[Any]]:
        """The state of a snapshot; what nobody reads takes no memory."""
        from pit_mlir.frontend.tensors import placeholder

        kept = {number: self._tensor(tensor) for number, tensor in stored.kept}
        weights = [
            kept[number]
            if number in kept
            else placeholder(argument.dtype, static_shape(argument.shape) or (), self._place)
            for number, argument in enumerate(self._saved.interface.weights)
        ]
        return weights, [self._tensor(tensor) for tensor in stored.prepared]

    def _tensor(self, stored: StoredTensor) -> Any:
        from pit_mlir.frontend.tensors import tensor_of_bytes

        def fill(target: memoryview) -> None:
            self._container.read_into(stored.part, target)

        try:
            size = self._container.parts[stored.part]
            return tensor_of_bytes(stored.dtype, stored.shape, size, fill, self._place)
        except (ValueError, KeyError) as error:
            raise self._not_understood(error) from None

    def _unfit(self, reason: str) -> PlatformError:
        return PlatformError(reason, location=self._container.name)

    def _refusal(self, reason: str) -> InputError:
        return InputError(reason, location=self._container.name)

    def _not_understood(self, error: Exception) -> InputError:
        return self._refusal(
            f"is not understood ({type(error).__name__}: {error}): maybe another release of pit_mlir has written it"
        )


def call_to_data(call: CallSource) -> Any:
    """`call` in JSON."""
    if isinstance(call, ArrayCall):
        return {"names": call.names}
    from pit_mlir.frontend.calls import ModelCall
    from pit_mlir.frontend.structure import model_call_to_data

    assert isinstance(call, ModelCall)
    return model_call_to_data(call)


def call_of_data(data: Any) -> CallSource:
    """The call that `data` was made of."""
    if "names" in data:
        return ArrayCall([str(name) for name in data["names"]])
    from pit_mlir.frontend.structure import model_call_of_data

    return model_call_of_data(data)
