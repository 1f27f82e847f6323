"""What the steps of a random program share: the values made so far, and ways to read, combine and reduce them."""

import random
from collections.abc import Callable, Sequence

from tests.fuzz.data import PATTERNS
from tests.fuzz.program_text import Axis, Body, ProgramText, Value, is_float

SIZES = {
    "b": (1, 2, 2, 3, 5),
    "t": (1, 2, 5, 7, 9, 16, 33),
    "d": (1, 3, 8, 16, 17, 33),
    "e": (1, 4, 7, 24, 40),
    "h": (1, 2, 3),
}
LARGEST = 60_000
"""Points of one operation: more take the reference too long."""


def random_axes(rng: random.Random) -> dict[str, Axis]:
    """A size for each letter; one is 0 now and then."""
    axes = {letter: Axis(rng.choice(sizes), rng.random() < 0.6) for letter, sizes in SIZES.items()}
    if rng.random() < 0.08:
        letter = rng.choice("bbtttdeh")
        axes[letter] = Axis(0, rng.random() < 0.8)
    return axes


class Builder:
    """A program being built: `values` are what steps may read; `mask` is the (batch, token) mask, if there is one."""

    def __init__(self, text: ProgramText) -> None:
        self.text = text
        self.values: list[Value] = []
        self.mask: Value | None = None
        self.element = text.rng.choice(("f32",) * 7 + ("f64", "bf16", "f16"))

    @property
    def rng(self) -> random.Random:
        return self.text.rng

    # ---- what to read

    def pick(self, fits: Callable[[Value], bool], otherwise: Callable[[], Value]) -> Value:
        """A value made before that fits, a late one being likely; `otherwise` makes one."""
        fitting = [value for value in self.values if fits(value)]
        if not fitting:
            return otherwise()
        return self.rng.choice(fitting[-2:] if self.rng.random() < 0.75 else fitting)

    def floats(self, rank: int | None = None) -> Value:
        """A value of floats."""

        def fits(value: Value) -> bool:
            return is_float(value.element) and (rank is None or len(value.axes) == rank)

        return self.pick(fits, lambda: self.new(self.some_axes(rank or self.rng.randint(1, 3)), self.element))

    def new(self, axes: str, element: str, pattern: str = "") -> Value:
        """A new argument; floats are dense unless a pattern says otherwise."""
        pattern = pattern or ("normal" if element != "i1" else self.rng.choice(PATTERNS))
        kind = "weight" if "b" not in axes and "t" not in axes and element != "i1" else "input"
        return self.text.argument(axes, element, pattern, kind)

    def some_axes(self, rank: int) -> str:
        return "".join(self.rng.sample("btdeh", rank))

    def mask_for(self, axes: str) -> Value:
        """An i1 tensor over some of `axes`: made before, given as it is, or computed from an argument."""
        rng = self.rng
        if self.mask is not None and set("bt") <= set(axes) and rng.random() < 0.6:
            return self.truth(self.mask)
        letters = sorted(set(axes))
        known = [v for v in self.values if v.element == "i1" and set(v.axes) <= set(letters)]
        if known and rng.random() < 0.4:
            return rng.choice(known)
        some = "".join(
            rng.sample(letters, rng.choice([1, 1, 2, len(letters)]) if len(letters) > 1 else len(letters))
        )
        element = rng.choice(("i1", "i1", "i64", "i32", self.element))
        pattern = "prefix" if len(some) == 2 and rng.random() < 0.3 else rng.choice(PATTERNS)
        return self.truth(self.new(some, element, pattern))

    def truth(self, value: Value) -> Value:
        """`value != 0`, made by an operation unless it is one already; now and then the opposite, twice."""
        if value.element == "i1":
            return value
        element = value.element

        def body(lines: Body, x: str, _out: str) -> list[str]:
            zero = lines.constant(0, element)
            name = "arith.cmpf une" if is_float(element) else "arith.cmpi ne"
            return [lines.op(f"{name}, {x}, {zero}", element)]

        mask = self.elementwise([value], value.axes, "i1", body)
        self.values.append(mask)
        return mask

    # ---- operations

    def fits(self, letters: Sequence[str]) -> bool:
        """Whether an operation over the iterators `letters` is small enough."""
        points = 1
        for letter in letters:
            points *= self.text.axes[letter.lower()].size
        return points <= LARGEST

    def place(self, value: Value, iterators: str) -> str:
        """The iterators that the dimensions of `value` take, each another one where there are several."""
        free = list(iterators)
        found = ""
        for axis in value.axes:
            letters = [i for i in free if i.lower() == axis] or [i for i in iterators if i.lower() == axis]
            letter = letters[0] if self.rng.random() < 0.9 else self.rng.choice(letters)
            found += letter
            if letter in free:
                free.remove(letter)
        return found

    def iterators_of(self, axes: str) -> str:
        """Iterators for dimensions `axes`: the second of the same size is an upper-case letter."""
        return "".join(axis.upper() if axis in axes[:number] else axis for number, axis in enumerate(axes))

    def order(self, axes: str) -> str:
        """`axes` as they are, or in another order."""
        letters = list(axes)
        if self.rng.random() < 0.3:
            self.rng.shuffle(letters)
        return "".join(letters)

    def elementwise(
        self, inputs: Sequence[Value], iterators: str, element: str, body: Callable[..., Sequence[str]]
    ) -> Value:
        """A parallel operation whose result is over `iterators`."""
        iterators = self.iterators_of(iterators) if iterators.islower() else iterators
        out = self.text.empty(iterators.lower(), element)
        reads = [(value, self.place(value, iterators)) for value in inputs]
        return self.text.generic(reads, [(out, iterators)], body)[0]

    def reduction(
        self,
        inputs: Sequence[tuple[Value, str]],
        kept: str,
        inits: Sequence[Value],
        body: Callable[..., Sequence[str]],
    ) -> list[Value]:
        """An operation whose results carry the iterators `kept`."""
        return self.text.generic(inputs, [(init, kept) for init in inits], body)

    def cast(self, value: Value, element: str) -> Value:
        """`value` with elements of another type."""
        if value.element == element:
            return value

        def body(lines: Body, x: str, _out: str) -> list[str]:
            return [cast_scalar(lines, x, value.element, element)]

        return self.elementwise([value], value.axes, element, body)

    def like(self, value: Value, element: str) -> Value:
        """`value` for an operation on `element`."""
        return self.cast(value, element)


