"""The border of a program: tensors of torch, or arrays of numpy, in by pointer and out as owners of their memory."""

import math
import operator
from collections.abc import Sequence
from typing import Any, Protocol

import numpy

from pit_mlir.errors import InputError
from pit_mlir.frontend.signature import Argument, Size, shape_text, value_text
from pit_mlir.runtime.device import Device
from pit_mlir.runtime.huge_pages import HUGE_PAGE, huge_pages
from pit_mlir.runtime.memref import ELEMENTS, Element
from pit_mlir.runtime.program import ALIGNMENT, Program, Results


class Border(Protocol):
    """How values of one library cross the border of a program."""

    mode: str | None
    """The mode of the library that calls must be in, in a word for another process."""

    def verify_mode(self) -> None:
        """Raises `InputError` in a mode of the library in which a call would not mean what the model means."""
        ...

    def admit(self, arguments: Sequence[Argument], values: Sequence[Any]) -> list[Any]:
        """`values`, checked against `arguments` and contiguous (copied only if they are not).

        Raises `InputError` for a wrong type, dtype, device or static size; sizes that are symbols are not checked.
        """
        ...

    def pointers(self, values: Sequence[Any]) -> list[int]:
        """The address of the first element of each of `values`."""
        ...

    def results(self, program: Program, results: Results) -> list[Any]:
        """The results of `program.call` as values that own their memory."""
        ...

    def copy(self, value: Any) -> Any:
        """A copy of `value` in memory of its own."""
        ...

    def placeholder(self, value: Any) -> Any:
        """Something of the type and shape of `value` that takes no memory, for what nobody reads."""
        ...

    def unsigned(self, value: Any) -> Any:
        """The same memory, read as unsigned integers."""
        ...

    def write(self, target: Any, value: Any) -> None:
        """Copies `value` into `target`, in place."""
        ...

    def overlap(self, one: Any, other: Any) -> bool:
        """Whether two values have an element in common; no where that is not easy to tell."""
        ...

    def not_finite(self, value: Any) -> tuple[int, ...] | None:
        """The place of the first element of `value` that is a NaN or an infinity; None where there is none."""
        ...


def mismatch(argument: Argument, given: str, device: object = "cpu") -> InputError:
    """The error for an argument that does not fit: both sides shown."""
    wanted = f"{argument.dtype} of shape {shape_text(argument.shape)}"
    if str(device) != "cpu":
        wanted = f"{wanted} on {device}"
    return InputError(f"{argument.kind} '{argument.name}' is {given}; the program was compiled for {wanted}")


def verify_finite(border: Border, arguments: Sequence[Argument], values: Sequence[Any]) -> None:
    """Raises `InputError` for the first of `values` that is not finite throughout."""
    for argument, value in zip(arguments, values, strict=True):
        place = border.not_finite(value) if "float" in argument.dtype else None
        if place is not None:
            raise InputError(
                f"{argument.kind} '{argument.name}' is {float(value[place])} at {list(place)}, and "
                "options.check_finite asks for finite values: where another factor is 0, it would be left out of a sum"
            )


def describe(tensor: Any) -> str:
    """dtype, shape and device of a torch tensor for a message, its layout where that is a rare one."""
    dtype, layout = (str(value).removeprefix("torch.") for value in (tensor.dtype, tensor.layout))
    if tensor.is_nested:
        return f"a nested tensor of {dtype}"
    kind = "a tensor" if layout == "strided" else f"a {layout} tensor"
    return f"{kind} of {dtype} and shape {list(tensor.shape)} on {tensor.device}"


def verify_memory(tensor: Any) -> Any:
    """`tensor`; raises `InputError` if it has elements and no memory, where torch's own copy would crash."""
    try:
        has_memory = not tensor.numel() or tensor.data_ptr()
    except RuntimeError:
        has_memory = False
    if not has_memory:
        raise InputError(
            f"{describe(tensor)} has no memory: its storage was freed, or it stands for another tensor "
            "(torch.func, FakeTensor)"
        )
    return tensor


def memory(tensor: Any) -> tuple[int, int]:
    """The addresses between which the elements of a torch tensor lie; both the same for one without elements."""
    begin = verify_memory(tensor).data_ptr()
    if not tensor.numel():
        return begin, begin
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return begin, begin + (last + 1) * tensor.element_size()


def static_shape(shape: Sequence[Size]) -> tuple[int, ...] | None:
    """`shape` if all of its sizes are numbers."""
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None


