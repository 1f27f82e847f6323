"""`CompiledModule`: a compiled model, called like the model it came from."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pit_mlir.artifact import Artifact
from pit_mlir.borders import Border, verify_finite
from pit_mlir.errors import InputError, MissingPackageError, UnsupportedError
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.signature import (
    Argument,
    ArgumentOutput,
    BoundModel,
    ConstantOutput,
    Interface,
    ResultOutput,
    bind_sizes,
    check_conditions,
    evaluate_size,
)
from pit_mlir.runtime.program import Program
from pit_mlir.sample import Sample
from pit_mlir.snapshot import Snapshot
from pit_mlir.target import CPU, Target

if TYPE_CHECKING:
    from pit_mlir.sampler import Sampler


@dataclass(frozen=True)
class Bound:
    """The arguments of one call: `values` in the order of the model's arguments, `passed` in that of the program's.

    `tensors` are the caller's own, where an answer may be one of them; `dims` are the sizes that the program takes.
    """

    values: list[Any]
    passed: list[Any]
    tensors: list[Any]
    sizes: dict[str, int]
    dims: list[int]


@dataclass(frozen=True)
class Settings:
    """How a program is called: on which `target`, with `arrays` of numpy or with tensors of torch, on frozen weights or
    on live ones, and whether every call looks for values that are not finite."""

    target: Target = CPU
    arrays: bool = False
    freeze: bool = False
    check_finite: bool = False


class CompiledModule:
    """Takes what the model takes, gives what it gives; tensors go in without a copy, results own their memory.

    An answer is the very tensor that was passed, or the model's own, where the model returns that, written to or not.
    What is a view of one of these in the model is a copy here. What the model writes to is written at the end of a
    call; it must not share memory with another argument.

    A call checks structure, dtype, device and shape of its arguments and raises `InputError` before anything runs.
    Weights are read from the model at every call, unless they were frozen: then the model itself is not kept, and where
    nobody else holds it, its memory goes. Calls from several threads at a time
    are safe, and so are calls in a forked child. There are no gradients: results never require grad, and with grad
    enabled, an input that requires grad is an error. torch.autocast must be as it was at compile time.
    """

    def __init__(
        self,
        program: Program,
        model: BoundModel,
        border: Border,
        artifact: Artifact,
        settings: Settings,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._artifact = artifact
        self._border = border
        self._settings = settings
        self._snapshot = snapshot
        self._program = program
        self._sampler: Sampler | None = None
        interface = model.interface
        # An imported model has a module of MLIR besides, which is not kept.
        self._model = BoundModel(interface, model.call, model.weights)
        self._call = model.call
        self._outputs = interface.outputs
        self._symbols = interface.symbols
        self._conditions = interface.conditions
        self._write_backs = interface.write_backs
        self._has_own_tensors = bool(interface.write_backs) or any(
            isinstance(output, ArgumentOutput) and not output.copy for output in interface.outputs
        )
        if snapshot is not None and not self._has_own_tensors:
            model.weights.let_go()
        self._arguments = interface.arguments
        self._inputs, self._weight_arguments = interface.inputs, interface.weights
        kinds = [a.kind for a in interface.arguments]
        self._weights_first = kinds == sorted(kinds, reverse=True)
        self._is_dynamic = any(not isinstance(size, int) for a in interface.arguments for size in a.shape)
        self._dynamic = [
            (number, dim)
            for number, argument in enumerate(program.signature.arguments)
            for dim, size in enumerate(argument.shape or ())
            if size is None
        ]

    @property
    def target(self) -> Target:
        """What the program was compiled for."""
        return self._settings.target

    @property
    def interface(self) -> Interface:
        """What the program takes and gives: names, types and sizes."""
        return self._model.interface

    @property
    def ir(self) -> str:
        """The text of the sparse program, before code generation; large constants are elided."""
        return self._artifact.ir

    @property
    def ptx(self) -> str:
        """The kernels of a program for a GPU as PTX, that of sm_80 where it carries one; empty for other programs."""
        found = [image.content for image in self._artifact.main.images if image.kind == "ptx"]
        return found[-1].decode() if found else ""

    @property
    def cubin(self) -> bytes:
        """The kernels of a program for a GPU as machine code of its chip; empty where it carries none."""
        found = [image.content for image in self._artifact.main.images if image.kind == "cubin"]
        return found[0] if found else b""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's answer to `(*args, **kwargs)`; raises `InputError`."""
        border = self._border
        bound = self._bind(args, kwargs)
        values, tensors, sizes = bound.values, bound.tensors, bound.sizes
        results = border.results(self._program, self._program.call(border.pointers(bound.passed), bound.dims))
        outputs = [self._output(output, results, values, tensors, sizes) for output in self._outputs]
        for back in self._write_backs:
            border.write(tensors[back.argument], self._output(back.value, results, values, tensors, sizes))
        return self._call.unflatten(outputs)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """The arguments of a call, checked; raises `InputError`."""
        self._border.verify_mode()
        given = self._call.flatten(args, kwargs)
        inputs = self._admit(self._inputs, given)
        originals: list[Any] = []
        tensors: list[Any] = []
        if self._snapshot is None:
            originals = self._model.weights.read()
            weights, prepared = self._admit(self._weight_arguments, originals), []
        else:
            weights, prepared = self._snapshot.state
        values = [*weights, *inputs] if self._weights_first else self._ordered(weights, inputs)
        if self._has_own_tensors:
            # The tensors themselves, of which `values` may be contiguous copies.
            tensors = self._ordered(originals or self._model.weights.read(), given)
            self._verify_apart(tensors)
            if self._snapshot is not None:
                self._take_states(values, tensors)
        sizes = self._sizes(values) if self._is_dynamic else {}
        passed = [*values, *prepared]
        dims = [passed[number].shape[dim] for number, dim in self._dynamic]
        return Bound(values, passed, tensors, sizes, dims)

    def refresh(self) -> None:
        """Takes a new snapshot of the weights; raises `InputError` where they were not frozen or the model is gone."""
        if self._snapshot is None:
            raise InputError(
                "refresh() needs options.freeze=True: this program reads its weights at every call"
            )
        self._snapshot.take(self._admit(self._weight_arguments, self._model.weights.read()))

    def synchronize(self) -> None:
        """Waits until the device has done all calls on the current stream; raises `InputError` where a check of one has
        failed. A program for the CPU has nothing to wait for."""
        self._program.synchronize()

    def save(self, path: str | Path, *, weights: bool = True) -> None:
        """Writes the program to the file `path`, from which `pit_mlir.load` makes a compiled module without a compiler.

        The file appears whole or not at all. It has the machine code, the kernels of a GPU, what calls and answers look
        like, the explanation, and the weights as they are now, or the snapshot of frozen ones. Without `weights` it
        has none but those that no state dict has, and `load` wants them.

        Raises `UnsupportedError` for what cannot be written, `InputError` where the file cannot be.
        """
        from pit_mlir.program_file import save

        save(self, path, weights=weights)

    def call_with(self, arrays: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call with numpy `arrays` by the names of inputs; raises `InputError` for other names."""
        named = dict(arrays)
        if not self._settings.arrays:
            from pit_mlir.frontend.tensors import tensor_of_array

            place = "cpu" if self._program.device is None else self._program.device.place
            dtypes = {argument.name: argument.dtype for argument in self._inputs}
            named = {
                name: tensor_of_array(array, dtypes.get(name, ""), place) for name, array in arrays.items()
            }
        return self._call.with_values(named)

    def leaves(self, answer: Any) -> dict[str, Any]:
        """The leaves of an answer by their places in it, tensors as arrays of numpy."""
        if self._settings.arrays:
            values = answer if isinstance(answer, tuple) else (answer,)
            return {str(number): value for number, value in enumerate(values)}
        from pit_mlir.frontend.tensors import named_leaves

        return named_leaves(answer)

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """What was found, proved, rewritten and left dense, per operator: print it, or see `Explanation.to_html`.

        With the arguments of a call it also tells what the indices of that call hold, and how much work it does of
        what the dense model does. That call is a run of the program in a variant that returns its indices, which is
        compiled when it is first asked for. What the model writes to is not written.
        """
        if not args and not kwargs:
            return self._artifact.explanation
        return replace(self._artifact.explanation, sample=self._sample(self._bind(args, kwargs)))

    def _sample(self, bound: Bound) -> Sample:
        """What the indices of a call hold."""
        if self._sampler is None:
            try:
                from pit_mlir.sampler import Sampler
            except ImportError as error:
                raise MissingPackageError(
                    f"explain() of a call compiles a variant of the program, which needs the compiler: {error}"
                ) from None
            self._sampler = Sampler(self._artifact.sparse, self._settings.target.chip)
        # The variant runs on the CPU, whatever the program itself runs on: lists hold the same everywhere.
        passed = [value.cpu() if hasattr(value, "cpu") else value for value in bound.passed]
        return self._sampler.run(self._border.pointers(passed), bound.dims)

    def __copy__(self) -> "CompiledModule":
        """The same program on the same weights."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledModule":
        """The same program on a copy of the model's weights, or on the same snapshot until `refresh`."""
        twin = memo[id(self)] = copy.copy(self)
        weights = copy.deepcopy(self._model.weights, memo)
        twin._model = BoundModel(self._model.interface, self._model.call, weights)
        twin._snapshot = copy.copy(self._snapshot)
        return twin

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UnsupportedError(
            "a compiled module cannot be pickled, nor passed to a spawned process: it holds machine code of this "
            "process; save() it and load() it there, or fork"
        )

    def _admit(self, arguments: Sequence[Argument], values: Sequence[Any]) -> list[Any]:
        """`values`, checked and contiguous."""
        admitted = self._border.admit(arguments, values)
        if self._settings.check_finite:
            verify_finite(self._border, arguments, admitted)
        return admitted

    def _take_states(self, values: list[Any], tensors: Sequence[Any]) -> None:
        """Puts what the model writes to into `values`: no snapshot knows what the last call left there."""
        for back in self._write_backs:
            argument = self._arguments[back.argument]
            if argument.kind == "weight":
                [values[back.argument]] = self._admit([argument], [tensors[back.argument]])

    def _verify_apart(self, tensors: Sequence[Any]) -> None:
        """Raises `InputError` for an input that shares memory with another argument, if one of them is written to.

        What is written is written after the call, so the model would see other values than the program.
        """
        for back in self._write_backs:
            written = self._arguments[back.argument]
            for argument, tensor in zip(self._arguments, tensors, strict=True):
                is_pair = argument is not written and "input" in (argument.kind, written.kind)
                if is_pair and self._border.overlap(tensors[back.argument], tensor):
                    raise InputError(
                        f"'{argument.name}' shares memory with '{written.name}', which the model writes to; pass a "
                        "copy of one of them"
                    )

    def _sizes(self, values: Sequence[Any]) -> dict[str, int]:
        """What the symbols are in a call with `values`; raises `InputError` for sizes that do not fit."""
        sizes = bind_sizes(self._arguments, [value.shape for value in values], self._symbols)
        check_conditions(self._conditions, sizes)
        return sizes

    def _ordered(self, weights: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """Weights and inputs in the order of the program's arguments."""
        from_weights, from_inputs = iter(weights), iter(inputs)
        return [next(from_inputs if a.kind == "input" else from_weights) for a in self._arguments]

    def _output(
        self,
        output: Any,
        results: list[Any],
        values: list[Any],
        tensors: list[Any],
        sizes: dict[str, int],
    ) -> Any:
        """One leaf of the answer."""
        if isinstance(output, ResultOutput):
            value = results[output.result]
            return self._border.unsigned(value) if output.unsigned else value
        if isinstance(output, ArgumentOutput):
            return self._border.copy(values[output.argument]) if output.copy else tensors[output.argument]
        if isinstance(output, ConstantOutput):
            return output.value
        return evaluate_size(output.size, sizes)
