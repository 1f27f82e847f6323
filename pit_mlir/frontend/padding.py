"""`Padding`: which rows of a batch hold no token."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.errors import InputError
from pit_mlir.frontend.signature import Argument, shape_text


@dataclass(frozen=True)
class Padding:
    """Declares that values of (batch, token) positions are unused wherever the input `mask` is zero.

    `mask` names an input of shape (batch, token) with truth values, integers or floats, for instance
    `"attention_mask"`; or one of shape (batch,), of whole entries of the batch, such as images. Unused rows of the
    outputs are exactly 0.
    """

    mask: str

    def argument_number(self, arguments: Sequence[Argument]) -> int:
        """The number of the mask among the arguments of `@main`; raises `InputError` if it cannot be one."""
        inputs = [argument for argument in arguments if argument.kind == "input"]
        for number, argument in enumerate(arguments):
            if argument.kind == "input" and argument.name == self.mask:
                if len(argument.shape) not in (1, 2):
                    raise InputError(
                        f"Padding('{self.mask}'): the input has shape {shape_text(argument.shape)}, "
                        "expected (batch, token) or (batch,)"
                    )
                return number
        known = ", ".join(f"'{argument.name}'" for argument in inputs) or "none"
        raise InputError(f"Padding('{self.mask}') names no input of the model; its inputs are {known}")