WIDTH = {"i1": 1, "i8": 8, "bf16": 16, "f16": 16, "i32": 32, "f32": 32, "i64": 64, "f64": 64}


def cast_scalar(lines: Body, x: str, source: str, target: str) -> str:
    """`x` as a `target`; floats become integers only between -100 and 100."""
    if source == target:
        return x
    types = f"{source} to {target}"
    if is_float(source) and is_float(target):
        if WIDTH[source] == WIDTH[target]:
            x = lines.op(f"arith.extf {x}", f"{source} to f32")
            return lines.op(f"arith.truncf {x}", f"f32 to {target}")
        return lines.op(f"arith.{'extf' if WIDTH[source] < WIDTH[target] else 'truncf'} {x}", types)
    if is_float(target):
        return lines.op(f"arith.{'uitofp' if source == 'i1' else 'sitofp'} {x}", types)
    if is_float(source):
        if target == "i1":
            return lines.op(f"arith.cmpf une, {x}, {lines.constant(0, source)}", source)
        low, high = lines.constant(-100, source), lines.constant(100, source)
        x = lines.op(f"arith.maximumf {x}, {low}", source)
        x = lines.op(f"arith.minimumf {x}, {high}", source)
        return lines.op(f"arith.fptosi {x}", types)
    if target == "i1":
        return lines.op(f"arith.cmpi ne, {x}, {lines.constant(0, source)}", source)
    if WIDTH[source] > WIDTH[target]:
        return lines.op(f"arith.trunci {x}", types)
    return lines.op(f"arith.{'extui' if source == 'i1' else 'extsi'} {x}", types)