class TorchGuard:
    """Says in a moment that tensors still have the types, shapes and strides of `values`, which were admitted.

    It may say no though they have; it keeps no tensor alive. This is what the programs of torch.compile check.
    """

    def __init__(self, arguments: Sequence[Argument], values: Sequence[Any]) -> None:
        from torch._C._dynamo.guards import TensorGuards

        # Sizes that are all given; torch's stub misses that there is a list of them for each tensor.
        shapes: list[Any] = [list(value.shape) for value in values]
        strides: list[Any] = [list(value.stride()) for value in values]
        self.arguments = arguments
        self.check = TensorGuards(*values, dynamic_dims_sizes=shapes, dynamic_dims_strides=strides).check


class TorchBorder:
    """Strided torch tensors on the CPU, or on `device`."""

    def __init__(self, arguments: Sequence[Argument], device: Device | None = None) -> None:
        import torch
        from torch.utils.dlpack import from_dlpack

        self._torch = torch
        self._from_dlpack = from_dlpack
        self._expected = {a: (getattr(torch, a.dtype), static_shape(a.shape)) for a in arguments}
        self._guard: TorchGuard | None = None
        self._device = torch.device("cpu" if device is None else device.place)
        self._alignment = 1 if device is None else ALIGNMENT
        self.mode = autocast_type(torch, self._device.type)

    def verify_mode(self) -> None:
        """See `Border`: torch.autocast must be as it was at compile time, and nobody may be tracing."""
        autocast = autocast_type(self._torch, self._device.type)
        if autocast != self.mode:
            compiled, called = (
                f"torch.autocast of torch.{t}" if t else "no autocast" for t in (self.mode, autocast)
            )
            raise InputError(
                f"compiled under {compiled} and called under {called}, where the model has other types; compile it "
                "under the autocast that it is called under"
            )
        if is_tracing(self._torch):
            raise InputError(
                "a compiled module cannot be traced (torch.export, torch.jit.trace, torch.fx); trace the model itself"
            )

    def admit(self, arguments: Sequence[Argument], values: Sequence[Any]) -> list[Any]:
        """See `Border`; also refuses an input that requires grad while grad is enabled."""
        guard = self._guard
        if guard is not None and guard.arguments is arguments and guard.check(*values):
            return list(values)
        torch = self._torch
        grad = torch.is_grad_enabled()
        admitted: list[Any] = []
        for argument, value in zip(arguments, values, strict=True):
            dtype, shape = self._expected[argument]
            if not isinstance(value, torch.Tensor):
                raise mismatch(argument, value_text(value), self._device)
            fits = value.dtype is dtype and self._is_here(value) and value.layout is torch.strided
            if (
                not fits
                or value.is_nested
                or (value.shape != shape if shape is not None else value.dim() != len(argument.shape))
            ):
                raise mismatch(argument, describe(value), self._device)
            if grad and value.requires_grad and argument.kind == "input":
                raise InputError(
                    f"input '{argument.name}' requires grad and grad is enabled, but compiled programs have no "
                    "gradients; call under torch.no_grad() or torch.inference_mode(), or detach the input"
                )
            plain = value.is_contiguous() and not value.is_neg()
            tensor = value if plain else verify_memory(value).resolve_neg().contiguous()
            if self._alignment > 1 and verify_memory(tensor).data_ptr() % self._alignment:
                tensor = tensor.clone()
            admitted.append(tensor)
        is_weights = arguments and all(argument.kind == "weight" for argument in arguments)
        if is_weights and all(map(operator.is_, admitted, values)):
            self._guard = TorchGuard(arguments, admitted)
        return admitted

    def _is_here(self, tensor: Any) -> bool:
        """Whether `tensor` is where the program reads it; there is one CPU, however torch numbers it."""
        given, wanted = tensor.device, self._device
        return given.type == wanted.type and (given.type == "cpu" or given.index == wanted.index)

    def pointers(self, values: Sequence[Any]) -> list[int]:
        """See `Border`; raises `InputError` for a tensor whose memory was freed (`storage.resize_(0)`)."""
        try:
            pointers = [value.data_ptr() for value in values]
        except RuntimeError:  # torch says so where there never was memory
            pointers = [0]
        if 0 in pointers:
            for value in values:
                verify_memory(value)
        return pointers

    def results(self, program: Program, results: Results) -> list[Any]:
        """See `Border`."""
        return [self._from_dlpack(capsule) for capsule in results.capsules]

    def copy(self, value: Any) -> Any:
        """See `Border`."""
        tensor = verify_memory(value).detach()
        if tensor.nbytes < HUGE_PAGE or tensor.device.type != "cpu":
            return tensor.clone(memory_format=self._torch.contiguous_format)
        memory, start = huge_pages(tensor.nbytes)
        copied = self._torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=start)
        return copied.view(tensor.shape).copy_(tensor)

    def placeholder(self, value: Any) -> Any:
        """See `Border`."""
        return value.new_zeros(()).expand(value.shape)

    def unsigned(self, value: Any) -> Any:
        """See `Border`."""
        return value.view(self._torch.uint8)

    def write(self, target: Any, value: Any) -> None:
        """See `Border`."""
        with self._torch.no_grad():
            target.copy_(value)

    def overlap(self, one: Any, other: Any) -> bool:
        """See `Border`: with strides that jump over elements, only where both begin at the same one."""
        (begin, end), (other_begin, other_end) = memory(one), memory(other)
        if begin == end or other_begin == other_end:
            return False
        return (
            begin == other_begin
            or (one.is_contiguous() and begin < other_begin < end)
            or (other.is_contiguous() and other_begin < begin < other_end)
        )

    def not_finite(self, value: Any) -> tuple[int, ...] | None:
        """See `Border`."""
        # One reading without a copy; a sum that overflows says nothing.
        if math.isfinite(value.sum(dtype=self._torch.float64)):
            return None
        places = value.isfinite().logical_not().nonzero()
        return tuple(places[0].tolist()) if len(places) else None


