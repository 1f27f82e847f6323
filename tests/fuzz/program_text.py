"""Text of random programs: values with named axes, structured operations over named iterators, one function @main."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FLOATS = ("f32", "f64", "bf16", "f16")
INTEGERS = ("i8", "i32", "i64")


def is_float(element: str) -> bool:
    return element in FLOATS


@dataclass(frozen=True)
class Value:
    """An SSA value: a tensor whose dimensions are called by the letters of `axes`, equal letters being equal sizes."""

    name: str
    axes: str
    element: str


@dataclass(frozen=True)
class Argument:
    """An argument of @main and the pattern of its data: see `arguments.py`."""

    value: Value
    pattern: str
    kind: str = "input"


@dataclass(frozen=True)
class Axis:
    """A size, known to the compiler or not until a call."""

    size: int
    dynamic: bool


class Body:
    """The body of a structured operation, line by line."""

    def __init__(self, text: "ProgramText", letters: Sequence[str]) -> None:
        self.text = text
        self.letters = letters
        self.lines: list[str] = []

    def op(self, operation: str, type_: str = "") -> str:
        """A new scalar, made by `operation`; `type_` is what stands behind the colon."""
        name = self.text.fresh("s")
        self.lines.append(f"{name} = {operation}{f' : {type_}' if type_ else ''}")
        return name

    def place(self, letter: str) -> str:
        """The iterator `letter` as an i64."""
        index = self.op(f"linalg.index {self.letters.index(letter)}", "index")
        return self.op(f"arith.index_cast {index}", "index to i64")

    def constant(self, value: float, element: str) -> str:
        """A constant, made in the body or captured by it."""
        if self.text.rng.random() < 0.5:
            return self.text.scalar(value, element)
        return self.op(f"arith.constant {literal(value, element)}", "" if element == "i1" else element)


@dataclass
class ProgramText:
    """A function @main being written. Arguments, sizes and constants stand before what the steps add."""

    rng: random.Random
    axes: dict[str, Axis]
    arguments: list[Argument] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    constants: dict[tuple[str, str], str] = field(default_factory=dict)
    count: int = 0

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        self.count += 1
        return f"%{prefix}{self.count}"

    def type_of(self, axes: str, element: str) -> str:
        """The type of a tensor over `axes`."""
        sizes = ["?" if self.axes[axis].dynamic else str(self.axes[axis].size) for axis in axes]
        return f"tensor<{'x'.join([*sizes, element])}>"

    def type(self, value: Value) -> str:
        return self.type_of(value.axes, value.element)

    def sliceable(self, value: Value) -> bool:
        """Whether a slice may be taken: upstream refuses any of a tensor that is known to be empty."""
        return all(self.axes[axis].dynamic or self.axes[axis].size for axis in value.axes)

    def argument(self, axes: str, element: str, pattern: str, kind: str = "input") -> Value:
        """A new argument of @main."""
        value = Value(f"%arg{len(self.arguments)}", axes, element)
        self.arguments.append(Argument(value, pattern, kind))
        return value

    def scalar(self, value: float, element: str) -> str:
        """A constant outside of all bodies."""
        key = (literal(value, element), element)
        return self.constants.setdefault(key, f"%k{len(self.constants)}")

    def add(self, operation: str, axes: str, element: str) -> Value:
        """A value made by one line."""
        value = Value(self.fresh("v"), axes, element)
        self.lines.append(f"{value.name} = {operation}")
        return value

    def empty(self, axes: str, element: str) -> Value:
        sizes = ", ".join(f"%n_{axis}" for axis in axes if self.axes[axis].dynamic)
        return self.add(f"tensor.empty({sizes}) : {self.type_of(axes, element)}", axes, element)

    def filled(self, axes: str, element: str, value: float) -> Value:
        out, constant = self.empty(axes, element), self.scalar(value, element)
        type_ = self.type(out)
        return self.add(
            f"linalg.fill ins({constant} : {element}) outs({out.name} : {type_}) -> {type_}", axes, element
        )

    def generic(
        self,
        inputs: Sequence[tuple[Value, str]],
        outputs: Sequence[tuple[Value, str]],
        body: Callable[..., Sequence[str]],
    ) -> list[Value]:
        """A `linalg.generic`: operands with the iterators of their dimensions; `body(lines, *scalars)` yields.

        Iterators are letters; an upper-case one runs over the same size as its lower-case twin. What all outputs
        carry is parallel, the rest is reduced.
        """
        letters = sorted({letter for _, map_ in (*inputs, *outputs) for letter in map_})
        self.rng.shuffle(letters)
        kinds = [
            "parallel" if all(letter in map_ for _, map_ in outputs) else "reduction" for letter in letters
        ]
        maps = [affine_map(letters, map_) for _, map_ in (*inputs, *outputs)]
        lines = Body(self, letters)
        scalars = [self.fresh("s") for _ in (*inputs, *outputs)]
        results = body(lines, *scalars)
        elements = [value.element for value, _ in (*inputs, *outputs)]
        block = ", ".join(f"{name}: {element}" for name, element in zip(scalars, elements, strict=True))
        values = [Value(self.fresh("v"), value.axes, value.element) for value, _ in outputs]
        types = ", ".join(self.type(value) for value in values)
        self.lines += [
            f"{self.left(values)} = linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = "
            f"[{', '.join(quoted(kinds))}]}}",
            f"    {self.operands('ins', inputs)} {self.operands('outs', outputs)} {{",
            f"^bb0({block}):",
            *(f"  {line}" for line in lines.lines),
            f"  linalg.yield {', '.join(results)} : {', '.join(value.element for value in values)}",
            f"}} -> {types if len(values) == 1 else f'({types})'}",
        ]
        return self.split(values)

    def left(self, values: Sequence[Value]) -> str:
        """The left side of an operation with `values` as its results."""
        return values[0].name if len(values) == 1 else f"{values[0].name}:{len(values)}"

    def split(self, values: Sequence[Value]) -> list[Value]:
        """`values` by the names that their uses have."""
        if len(values) == 1:
            return list(values)
        first = values[0].name
        return [Value(f"{first}#{number}", v.axes, v.element) for number, v in enumerate(values)]

    def operands(self, word: str, operands: Sequence[tuple[Value, str]]) -> str:
        """`ins(%a, %b : types)`, empty for no operands."""
        if not operands:
            return ""
        names = ", ".join(value.name for value, _ in operands)
        return f"{word}({names} : {', '.join(self.type(value) for value, _ in operands)})"

    def text(self, results: Sequence[Value]) -> str:
        """The module, whose function returns `results`."""
        for axis, about in self.axes.items():
            if about.dynamic and not any(axis in a.value.axes for a in self.arguments):
                self.argument(axis, "i8", "full")
        types = ", ".join(self.type(value) for value in results)
        arguments = ", ".join(
            f'{a.value.name}: {self.type(a.value)} {{pit.name = "a{number}", pit.kind = "{a.kind}"}}'
            for number, a in enumerate(self.arguments)
        )
        lines = [*self.prelude(), *self.lines]
        names = ", ".join(value.name for value in results)
        returned = f"return {names} : {types}"
        body = "\n".join(f"  {line}" for line in (*lines, returned))
        return f"func.func @main({arguments}) -> ({types}) {{\n{body}\n}}\n"

    def prelude(self) -> list[str]:
        """Constants, and the sizes that arguments tell."""
        lines = [
            f"{name} = arith.constant {text}{'' if element == 'i1' else f' : {element}'}"
            for (text, element), name in self.constants.items()
        ]
        rank = max((len(a.value.axes) for a in self.arguments), default=0)
        lines += [f"%c{number} = arith.constant {number} : index" for number in range(rank)]
        known: set[str] = set()
        for argument in self.arguments:
            for dim, axis in enumerate(argument.value.axes):
                if self.axes[axis].dynamic and axis not in known:
                    known.add(axis)
                    value = argument.value
                    lines.append(f"%n_{axis} = tensor.dim {value.name}, %c{dim} : {self.type(value)}")
        return lines


def affine_map(letters: Sequence[str], results: str) -> str:
    """A map from iterators to some of them."""
    names = {letter: f"d{number}" for number, letter in enumerate(letters)}
    return f"affine_map<({', '.join(names.values())}) -> ({', '.join(names[r] for r in results)})>"


def quoted(words: Sequence[str]) -> list[str]:
    return [f'"{word}"' for word in words]


def literal(value: float, element: str) -> str:
    """A constant as MLIR writes it."""
    if element == "i1":
        return "true" if value else "false"
    if not is_float(element):
        return str(int(value))
    infinities = {"f32": "0x7F800000", "f64": "0x7FF0000000000000", "bf16": "0x7F80", "f16": "0x7C00"}
    negative = {"f32": "0xFF800000", "f64": "0xFFF0000000000000", "bf16": "0xFF80", "f16": "0xFC00"}
    if value in (float("inf"), -float("inf")):
        return (infinities if value > 0 else negative)[element]
    return f"{value:.9e}"
