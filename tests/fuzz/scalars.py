"""Random work on scalars: what element-wise bodies compute."""

import random

from tests.fuzz.program_text import Body, is_float

UNARY = "neg abs exp tanh erf scale shift square relu relu_max relu_swapped clamp sigmoid rsqrt sqrt sin gelu leaky twice".split()
KEEPS_ZERO = "neg abs tanh erf scale square relu relu_max sqrt sin gelu leaky".split()


def unary(lines: Body, name: str, x: str, element: str) -> str:
    """The function `name` of `x`; all of them are tame: no overflow, no division by zero, for tame values."""
    if not is_float(element):
        return integer_unary(lines, name, x, element)
    rng = lines.text.rng
    constant = lambda value: lines.constant(value, element)
    match name:
        case "neg":
            return lines.op(f"arith.negf {x}", element)
        case "abs" | "tanh" | "erf" | "sin":
            x = lines.op(f"math.absf {x}", element) if name == "abs" else x
            return x if name == "abs" else lines.op(f"math.{name} {x}", element)
        case "exp":
            x = lines.op(f"arith.negf {lines.op(f'math.absf {x}', element)}", element)
            return lines.op(f"math.exp {x}", element)
        case "scale":
            return lines.op(f"arith.mulf {x}, {constant(rng.choice([0.5, -1.5, 0.125, 2.0, 0.0]))}", element)
        case "shift":
            return lines.op(f"arith.addf {x}, {constant(rng.choice([0.5, -1.0, 0.0]))}", element)
        case "square":
            return lines.op(f"arith.mulf {x}, {x}", element)
        case "sqrt" | "rsqrt":
            x = lines.op(f"math.absf {x}", element)
            x = lines.op(f"arith.addf {x}, {constant(0.5)}", element) if name == "rsqrt" else x
            return lines.op(f"math.{name} {x}", element)
        case "sigmoid":
            e = unary(lines, "exp", x, element)
            return lines.op(
                f"arith.divf {e}, {lines.op(f'arith.addf {e}, {constant(1.0)}', element)}", element
            )
        case "gelu":
            e = lines.op(f"math.erf {x}", element)
            half = lines.op(f"arith.mulf {x}, {constant(0.5)}", element)
            return lines.op(
                f"arith.mulf {half}, {lines.op(f'arith.addf {e}, {constant(1.0)}', element)}", element
            )
        case "clamp":
            x = lines.op(f"arith.maximumf {x}, {constant(rng.choice([0.0, -1.0]))}", element)
            return lines.op(f"arith.minimumf {x}, {constant(6.0)}", element)
        case "twice":
            return lines.op(f"arith.addf {x}, {x}", element)
        case _:
            return rectify(lines, name, x, element)


def rectify(lines: Body, name: str, x: str, element: str) -> str:
    """The ways in which importers write max(x, 0), and a leaky one."""
    zero = lines.constant(0.0, element)
    if name == "relu_max":
        return lines.op(f"arith.maximumf {x}, {zero}", element)
    predicate = lines.text.rng.choice(("ugt", "ogt", "uge"))
    if name == "relu_swapped":
        below = lines.op(f"arith.cmpf olt, {x}, {zero}", element)
        return lines.op(f"arith.select {below}, {zero}, {x}", element)
    other = lines.op(f"arith.mulf {x}, {lines.constant(0.01, element)}", element) if name == "leaky" else zero
    above = lines.op(f"arith.cmpf {predicate}, {x}, {zero}", element)
    return lines.op(f"arith.select {above}, {x}, {other}", element)


def integer_unary(lines: Body, name: str, x: str, element: str) -> str:
    """What an integer has for `name`."""
    if element == "i1":
        return lines.op(f"arith.xori {x}, {lines.constant(1, 'i1')}", "i1") if name == "neg" else x
    if name in ("relu", "relu_max", "clamp"):
        return lines.op(f"arith.maxsi {x}, {lines.constant(0, element)}", element)
    if name == "square":
        return lines.op(f"arith.muli {x}, {x}", element)
    if name == "neg":
        return lines.op(f"arith.subi {lines.constant(0, element)}, {x}", element)
    operation = lines.text.rng.choice("addi subi muli andi ori xori minsi".split())
    return lines.op(
        f"arith.{operation} {x}, {lines.constant(lines.text.rng.choice([0, 1, 3, -1]), element)}", element
    )


def binary(lines: Body, rng: random.Random, a: str, b: str, element: str) -> str:
    """`a` and `b` combined."""
    if element == "i1":
        return lines.op(f"arith.{rng.choice(['andi', 'ori', 'xori'])} {a}, {b}", "i1")
    if not is_float(element):
        return lines.op(f"arith.{rng.choice('addi subi muli maxsi minsi andi'.split())} {a}, {b}", element)
    name = rng.choice("addf addf subf mulf mulf maximumf minimumf divf".split())
    if name == "divf":
        b = lines.op(f"math.absf {b}", element)
        b = lines.op(f"arith.addf {b}, {lines.constant(1.0, element)}", element)
    return lines.op(f"arith.{name} {a}, {b}", element)
