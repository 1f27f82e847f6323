"""Steps that importers seldom take: windows, diagonals, accumulators that are read, named operations, odd operands."""

from tests.fuzz.builder import Builder, cast_scalar
from tests.fuzz.program_text import Body, Value, is_float
from tests.fuzz.scalars import UNARY, binary, unary

READABLE = ("f32", "f64")
"""Types whose constants the bindings can read."""


def read_accumulator(b: Builder) -> list[Value]:
    """An element-wise operation that reads what its output held, or writes over it."""
    x = b.floats(b.rng.choice((1, 2, 3)))
    out = b.pick(lambda v: v.axes == x.axes and v.element == x.element, lambda: b.new(x.axes, x.element))
    every = b.iterators_of(x.axes)
    names = b.rng.choices(UNARY, k=2)

    def body(lines: Body, s: str, old: str) -> list[str]:
        for name in names:
            s = unary(lines, name, s, x.element)
        return [binary(lines, b.rng, s, old, x.element) if b.rng.random() < 0.7 else s]

    return b.text.generic([(x, every)], [(out, every)], body)


def two_results(b: Builder) -> list[Value]:
    """One operation with two results of different orders."""
    x = b.floats(b.rng.choice((2, 3)))
    mask = b.mask_for(x.axes)
    every = b.iterators_of(x.axes)
    other = b.iterators_of(x.axes)[::-1]
    outs = [(b.text.empty(x.axes, x.element), every), (b.text.empty(x.axes[::-1], x.element), other)]

    def body(lines: Body, s: str, m: str, *_outs: str) -> list[str]:
        kept = lines.op(f"arith.select {m}, {s}, {lines.constant(0.0, x.element)}", x.element)
        return [kept, unary(lines, b.rng.choice(UNARY), s, x.element)]

    return b.text.generic([(x, every), (mask, b.place(mask, every))], outs, body)


def window(b: Builder) -> list[Value]:
    """A sum over a window of a dimension: y[t] = sum over k of x[t + k] w[k]."""
    x = b.floats(b.rng.choice((2, 3)))
    static = [
        d
        for d, a in enumerate(x.axes)
        if x.axes.count(a) == 1 and not b.text.axes[a].dynamic and b.text.axes[a].size >= 3
    ]
    if not static or x.element not in READABLE:
        return []
    dim = b.rng.choice(static)
    count = b.text.axes[x.axes[dim]].size
    stride = b.rng.choice((1, 1, 2))
    size = (count - 3) // stride + 1
    every = [f"d{d}" for d in range(len(x.axes))]
    rank = len(every) + 1
    names = ", ".join(f"d{d}" for d in range(rank))
    read = [f"d{dim} * {stride} + d{rank - 1}" if d == dim else one for d, one in enumerate(every)]
    types = ["?" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in x.axes]
    types[dim] = str(size)
    sizes = ", ".join(f"%n_{a}" for a in x.axes if b.text.axes[a].dynamic)
    result = f"tensor<{'x'.join([*types, x.element])}>"
    kernel, out, filled, made = (b.text.fresh("v") for _ in range(4))
    kinds = ", ".join(['"parallel"'] * len(every) + ['"reduction"'])
    zero = b.text.scalar(0, x.element)
    element = x.element
    b.text.lines += [
        f"{kernel} = arith.constant dense<[0.5, 0.0, -1.0]> : tensor<3x{element}>",
        f"{out} = tensor.empty({sizes}) : {result}",
        f"{filled} = linalg.fill ins({zero} : {element}) outs({out} : {result}) -> {result}",
        f"{made} = linalg.generic {{indexing_maps = [affine_map<({names}) -> ({', '.join(read)})>, "
        f"affine_map<({names}) -> (d{rank - 1})>, affine_map<({names}) -> ({', '.join(every)})>], iterator_types = [{kinds}]}}",
        f"    ins({x.name}, {kernel} : {b.text.type(x)}, tensor<3x{element}>) outs({filled} : {result}) {{",
        f"^bb0(%p: {element}, %q: {element}, %acc: {element}):",
        f"  %m = arith.mulf %p, %q : {element}",
        f"  %s = arith.addf %acc, %m : {element}",
        f"  linalg.yield %s : {element}",
        f"}} -> {result}",
    ]
    low, high = ["0"] * len(every), ["0"] * len(every)
    high[dim] = str(count - size)
    padded = b.text.add(
        f"tensor.pad {made} low[{', '.join(low)}] high[{', '.join(high)}] {{\n"
        f"  ^bb0({', '.join(f'%at{d}: index' for d in range(len(every)))}):\n    tensor.yield {zero} : {element}\n"
        f"  }} : {result} to {b.text.type(x)}",
        x.axes,
        element,
    )
    return [padded]


