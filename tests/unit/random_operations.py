"""Random structured operations as text: bodies of floats, bytes and truth values, positions, captured scalars."""

import random

from structured_text import Operand, generic

TYPES = ("f32", "f32", "i8", "i1")
BINARY = {
    "f32": "addf addf subf mulf mulf maximumf minimumf maxnumf".split(),
    "i8": "addi subi muli andi ori xori maxsi minsi maxui minui".split(),
    "i1": "andi ori xori".split(),
}
CONSTANTS = {
    "f32": ["0.0", "1.0", "-2.0", "0.5", "0xFF800000"],
    "i8": ["0", "1", "-1", "3", "-128", "127"],
    "i1": ["false", "true"],
}
CASTS = [("i1", "uitofp", "f32"), ("i1", "extui", "i8"), ("i8", "sitofp", "f32"), ("i8", "trunci", "i1")]
UNARY = ["arith.negf", "math.absf"]
COMPARISONS = [
    ("cmpf ogt", "f32"),
    ("cmpf oeq", "f32"),
    ("cmpi slt", "i8"),
    ("cmpi eq", "i8"),
    ("cmpi eq", "i8"),
]
CAPTURES = "%k0: f32, %k1: i8"


class Lines:
    """A random body: every value made so far may be used by the next line."""

    def __init__(
        self, rng: random.Random, inputs: list[Operand], outputs: list[Operand], iterators: int
    ) -> None:
        self.rng, self.iterators = rng, iterators
        self.text: list[str] = []
        self.values = [(f"%x{n}", type_) for n, (_, type_) in enumerate(inputs)]
        self.values += [(f"%a{n}", type_) for n, (_, type_) in enumerate(outputs)]
        if rng.random() < 0.3:
            self.values += [("%k0", "f32"), ("%k1", "i8")]

    def pick(self, type_: str) -> str:
        """A value of `type_`, one made lately being likely."""
        known = [name for name, other in self.values if other == type_]
        if not known or self.rng.random() < 0.1:
            return self.make(
                f"arith.constant {self.rng.choice(CONSTANTS[type_])}", type_, shown=type_ != "i1"
            )
        return self.rng.choice(known[-3:] if self.rng.random() < 0.7 else known)

    def make(self, operation: str, type_: str, *, shown: bool = True, types: str | None = None) -> str:
        """A new value of `type_`."""
        name = f"%n{len(self.text)}"
        self.text.append(f"{name} = {operation}{f' : {types or type_}' if shown else ''}")
        self.values.append((name, type_))
        return name

    def line(self) -> None:
        """One more operation."""
        kind, pick = self.rng.randrange(7), self.pick
        if kind <= 2:
            type_ = self.rng.choice(TYPES)
            self.make(f"arith.{self.rng.choice(BINARY[type_])} {pick(type_)}, {pick(type_)}", type_)
        elif kind == 3:
            name, type_ = self.rng.choice(COMPARISONS)
            self.make(f"arith.{name}, {pick(type_)}, {pick(type_)}", "i1", types=type_)
        elif kind == 4:
            type_ = self.rng.choice(("f32", "i8"))
            self.make(f"arith.select {pick('i1')}, {pick(type_)}, {pick(type_)}", type_)
        elif kind == 5:
            self.position()
        elif self.rng.random() < 0.5:
            self.make(f"{self.rng.choice(UNARY)} {pick('f32')}", "f32")
        else:
            source, cast, target = self.rng.choice(CASTS)
            self.make(f"arith.{cast} {pick(source)}", target, types=f"{source} to {target}")

    def position(self) -> str:
        """The position along some iterator, as a byte."""
        position = self.make(f"linalg.index {self.rng.randrange(self.iterators)}", "index")
        return self.make(f"arith.index_cast {position}", "i8", types="index to i8")

    def one_hot(self) -> str:
        """A float that is not zero only where two bytes are equal."""
        one = self.position() if self.rng.random() < 0.5 else self.pick("i8")
        equal = self.make(f"arith.cmpi eq, {one}, {self.pick('i8')}", "i1", types="i8")
        if self.rng.random() < 0.5:
            zero = self.make("arith.constant 0.0", "f32")
            return self.make(f"arith.select {equal}, {self.pick('f32')}, {zero}", "f32")
        weight = self.make(f"arith.uitofp {equal}", "f32", types="i1 to f32")
        return self.make(f"arith.mulf {weight}, {self.pick('f32')}", "f32")


def random_map(rng: random.Random, iterators: int) -> str:
    """Some iterators in some order, now and then the sum of two, a multiple, or one of them twice."""
    chosen = rng.sample(range(iterators), rng.randint(0, iterators))
    results = [f"d{iterator}" for iterator in chosen]
    kind = rng.random()
    if len(results) > 1 and kind < 0.1:
        results = [f"{results[0]} + {results[1]}", *results[2:]]
    elif results and kind < 0.13:
        results[0] = f"{results[0]} * 2"
    elif results and kind < 0.16:
        results.append(results[0])
    return ", ".join(results)


def random_operation(rng: random.Random) -> str:
    """A `linalg.generic` with up to three iterators and inputs and one or two outputs."""
    iterators = rng.randint(1, 3)
    every = ", ".join(f"d{iterator}" for iterator in range(iterators))
    inputs: list[Operand] = [(every, rng.choice(TYPES))]
    inputs += [(random_map(rng, iterators), rng.choice(TYPES)) for _ in range(rng.randint(0, 2))]
    routed = rng.random() < 0.35
    if routed:
        inputs += [(f"d{iterator}", "i8") for iterator in rng.sample(range(iterators), min(2, iterators))]
    outputs: list[Operand] = []
    for _ in range(rng.choice((1, 1, 2))):
        kept = sorted(rng.sample(range(iterators), rng.randint(0, iterators)))
        outputs.append(
            (", ".join(f"d{iterator}" for iterator in kept), "f32" if routed else rng.choice(TYPES))
        )
    lines = Lines(rng, inputs, outputs, iterators)
    for _ in range(rng.randint(0, 4)):
        lines.line()
    results: list[str] = []
    for number, (results_of_map, type_) in enumerate(outputs):
        value = lines.one_hot() if routed else lines.pick(type_)
        if rng.random() < 0.8 and not (routed and results_of_map == every):
            name = "addf" if routed and rng.random() < 0.7 else rng.choice(BINARY[type_])
            value = lines.make(f"arith.{name} %a{number}, {value}", type_)
        results.append(value)
    types = ", ".join(type_ for _, type_ in outputs)
    body = "\n".join([*lines.text, f"yield {', '.join(results)} : {types}"])
    return generic(inputs, outputs, body, iterators=iterators, captures=CAPTURES)
