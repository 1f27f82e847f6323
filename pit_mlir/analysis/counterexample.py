"""Two orders of an iterator that give different results: why it may not be permuted, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.evaluate import Scalar, float_of


@dataclass(frozen=True)
class Swap:
    """Two points `x` and `y` folded into `accumulators` in both orders; `results` are the numbers of those shown.

    `x_then_y` and `y_then_x` are what the accumulators become; `digits` is the format of a float.
    """

    results: tuple[int, ...]
    accumulators: tuple[Scalar, ...]
    x: tuple[Scalar, ...]
    y: tuple[Scalar, ...]
    x_then_y: tuple[Scalar, ...]
    y_then_x: tuple[Scalar, ...]
    digits: str = "g"

    def __str__(self) -> str:
        return (
            f"acc = {self._shown(self.accumulators)}, x = {self._shown(self.x)}, y = {self._shown(self.y)}: "
            f"x then y gives {self._shown(self.x_then_y)}, y then x gives {self._shown(self.y_then_x)}"
        )

    def _shown(self, values: Sequence[Scalar]) -> str:
        texts = [scalar_text(value, self.digits) for value in values]
        return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def scalar_text(value: Scalar, digits: str = "g") -> str:
    """A number for a reader: an integer as it is, a float with `digits`."""
    return str(int(value)) if isinstance(value, int) else format(float_of(value), digits)