def named(b: Builder) -> list[Value]:
    """An operation of linalg by its name."""
    x = b.floats(2)
    element, (m, k) = x.element, x.axes
    kind = b.rng.choice(("matmul", "transpose", "broadcast", "elementwise", "reduce"))
    if kind == "matmul" and m != k:
        n = next(a for a in "ehdbt" if a not in x.axes)
        w, out = b.new(k + n, element), b.text.filled(m + n, element, 0)
        operands = f"ins({x.name}, {w.name} : {b.text.type(x)}, {b.text.type(w)}) outs({out.name} : {b.text.type(out)})"
        return [b.text.add(f"linalg.matmul {operands} -> {b.text.type(out)}", m + n, element)]
    if kind == "broadcast":
        n = next(a for a in "hbe" if a not in x.axes)
        out = b.text.empty(x.axes + n, element)
        operands = f"ins({x.name} : {b.text.type(x)}) outs({out.name} : {b.text.type(out)})"
        return [b.text.add(f"linalg.broadcast {operands} dimensions = [2]", x.axes + n, element)]
    if kind == "reduce":
        out = b.text.filled(m, element, 0)
        operands = f"ins({x.name} : {b.text.type(x)}) outs({out.name} : {b.text.type(out)})"
        return [b.text.add(f"linalg.reduce {{ arith.addf }} {operands} dimensions = [1]", m, element)]
    if kind == "elementwise":
        name = b.rng.choice(("arith.negf", "math.tanh", "math.absf"))
        return [b.text.add(f"{name} {x.name} : {b.text.type(x)}", x.axes, element)]
    out = b.text.empty(k + m, element)
    operands = f"ins({x.name} : {b.text.type(x)}) outs({out.name} : {b.text.type(out)})"
    return [b.text.add(f"linalg.transpose {operands} permutation = [1, 0]", k + m, element)]


def scalar_operand(b: Builder) -> list[Value]:
    """An operation that takes a number, read from a tensor, as an operand or captured."""
    x = b.floats(b.rng.choice((1, 2, 3)))
    given = b.new("", x.element)
    number = b.text.fresh("s")
    b.text.lines.append(f"{number} = tensor.extract {given.name}[] : tensor<{x.element}>")
    captured = lambda lines, s, _o: [lines.op(f"arith.mulf {s}, {number}", x.element)]
    if b.rng.random() < 0.5:
        return [b.elementwise([x], x.axes, x.element, captured)]
    out = b.text.empty(x.axes, x.element)
    type_ = b.text.type(x)
    dims = ", ".join(f"d{d}" for d in range(len(x.axes)))
    kinds = ", ".join(['"parallel"'] * len(x.axes))
    return [
        b.text.add(
            f"linalg.generic {{indexing_maps = [affine_map<({dims}) -> ({dims})>, affine_map<({dims}) -> ()>, "
            f"affine_map<({dims}) -> ({dims})>], iterator_types = [{kinds}]}} "
            f"ins({x.name}, {number} : {type_}, {x.element}) outs({out.name} : {type_}) {{\n"
            f"  ^bb0(%p: {x.element}, %q: {x.element}, %o: {x.element}):\n    %r = arith.mulf %p, %q : {x.element}\n"
            f"    linalg.yield %r : {x.element}\n  }} -> {type_}",
            x.axes,
            x.element,
        )
    ]


def constant_mask(b: Builder) -> list[Value]:
    """A value times a constant tensor that is all zero, all one, or of a few numbers."""
    x = b.floats(b.rng.choice((1, 2)))
    last = x.axes[-1]
    if b.text.axes[last].dynamic or b.text.axes[last].size == 0 or x.element not in READABLE:
        return []
    size = b.text.axes[last].size
    numbers = [b.rng.choice((0.0, 0.0, 1.0, -2.0)) for _ in range(size)]
    dense = b.rng.choice(("0.0", "1.0", str(numbers)))
    table = b.text.add(f"arith.constant dense<{dense}> : tensor<{size}x{x.element}>", last, x.element)
    product = lambda lines, p, q, _o: [lines.op(f"arith.mulf {p}, {q}", x.element)]
    return [b.elementwise([x, table], b.order(x.axes), x.element, product)]


