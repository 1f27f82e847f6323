"""The report of `pit-mlir prove`: for a reader, and as JSON for programs."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from pit_mlir.analysis.counterexample import Counterexample, Swap
from pit_mlir.analysis.equations import Equation
from pit_mlir.analysis.evaluate import Scalar, float_of
from pit_mlir.analysis.facts import Accumulator, Delta, Expression, Index, Operand, Outcome, Proof
from pit_mlir.analysis.special_values import special_text
from pit_mlir.passes.pit_prove_permutation import assumptions
from pit_mlir.tools.prove import Question, Statement

COLORS = {"parallel": "green", "reduction": "cyan", "none": "red"}


def report(statements: Sequence[Statement]) -> Iterator[Text]:
    """The lines for a reader: each operation, then how many axes there are."""
    for statement in statements:
        yield from _operation(statement)
        yield Text()
    verdicts = Counter(axis.verdict for statement in statements for axis in statement.axes)
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in COLORS)
    proved = sum(statement.proof is not None for statement in statements)
    yield Text(
        f"{_counted(proved, 'operation')}, {_counted(sum(verdicts.values()), 'iterator')}: {counts}", "bold"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _operation(statement: Statement) -> Iterator[Text]:
    inside = f" in @{statement.function}" if statement.function else ""
    yield Text.assemble((f"{statement.location}: ", "bold"), statement.operation, (inside, "dim"))
    equation, proof = statement.equation, statement.proof
    if equation is None or proof is None:
        yield Text(f"  {statement.remark}")
        return
    for line in equation.lines:
        yield Text(f"  {line}", "" if line.startswith("let ") else "bold")
    if equation.starts:
        yield Text(f"  where {', '.join(equation.starts)}", "dim")
    extents = ["?" if extent is None else str(extent) for extent in statement.extents]
    wide = max(map(len, equation.iterators), default=0), max(map(len, extents), default=0)
    for letter, extent, axis in zip(equation.iterators, extents, proof.axes, strict=True):
        yield Text.assemble(
            f"    {letter:<{wide[0]}}  {extent:>{wide[1]}}  ",
            (f"{axis.verdict:<11}", COLORS[axis.verdict]),
            (equation.named(axis.reason), "" if axis.verdict == "none" else "dim"),
        )
        indent = " " * (4 + sum(wide) + 4 + 11)
        if axis.counterexample is not None:
            yield Text(f"{indent}{axis.counterexample.text(equation)}", "yellow")
        if axis.assumptions:
            yield Text(f"{indent}if {' and '.join(sorted(axis.assumptions))}", "dim")
    width = max(map(len, equation.inputs), default=0)
    # A constant is nothing to skip.
    named = {number: name for number, name in enumerate(equation.inputs) if not is_number(name)}
    width = max(map(len, named.values()), default=0)
    for number, name in named.items():
        facts = operand_facts(proof, equation, number)
        if facts:
            yield Text(f"    {name:<{width}}  {'; '.join(facts)}")
    for fact in iterator_facts(proof, equation):
        yield Text(f"    {fact}")
    assumed = assumptions(proof)
    if assumed:
        yield Text(f"    assuming that {', and that '.join(assumed)}", "dim")


def is_number(name: str) -> bool:
    """Whether an operand is written as the constant it is."""
    return name[0] in "-0123456789" or name in ("inf", "nan", "true", "false")


def operand_facts(proof: Proof, equation: Equation, number: int) -> list[str]:
    """What is proved about one input: at which values it changes nothing, what results are there, what is unread."""
    type_ = proof.types[number]
    facts = ["0 annihilates"] if proof.annihilates[number] else []
    neutral = sorted(special_text(value, type_) for value in proof.neutral[number] if value != 0)
    if neutral:
        facts.append(f"neutral at {', '.join(neutral)}")
    background = proof.background[number]
    # Under a reduction it is the init wherever a value is neutral, which is said.
    if background is not None and not proof.neutral[number]:
        pairs = zip(equation.results, background.results, strict=True)
        at = [f"{result} is {text}" for result, outcome in pairs if (text := outcome_name(outcome, equation))]
        facts += [f"at {special_text(background.value, type_)}, {', '.join(at)}"] if at else []
    where: dict[str, list[str]] = {}
    for value, unread in proof.masks[number].items():
        names = [equation.inputs[operand] for operand in sorted(unread)]
        # A tensor that is read twice is not its own mask.
        names = [name for name in names if name != equation.inputs[number]]
        if names:
            said = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not read"
            where.setdefault(said, []).append(special_text(value, type_))
    return facts + [f"at {' or '.join(values)}, {said}" for said, values in where.items()]


def iterator_facts(proof: Proof, equation: Equation) -> Iterator[str]:
    """What is proved about iterators beside their verdicts: fills, and positions that are alone."""
    for letter, fill in zip(equation.iterators, proof.fill, strict=True):
        if fill is not None:
            triples = zip(equation.inputs, fill, proof.types, strict=True)
            values = [f"{name} = {special_text(v, type_)}" for name, v, type_ in triples if v is not None]
            yield f"fill along {letter}: {', '.join(values)}"
    for letter, delta in zip(equation.iterators, proof.deltas, strict=True):
        if delta is not None:
            yield f"along {letter} at most one place is live {delta_text(delta, equation)}".rstrip()


def delta_text(delta: Delta, equation: Equation) -> str:
    """Where a delta is, in the names of the equation; an operand tells places apart if its entries differ."""

    def name(value: Operand | Index | int) -> str:
        if isinstance(value, Operand):
            return equation.inputs[value.number]
        return equation.iterators[value.iterator] if isinstance(value, Index) else str(value)

    where = [] if delta.value is None else [f"where {name(delta.position)} is {name(delta.value)}"]
    if isinstance(delta.position, Operand):
        where.append(f"if no two entries of {name(delta.position)} are equal")
    return ", ".join(where)


def outcome_name(outcome: Outcome | Expression, equation: Equation) -> str:
    """What a result becomes, in the names of the equation; empty if it is open."""
    if isinstance(outcome, Operand):
        return equation.inputs[outcome.number]
    if isinstance(outcome, Accumulator):
        return "its init"
    if isinstance(outcome, Expression):
        of = [
            *(equation.inputs[n] for n in sorted(outcome.reads)),
            *(equation.iterators[d] for d in sorted(outcome.indices)),
        ]
        return f"an expression of {', '.join(of)}" if of else "one value"
    return "" if outcome is None else special_text(outcome, "")


def json_report(source: str, question: Question, statements: Sequence[Statement]) -> str:
    """The report as JSON: numbers instead of sentences where there are some."""
    whole = {
        "file": source,
        "floats": question.floats,
        "operations": [_json_operation(statement) for statement in statements],
    }
    return json.dumps(whole, indent=2)


def _json_operation(statement: Statement) -> dict[str, Any]:
    """One operation."""
    where = {
        "location": statement.location,
        "function": statement.function,
        "operation": statement.operation,
    }
    equation, proof = statement.equation, statement.proof
    if equation is None or proof is None:
        return {**where, "remark": statement.remark}
    iterators = [
        {
            "name": letter,
            "extent": extent,
            "verdict": axis.verdict,
            "reason": equation.named(axis.reason),
            "assumptions": sorted(axis.assumptions),
            "counterexample": _json_counterexample(axis.counterexample, equation),
            "fill": _json_fill(proof, equation, number),
            "delta": None if (delta := proof.deltas[number]) is None else delta_text(delta, equation),
        }
        for number, (letter, extent, axis) in enumerate(
            zip(equation.iterators, statement.extents, proof.axes, strict=True)
        )
    ]
    inputs = [
        {
            "name": name,
            "annihilates": proof.annihilates[number],
            "neutral": sorted(special_text(value, proof.types[number]) for value in proof.neutral[number]),
            "background": None if (background := proof.background[number]) is None else str(background),
            "masks": {
                special_text(value, proof.types[number]): [equation.inputs[n] for n in sorted(unread)]
                for value, unread in proof.masks[number].items()
            },
        }
        for number, name in enumerate(equation.inputs)
    ]
    return {
        **where,
        "equation": list(equation.lines),
        "results": list(equation.results),
        "iterators": iterators,
        "inputs": inputs,
        "assumptions": [str(assumption) for assumption in assumptions(proof)],
    }


def _json_fill(proof: Proof, equation: Equation, iterator: int) -> dict[str, str] | None:
    fill = proof.fill[iterator]
    if fill is None:
        return None
    triples = zip(equation.inputs, fill, proof.types, strict=True)
    return {name: special_text(value, type_) for name, value, type_ in triples if value is not None}


def _json_counterexample(shown: Counterexample | None, equation: Equation) -> dict[str, Any] | None:
    """Two orders and the numbers that differ; those that JSON has no word for are strings."""
    if shown is None:
        return None
    text = {"text": shown.text(equation)}
    if isinstance(shown, Swap):
        return {
            **text,
            "kind": "fold",
            "results": [equation.results[number] for number in shown.results],
            "accumulators": [_number(value) for value in shown.accumulators],
            "captures": _captures(shown, equation),
            "x": [_number(value) for value in shown.x],
            "y": [_number(value) for value in shown.y],
            "x then y": [_number(value) for value in shown.x_then_y],
            "y then x": [_number(value) for value in shown.y_then_x],
        }
    return {
        **text,
        "kind": "move",
        "iterator": equation.iterators[shown.iterator],
        "order": list(shown.order),
        "inputs": {equation.inputs[number]: _elements(tensor) for number, tensor in shown.inputs.items()},
        "captures": _captures(shown, equation),
        "init": None if shown.init is None else _elements(shown.init),
        "result": equation.results[shown.result],
        "before": _elements(shown.before),
        "due": _elements(shown.due),
        "after": _elements(shown.after),
    }


def _captures(shown: Counterexample, equation: Equation) -> dict[str, float | int | str]:
    return {equation.captures[number]: _number(value) for number, value in shown.captures.items()}


def _elements(tensor: Mapping[tuple[int, ...], Scalar]) -> list[dict[str, Any]]:
    return [{"at": list(at), "value": _number(value)} for at, value in sorted(tensor.items())]


def _number(value: Scalar) -> float | int | str:
    if isinstance(value, int):
        return int(value)
    number = float_of(value)
    return number if number - number == 0 else str(number)
