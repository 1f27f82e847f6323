"""Mutations of MLIR text and of pipelines: each takes a text and gives another one, seldom a valid one."""

import random
import re
from collections.abc import Callable

from pit_mlir.passes.pipelines import CPU_PIPELINE, rewrite_pipeline
from pit_mlir.passes.registry import PASSES
from tests.fuzz.corpus import Sample, samples

Mutation = Callable[[random.Random, str], str]

TOKEN = re.compile(r"%[\w#:]+|#\w+|@\w+|\"[^\"]*\"|[\w.]+|!\w[\w.]*|[^\s\w]")
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "8",
    "64",
    "1000000007",
    "9223372036854775807",
    "-9223372036854775808",
    "?",
)
TYPES = (
    "f32",
    "f64",
    "bf16",
    "f16",
    "i1",
    "i8",
    "i32",
    "i64",
    "index",
    "!pit.index",
    "tensor<f32>",
    "complex<f32>",
    "f8E4M3FN",
    "vector<4xf32>",
    "i4",
    "none",
)
UPSTREAM = (
    "cse canonicalize linalg-generalize-named-ops linalg-fuse-elementwise-ops linalg-fold-unit-extent-dims symbol-dce "
    "loop-invariant-code-motion sccp inline remove-dead-values arith-expand func.func(cse) func.func(canonicalize) "
    "strip-debuginfo convert-elementwise-to-linalg eliminate-empty-tensors one-shot-bufferize lower-affine"
).split()
OPTIONS = (
    "argument=0", "argument=1", "argument=-1", "argument=99", "argument=x", "floats=strict", "floats=real", "floats=", "only=rows",
    "only=lists", "only=", "timeout-ms=1", "masks=true", "entry=main", "entry=nobody", "nonsense=1", "max-iterations=1", "{}", "'", "a=b c",
)  # fmt: skip


def at_token(change: Callable[[random.Random, str], str]) -> Mutation:
    """A mutation of one token."""

    def mutate(rng: random.Random, text: str) -> str:
        tokens = list(TOKEN.finditer(text))
        if not tokens:
            return text
        token = rng.choice(tokens)
        return text[: token.start()] + change(rng, token[0]) + text[token.end() :]

    return mutate


def other_of_its_kind(rng: random.Random, text: str) -> str:
    """A token replaced by another one of the text that begins alike."""
    tokens = list(TOKEN.finditer(text))
    if not tokens:
        return text
    token = rng.choice(tokens)
    alike = [t[0] for t in tokens if t[0][0] == token[0][0] or (t[0].isalnum() and token[0].isalnum())]
    return text[: token.start()] + rng.choice(alike) + text[token.end() :]


def swap_tokens(rng: random.Random, text: str) -> str:
    """Two tokens change places."""
    tokens = list(TOKEN.finditer(text))
    if len(tokens) < 2:
        return text
    one, other = sorted(rng.sample(tokens, 2), key=lambda token: token.start())
    middle = text[one.end() : other.start()]
    return text[: one.start()] + other[0] + middle + one[0] + text[other.end() :]


def matching(pattern: str, values: tuple[str, ...]) -> Mutation:
    """What matches `pattern`, once, replaced by one of `values`."""

    def mutate(rng: random.Random, text: str) -> str:
        found = list(re.finditer(pattern, text))
        if not found:
            return text
        one = rng.choice(found)
        return text[: one.start()] + rng.choice(values) + text[one.end() :]

    return mutate


def everywhere(pattern: str, values: tuple[str, ...]) -> Mutation:
    """One thing that matches `pattern`, replaced wherever it stands: types stay consistent."""

    def mutate(rng: random.Random, text: str) -> str:
        found = sorted(set(re.findall(pattern, text)))
        if not found:
            return text
        return re.sub(rf"(?<![\w%#]){re.escape(rng.choice(found))}(?!\w)", rng.choice(values), text)

    return mutate


def at_lines(change: Callable[[random.Random, list[str]], None]) -> Mutation:
    """A mutation of lines."""

    def mutate(rng: random.Random, text: str) -> str:
        lines = text.splitlines()
        if lines:
            change(rng, lines)
        return "\n".join(lines)

    return mutate


def drop_line(rng: random.Random, lines: list[str]) -> None:
    del lines[rng.randrange(len(lines))]


def repeat_line(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))


def move_line(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))


def splice(rng: random.Random, text: str) -> str:
    """The beginning of the text and the end of another one."""
    other = rng.choice(samples()).text.splitlines()
    lines = text.splitlines()
    return "\n".join(lines[: rng.randint(0, len(lines))] + other[rng.randint(0, len(other)) :])


def append(rng: random.Random, text: str) -> str:
    """Another module behind this one."""
    return f"{text}\n{rng.choice(samples()).text}"


def bytes_changed(rng: random.Random, text: str) -> str:
    """A few letters changed, of which some are not printable."""
    letters = list(text)
    for _ in range(rng.randint(1, 4)):
        if letters:
            letters[rng.randrange(len(letters))] = chr(
                rng.choice((0, 9, 10, 34, 123, 125, 40, 127, 228, 8364))
            )
    return "".join(letters)


def map_results(rng: random.Random, text: str) -> str:
    """The results of one affine map, shuffled, repeated, dropped or made of more than an iterator."""
    found = list(re.finditer(r"affine_map<\(([^)]*)\)\s*->\s*\(([^)]*)\)>", text))
    if not found:
        return text
    one = rng.choice(found)
    iterators = [name.strip() for name in one[1].split(",") if name.strip()] or ["0"]
    results = [result.strip() for result in one[2].split(",") if result.strip()]
    pick = lambda: rng.choice(iterators)
    new = rng.choice(
        (pick(), f"{pick()} + {pick()}", f"{pick()} * 2", "0", f"{pick()} floordiv 2", f"{pick()} mod 3")
    )
    if results and rng.random() < 0.7:
        results[rng.randrange(len(results))] = new
    elif results and rng.random() < 0.5:
        rng.shuffle(results)
    else:
        results.append(new)
    return text[: one.start(2)] + ", ".join(results) + text[one.end(2) :]


