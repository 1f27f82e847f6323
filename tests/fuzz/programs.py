"""A random program: a seed and the numbers of the steps that are kept decide it."""

import random
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from tests.fuzz import chains, rare, steps
from tests.fuzz.builder import Builder, random_axes
from tests.fuzz.data import PATTERNS, make
from tests.fuzz.program_text import ProgramText, Value, is_float
from tests.fuzz.steps import Step

WORK: tuple[Step, ...] = (
    *(steps.apply_unary, steps.apply_binary) * 3,
    *(steps.apply_relu, steps.apply_mask, steps.reduce, steps.contract) * 2,
    *(steps.apply_integers, steps.combine_masks, steps.causal_mask, steps.position, steps.integer_contract),
    *(steps.move, steps.convert, steps.mark, steps.look_up),
    *(chains.softmax, chains.attention, chains.layer_norm, chains.reshape, chains.halves),
    *(chains.rows_by_index, chains.experts, chains.listed_contract, chains.masked_rows),
)
RARE: tuple[Step, ...] = (
    *(
        rare.read_accumulator,
        rare.two_results,
        rare.window,
        rare.named,
        rare.scalar_operand,
        rare.constant_mask,
    ),
    *(rare.insert, rare.forget_sizes, rare.restricted, rare.restricted, rare.narrow_sum),
)
ROWS: tuple[Step, ...] = (
    *(steps.apply_unary, steps.apply_binary, steps.contract) * 2,
    *(steps.apply_relu, steps.position, steps.move, steps.reduce, steps.look_up),
    *(chains.attention, chains.attention, chains.layer_norm, chains.halves, chains.reshape, chains.softmax),
)
THEMES: dict[str, tuple[tuple[Step, ...], tuple[Step, ...]]] = {
    "padding": (ROWS, ()),
    "rows": (ROWS, (chains.masked_rows,)),
    "lists": (
        (steps.apply_unary, steps.apply_binary, steps.apply_mask, steps.move),
        (chains.listed_contract,),
    ),
    "products": ((steps.apply_relu, steps.apply_mask, steps.mark), (steps.apply_relu, steps.contract)),
    "index": (WORK, (chains.rows_by_index,)),
    "experts": (WORK, (chains.experts,)),
    "rare": ((*RARE, *ROWS), (chains.masked_rows, chains.listed_contract)),
    "any": (WORK, (steps.apply_mask, chains.listed_contract)),
}
"""What a program is about: the steps to choose from, and those that it ends with."""


@dataclass(frozen=True)
class Program:
    """A program with its data, and how it is to be compiled and run."""

    seed: int
    theme: str
    names: tuple[str, ...]
    """Its steps, in order; the first in the list of kept ones has number 0."""
    text: str
    results: tuple[str, ...]
    arguments: tuple[np.ndarray, ...]
    padding: int | None
    """The number of the argument that is declared a padding mask."""
    floats: str
    freeze: bool
    threads: int
    public: bool
    """Whether it goes through `pit_mlir.compile`, not through the pipelines by hand."""


def build(seed: int, keep: Collection[int] | None = None) -> Program:
    """The program of `seed`; only the steps numbered in `keep` are made, where it is given."""
    rng = random.Random(seed)
    theme = rng.choice(tuple(THEMES))
    text = ProgramText(rng, random_axes(rng))
    builder = Builder(text)
    padding = start(builder, theme)
    work, last = THEMES[theme]
    chosen = [rng.choice(RARE if rng.random() < 0.2 else work) for _ in range(rng.randint(1, 6))] + [*last]
    if theme == "lists" and rng.random() < 0.4:
        chosen += [rng.choice(WORK)]
    options = random.Random(rng.random())
    names: list[str] = []
    for number, step in enumerate(chosen):
        # Each step draws from a sequence of its own, so that others may be left out.
        text.rng = random.Random(f"{seed} {number}")
        if keep is None or number in keep:
            builder.values += step(builder)
        names.append(step.__name__)
    text.rng = options
    results = choose_results(builder)
    # A declared mask that no result depends on is refused.
    results += builder.values[:1] if padding is not None and options.random() < 0.8 else []
    written = text.text(results)
    data = np.random.default_rng(seed)
    arguments = [make(argument, text.axes, data) for argument in text.arguments]
    if padding is not None or theme == "rows":
        poison(builder, arguments, options)
    return Program(
        seed=seed,
        theme=theme,
        names=tuple(names),
        text=written,
        results=tuple(value.axes for value in results),
        arguments=tuple(arguments),
        padding=padding,
        floats="strict" if options.random() < 0.15 else "real",
        freeze=options.random() < 0.2,
        threads=options.choice((1, 2, 2, 3)),
        public=options.random() < 0.15,
    )


def start(builder: Builder, theme: str) -> int | None:
    """The first arguments; the number of the padding mask if one is declared."""
    rng, text = builder.rng, builder.text
    if theme == "padding" or (theme == "rows" and rng.random() < 0.6):
        mask = builder.new(
            "bt",
            rng.choice(("i1", "i1", "i64", builder.element)),
            rng.choice(("prefix", "prefix", *PATTERNS)),
        )
        x = builder.new(rng.choice(("btd", "btd", "btd", "tbd")), builder.element)
        builder.mask, builder.values = mask, [x]
        if theme == "padding":
            # A declared mask must be read, which ties the axes of what reads it to its own.
            live = builder.truth(mask)
            body = lambda lines, s, m, _o: [
                lines.op(f"arith.select {m}, {s}, {lines.constant(0.5, x.element)}", x.element)
            ]
            builder.values = [builder.elementwise([x, live], x.axes, x.element, body)]
            return int(mask.name.removeprefix("%arg"))
        return None
    axes = {"lists": rng.choice(("td", "te", "bd")), "index": rng.choice(("btd", "td"))}.get(theme)
    builder.values = [builder.new(axes or builder.some_axes(rng.choice((2, 2, 3))), builder.element)]
    assert text.arguments
    return None


def choose_results(builder: Builder) -> list[Value]:
    """The last value, and others now and then; a value twice, or an argument, is a rare result."""
    made = [value for value in builder.values if value.element != "i1"] or builder.values
    results = [made[-1]]
    while builder.rng.random() < 0.25:
        results.append(builder.rng.choice(builder.values))
    return results


def poison(builder: Builder, arguments: list[np.ndarray], rng: random.Random) -> None:
    """NaN in the rows of the first input that the mask says nobody uses."""
    if builder.mask is None or rng.random() < 0.5:
        return
    number = int(builder.mask.name.removeprefix("%arg"))
    for position, argument in enumerate(builder.text.arguments):
        axes = argument.value.axes
        if set("bt") <= set(axes) and is_float(argument.value.element) and position != number:
            dead = arguments[number] == 0
            dead = dead if axes.index("b") < axes.index("t") else dead.T
            shape = [size if axes[d] in "bt" else 1 for d, size in enumerate(arguments[position].shape)]
            if axes.count("b") == axes.count("t") == 1:
                arguments[position][np.broadcast_to(dead.reshape(shape), arguments[position].shape)] = np.nan
            return