def insert(b: Builder) -> list[Value]:
    """A value written into the front of another one, of which the rest stays."""
    x = b.floats(b.rng.choice((2, 3)))
    dim = b.rng.randrange(len(x.axes))
    axis = b.text.axes[x.axes[dim]]
    if axis.dynamic or axis.size < 2 or not b.text.sliceable(x):
        return []
    into = b.pick(lambda v: v.axes == x.axes and v.element == x.element, lambda: b.new(x.axes, x.element))
    sizes = [f"%n_{a}" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in x.axes]
    shown = ["?" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in x.axes]
    sizes[dim] = shown[dim] = str(b.rng.randint(1, axis.size - 1))
    part = f"tensor<{'x'.join([*shown, x.element])}>"
    zeros, ones = ", ".join(["0"] * len(sizes)), ", ".join(["1"] * len(sizes))
    name, place = b.text.fresh("v"), f"[{zeros}] [{', '.join(sizes)}] [{ones}]"
    b.text.lines.append(f"{name} = tensor.extract_slice {x.name}{place} : {b.text.type(x)} to {part}")
    return [
        b.text.add(
            f"tensor.insert_slice {name} into {into.name}{place} : {part} into {b.text.type(x)}",
            x.axes,
            x.element,
        )
    ]


def forget_sizes(b: Builder) -> list[Value]:
    """A cast to dynamic sizes and back, with work between."""
    x = b.floats(b.rng.choice((1, 2)))
    type_, loose = b.text.type(x), f"tensor<{'?x' * len(x.axes)}{x.element}>"
    one, other = b.text.fresh("v"), b.text.fresh("v")
    b.text.lines += [
        f"{one} = tensor.cast {x.name} : {type_} to {loose}",
        f"{other} = math.tanh {one} : {loose}",
    ]
    return [b.text.add(f"tensor.cast {other} : {loose} to {type_}", x.axes, x.element)]


def restricted(b: Builder) -> list[Value]:
    """A `pit.generic` by hand: a sum of products over what a random index lists of its iterators."""
    letters = b.rng.choice(("td", "tde", "btd", "the"))
    if not b.fits(letters):
        return []
    element = b.element
    x = b.new("".join(b.rng.sample(letters, b.rng.randint(1, len(letters)))), element)
    y = b.new("".join(b.rng.sample(letters, b.rng.randint(1, len(letters)))), element)
    carried = [letter for letter in letters if letter in x.axes + y.axes]
    kept = "".join(b.rng.sample(carried, b.rng.randint(0, len(carried))))
    group = "".join(b.rng.sample(carried, b.rng.choice((1, 1, 2)) if len(carried) > 1 else 1))
    mask = b.new(group, "i1")
    init = b.new(kept, element) if b.rng.random() < 0.5 else b.text.filled(kept, element, 0)
    used = [letter for letter in letters if letter in set(carried)]
    numbers = {letter: number for number, letter in enumerate(used)}
    dims = ", ".join(f"d{number}" for number in range(len(used)))
    map_ = lambda axes: f"affine_map<({dims}) -> ({', '.join(f'd{numbers[a]}' for a in axes)})>"
    array = lambda values: f"array<i64: {', '.join(map(str, values))}>" if values else "array<i64>"
    index, made = b.text.fresh("i"), Value(b.text.fresh("v"), kept, element)
    kinds = ", ".join(f"#linalg.iterator_type<{'parallel' if a in kept else 'reduction'}>" for a in used)
    # Larger blocks list more than the mask has: only values that are zero there allow it.
    blocks = [1 for _ in group[1:]]
    b.text.lines += [
        f'{index} = "pit.detect"({mask.name}) {{segments = {array(list(range(len(group) - 1)))}, axis = {array([len(group) - 1])}, '
        f"block = {array(blocks)}, micro_tile = 0 : i64}} : ({b.text.type(mask)}) -> !pit.index",
        f'{made.name} = "pit.generic"({init.name}, {index}) ({{',
        f"^bb0(%acc: {element}):",
        f'  %p = "pit.element"({x.name}) {{map = {map_(x.axes)}, compact = false}} : ({b.text.type(x)}) -> {element}',
        f'  %q = "pit.element"({y.name}) {{map = {map_(y.axes)}, compact = false}} : ({b.text.type(y)}) -> {element}',
        f"  %m = arith.mulf %p, %q : {element}",
        f"  %s = arith.addf %acc, %m : {element}",
        f'  "pit.yield"(%s) : ({element}) -> ()',
        f"}}) {{indexing_maps = [{map_(kept)}], iterator_types = [{kinds}], group = {array([numbers[a] for a in group])}, "
        f"compact = false}} : ({b.text.type(init)}, !pit.index) -> {b.text.type(init)}",
    ]
    return [made]


def narrow_sum(b: Builder) -> list[Value]:
    """A sum in a wider type than that of the values, or in a narrower one."""
    x = b.floats(b.rng.choice((2, 3)))
    total = b.rng.choice(("f32", "f64", "bf16"))
    every = b.iterators_of(x.axes)
    kept = every[:-1]
    init = b.text.filled(kept.lower(), total, 0)
    body = lambda lines, s, acc: [
        lines.op(f"arith.addf {acc}, {cast_scalar(lines, s, x.element, total)}", total)
    ]
    assert is_float(total)
    return b.reduction([(x, every)], kept, [init], body)