def autocast_type(torch: Any, device: str) -> str | None:
    """The dtype that torch.autocast casts to on a kind of device at the moment, None where it is off."""
    if not torch.is_autocast_enabled(device):
        return None
    return str(torch.get_autocast_dtype(device)).removeprefix("torch.")


def is_tracing(torch: Any) -> bool:
    """Whether torch writes down what is called, instead of or beside doing it."""
    native = torch._C
    if native._get_tracing_state() is not None:
        return True
    if not native._len_torch_dispatch_stack():
        return False
    keys = native._TorchDispatchModeKey
    return any(native._get_dispatch_mode(key) is not None for key in (keys.PROXY, keys.FAKE, keys.FUNCTIONAL))


class NumpyBorder:
    """Arrays of numpy; bf16 is the type of the package ml_dtypes."""

    def __init__(self, arguments: Sequence[Argument]) -> None:
        self.mode: str | None = None
        elements = {str(element.numpy): element for element in ELEMENTS.values()}
        self._expected: dict[Argument, tuple[Element, tuple[int, ...] | None]] = {
            a: (elements[a.dtype], static_shape(a.shape)) for a in arguments
        }

    def verify_mode(self) -> None:
        """See `Border`: numpy has no modes."""

    def admit(self, arguments: Sequence[Argument], values: Sequence[Any]) -> list[Any]:
        """See `Border`."""
        admitted: list[Any] = []
        for argument, value in zip(arguments, values, strict=True):
            element, shape = self._expected[argument]
            if not isinstance(value, numpy.ndarray):
                raise mismatch(argument, value_text(value))
            sizes: tuple[int, ...] = value.shape
            if value.dtype != element.numpy or (
                sizes != shape if shape is not None else len(sizes) != len(argument.shape)
            ):
                raise mismatch(argument, f"an array of {value.dtype} and shape {list(sizes)}")
            # Not ascontiguousarray: it makes rank 1 of rank 0.
            admitted.append(value if value.flags.c_contiguous else value.copy(order="C"))
        return admitted

    def pointers(self, values: Sequence[Any]) -> list[int]:
        """See `Border`."""
        return [value.ctypes.data for value in values]

    def results(self, program: Program, results: Results) -> list[Any]:
        """See `Border`."""
        return list(program.arrays(results))

    def copy(self, value: Any) -> Any:
        """See `Border`."""
        if value.nbytes < HUGE_PAGE:
            return value.copy(order="C")
        memory, start = huge_pages(value.nbytes)
        copied = numpy.frombuffer(memory, value.dtype, value.size, start).reshape(value.shape)
        copied[...] = value
        return copied

    def placeholder(self, value: Any) -> Any:
        """See `Border`."""
        return numpy.broadcast_to(numpy.zeros((), value.dtype), value.shape)

    def unsigned(self, value: Any) -> Any:
        """See `Border`."""
        return value.view(numpy.uint8)

    def write(self, target: Any, value: Any) -> None:
        """See `Border`."""
        target[...] = value

    def overlap(self, one: Any, other: Any) -> bool:
        """See `Border`."""
        return bool(numpy.may_share_memory(one, other))

    def not_finite(self, value: Any) -> tuple[int, ...] | None:
        """See `Border`."""
        finite: Any = numpy.isfinite(value)
        return None if finite.all() else tuple(map(int, numpy.argwhere(~finite)[0]))