GENTLE: tuple[Mutation, ...] = (
    everywhere(r"(?<=[<x])[?\d]+(?=x)", ("?", "0", "1", "2", "8")),
    everywhere(r"\b(?:f32|f64|bf16|f16)\b", ("f32", "f64", "bf16", "f16")),
    everywhere(r"\b(?:i1|i8|i32|i64)\b", ("i1", "i8", "i32", "i64")),
    matching(r'"(?:parallel|reduction)"', ('"parallel"', '"reduction"')),
    matching(r"\d\.\d+(?:e[+-]\d+)?", ("-0.0", "0.0", "1.0", "-3.0e38")),
    matching(
        r"\barith\.(?:addf|subf|mulf|divf|maximumf|minimumf|maxnumf)\b",
        (
            "arith.addf",
            "arith.mulf",
            "arith.maximumf",
            "arith.minimumf",
            "arith.subf",
            "arith.divf",
            "arith.maxnumf",
        ),
    ),
    matching(
        r"\barith\.(?:addi|subi|muli|andi|ori|xori)\b",
        ("arith.addi", "arith.muli", "arith.subi", "arith.xori", "arith.divsi", "arith.shli"),
    ),
    matching(r"\bmath\.\w+", ("math.exp", "math.tanh", "math.rsqrt", "math.absf", "math.log")),
    matching(r"\bcmpf \w+", ("cmpf ogt", "cmpf ugt", "cmpf une", "cmpf oeq", "cmpf true", "cmpf uno")),
    matching(r"\bcmpi \w+", ("cmpi eq", "cmpi ne", "cmpi slt", "cmpi uge")),
    matching(r"(?<== )true|false|-?\d+(?= : i)", ("0", "1", "-1", "7")),
    matching(r"(?<=array<i64: )[\d, ]+", ("0", "1", "0, 1", "1, 0", "2")),
    other_of_its_kind,
    at_lines(drop_line),
    at_lines(repeat_line),
    append,
    map_results,
    map_results,
)
"""These often leave valid IR."""
ROUGH: tuple[Mutation, ...] = (
    at_token(lambda rng, token: ""),
    at_token(lambda rng, token: f"{token} {token}"),
    swap_tokens,
    matching(r"(?<![\w%#])-?\d+(?![\w.])", NUMBERS),
    matching(r"(?<=[<x])[?\d]+(?=x)", ("?", "0", "1", "2", "8", "33", "99999999999")),
    matching(r"\b(?:f32|f64|bf16|f16|i1|i8|i32|i64|index)\b", TYPES),
    matching(r"\d\.\d+(?:e[+-]\d+)?", ("0x7F800000", "0xFF800000", "0x7FC00000", "1.0e300")),
    at_lines(move_line),
    splice,
    bytes_changed,
)
"""These seldom do."""


def mutate(rng: random.Random, text: str) -> str:
    """`text` with one mutation."""
    return rng.choice(GENTLE if rng.random() < 0.7 else ROUGH)(rng, text)


def command(rng: random.Random, sample: Sample) -> list[str]:
    """The words of a command line for `sample`: its own, or random passes as flags or as a pipeline."""
    if sample.commands and rng.random() < 0.4:
        return list(rng.choice(sample.commands))
    if rng.random() < 0.4:
        return [f"--pass-pipeline={whole_pipeline(rng)}"]
    passes = [random_pass(rng) for _ in range(rng.randint(0, 5))]
    rest = [
        word
        for word in ("--mlir-print-op-generic", "--mlir-print-debuginfo", "--allow-unregistered-dialect")
        if rng.random() < 0.1
    ]
    if rng.random() < 0.3:
        return [*rest, *(f"--{one}" for one in passes if "(" not in one and "{" not in one)]
    text = ", ".join(passes)
    text = rng.choice(
        (text, text, f"builtin.module({text})", f"builtin.module(func.func({text}))", f"any({text})")
    )
    if rng.random() < 0.08:
        text = rng.choice((bytes_changed, swap_tokens, ROUGH[0], ROUGH[1]))(rng, text)
    return [*rest, f"--pass-pipeline={text}"]


def whole_pipeline(rng: random.Random) -> str:
    """What the compiler runs, up to some phase; a pass left out or repeated now and then."""
    padding = (0,) if rng.random() < 0.2 else ()
    phases = [
        *rewrite_pipeline(padding, floats=rng.choice(("real", "strict")), freeze=rng.random() < 0.3),
        *CPU_PIPELINE,
    ]
    phases = phases[: rng.randint(3, len(phases))]
    if rng.random() < 0.3:
        phases.insert(rng.randrange(len(phases)), random_pass(rng))
    if rng.random() < 0.2:
        del phases[rng.randrange(len(phases))]
    return ", ".join(phases)


def random_pass(rng: random.Random) -> str:
    """A pass of ours or of upstream, with options now and then."""
    name = rng.choice(sorted(PASSES)) if rng.random() < 0.7 else rng.choice(UPSTREAM)
    if name == "pit-declare-padding" and rng.random() < 0.8:
        return f"{name}{{argument={rng.randrange(3)}}}"
    return f"{name}{{{rng.choice(OPTIONS)}}}" if rng.random() < 0.04 and "(" not in name else name
