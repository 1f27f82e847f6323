"""`CompiledModule`: a compiled model, called like the model it came from."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from pit_mlir.borders import Border, verify_finite
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.signature import (
    Argument,
    ArgumentOutput,
    BoundModel,
    ConstantOutput,
    ResultOutput,
    bind_sizes,
    check_conditions,
    evaluate_size,
)
from pit_mlir.runtime.program import Program
from pit_mlir.sample import Sample
from pit_mlir.snapshot import Snapshot

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

    `ir` is the text of the sparse program, before code generation; large constants are elided.
    """

    def __init__(
        self,
        program: Program,
        model: BoundModel,
        border: Border,
        explanation: Explanation,
        ir: str,
        sparse: bytes,
        snapshot: Snapshot | None = None,
        check_finite: bool = False,
    ) -> None:
        self.ir = ir
        self._program = program
        self._sparse = sparse
        self._sampler: Sampler | None = None
        self._border = border
        self._explanation = explanation
        self._snapshot = snapshot
        self._check_finite = check_finite
        interface = model.interface
        self._call = model.call
        self._weights = model.weights
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
        self._inputs = [a for a in interface.arguments if a.kind == "input"]
        self._weight_arguments = [a for a in interface.arguments if a.kind == "weight"]
        kinds = [a.kind for a in interface.arguments]
        self._weights_first = kinds == sorted(kinds, reverse=True)
        self._is_dynamic = any(not isinstance(size, int) for a in interface.arguments for size in a.shape)
        self._dynamic = [
            (number, dim)
            for number, argument in enumerate(program.signature.arguments)
            for dim, size in enumerate(argument.shape or ())
            if size is None
        ]

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
            originals = self._weights.read()
            weights, prepared = self._admit(self._weight_arguments, originals), []
        else:
            weights, prepared = self._snapshot.state
        values = [*weights, *inputs] if self._weights_first else self._ordered(weights, inputs)
        if self._has_own_tensors:
            # The tensors themselves, of which `values` may be contiguous copies.
            tensors = self._ordered(originals or self._weights.read(), given)
            self._verify_apart(tensors)
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
        self._snapshot.take(self._admit(self._weight_arguments, self._weights.read()))

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """What was found, proved, rewritten and left dense, per operator: print it, or see `Explanation.to_html`.

        With the arguments of a call it also tells what the indices of that call hold, and how much work it does of
        what the dense model does. That call is a run of the program in a variant that returns its indices, which is
        compiled when it is first asked for. What the model writes to is not written.
        """
        if not args and not kwargs:
            return self._explanation
        return replace(self._explanation, sample=self._sample(self._bind(args, kwargs)))

    def _sample(self, bound: Bound) -> Sample:
        """What the indices of a call hold."""
        if self._sampler is None:
            from pit_mlir.sampler import Sampler

            self._sampler = Sampler(self._sparse)
        return self._sampler.run(self._border.pointers(bound.passed), bound.dims)

    def __copy__(self) -> "CompiledModule":
        """The same program on the same weights."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledModule":
        """The same program on a copy of the model's weights, or on the same snapshot until `refresh`."""
        twin = memo[id(self)] = copy.copy(self)
        twin._weights = copy.deepcopy(self._weights, memo)
        twin._snapshot = copy.copy(self._snapshot)
        return twin

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UnsupportedError(
            "a compiled module cannot be pickled, nor passed to a spawned process: it holds machine code of this "
            "process; pickle the model and compile it there, or fork"
        )

    def _admit(self, arguments: Sequence[Argument], values: Sequence[Any]) -> list[Any]:
        """`values`, checked and contiguous."""
        admitted = self._border.admit(arguments, values)
        if self._check_finite:
            verify_finite(self._border, arguments, admitted)
        return admitted

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
