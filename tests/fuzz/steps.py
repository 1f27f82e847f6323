"""The steps of random programs: each adds operations and gives the values that later steps may read."""

from collections.abc import Callable

from tests.fuzz.builder import Builder, cast_scalar
from tests.fuzz.program_text import Body, Value, is_float
from tests.fuzz.scalars import KEEPS_ZERO, UNARY, binary, rectify, unary

Step = Callable[[Builder], list[Value]]


def apply_unary(b: Builder) -> list[Value]:
    """A function or two of each element, in another order of dimensions now and then."""
    x, names = b.floats(), b.rng.choices(UNARY, k=b.rng.randint(1, 3))

    def body(lines: Body, s: str, _out: str) -> list[str]:
        for name in names:
            s = unary(lines, name, s, x.element)
        return [s]

    return [b.elementwise([x], b.order(x.axes), x.element, body)]


def apply_integers(b: Builder) -> list[Value]:
    """Work on integers, which wrap around."""
    element = b.rng.choice(("i8", "i32", "i64", "i1"))
    new = lambda: b.new(b.some_axes(2), element, b.rng.choice(("normal", "half")))
    x = b.pick(lambda v: v.element == element, new)
    y = b.pick(lambda v: v.element == element and set(v.axes) <= set(x.axes), lambda: x)

    def body(lines: Body, p: str, q: str, _out: str) -> list[str]:
        p = unary(lines, b.rng.choice(UNARY), p, element)
        return [binary(lines, b.rng.choice((b.rng,)), p, q, element)]

    return [b.elementwise([x, y], x.axes, element, body)]


def apply_binary(b: Builder) -> list[Value]:
    """Two values combined; one may carry a part of the dimensions only."""
    x = b.floats()
    fits = lambda v: is_float(v.element) and set(v.axes) <= set(x.axes)
    some = "".join(b.rng.sample(sorted(set(x.axes)), b.rng.randint(0, len(set(x.axes)))))
    y = b.new(some, x.element) if b.rng.random() < 0.4 else b.pick(fits, lambda: b.new(some, x.element))
    names = b.rng.choices(KEEPS_ZERO, k=b.rng.randint(0, 1))

    def body(lines: Body, p: str, q: str, _out: str) -> list[str]:
        q = cast_scalar(lines, q, y.element, x.element)
        for name in names:
            p = unary(lines, name, p, x.element)
        return [binary(lines, b.rng, *b.rng.choice(((p, q), (q, p))), x.element)]

    return [b.elementwise([x, y], b.order(x.axes), x.element, body)]


def apply_relu(b: Builder) -> list[Value]:
    """A ReLU, in one of the forms of importers."""
    x, name = b.floats(), b.rng.choice(("relu", "relu", "relu_max", "relu_swapped"))
    return [b.elementwise([x], x.axes, x.element, lambda lines, s, _o: [rectify(lines, name, s, x.element)])]


def apply_mask(b: Builder) -> list[Value]:
    """A value where a mask says so, zero elsewhere: a select or a product, of whatever the body computes."""
    x = b.floats(b.rng.choice((1, 2, 3, 3)))
    mask = b.mask_for(x.axes)
    form = b.rng.choice(("select", "select", "inverse", "product", "product", "compare"))
    names = b.rng.choices(UNARY, k=b.rng.choice((0, 0, 1)))

    def body(lines: Body, s: str, m: str, _out: str) -> list[str]:
        for name in names:
            s = unary(lines, name, s, x.element)
        zero = lines.constant(0.0, x.element)
        if form == "product":
            m = cast_scalar(lines, m, "i1", x.element)
            return [lines.op(f"arith.mulf {s}, {m}", x.element)]
        if form == "compare":
            m = cast_scalar(lines, m, "i1", x.element)
            m = lines.op(f"arith.cmpf oeq, {m}, {zero}", x.element)
        if form == "inverse":
            m = lines.op(f"arith.xori {m}, {lines.constant(1, 'i1')}", "i1")
        first, second = (s, zero) if form == "select" else (zero, s)
        return [lines.op(f"arith.select {m}, {first}, {second}", x.element)]

    return [b.elementwise([x, mask], b.order(x.axes), x.element, body)]


def combine_masks(b: Builder) -> list[Value]:
    """A mask made of two."""
    axes = b.some_axes(2)
    masks = [b.mask_for(axes), b.mask_for(axes)]
    shared = "".join(dict.fromkeys(masks[0].axes + masks[1].axes))
    operation = b.rng.choice(("andi", "andi", "ori"))
    return [
        b.elementwise(
            masks, shared, "i1", lambda lines, p, q, _o: [lines.op(f"arith.{operation} {p}, {q}", "i1")]
        )
    ]


def causal_mask(b: Builder) -> list[Value]:
    """A compare of positions with each other or with a number."""
    one, other = b.rng.choice((("t", "T"), ("t", "e"), ("t", "t")))
    predicate = b.rng.choice(("sle", "slt", "sge"))

    def body(lines: Body, _out: str) -> list[str]:
        right = lines.constant(3, "i64") if one == other else lines.place(other)
        return [lines.op(f"arith.cmpi {predicate}, {lines.place(one)}, {right}", "i64")]

    return [b.elementwise([], "".join(dict.fromkeys((one, other))), "i1", body)]


def position(b: Builder) -> list[Value]:
    """The place of an element, as part of its value."""
    x = b.floats(b.rng.choice((1, 2, 3)))

    def body(lines: Body, s: str, _out: str) -> list[str]:
        place = cast_scalar(lines, lines.place(b.rng.choice(lines.letters)), "i64", x.element)
        return [lines.op(f"arith.addf {s}, {place}", x.element)]

    return [b.elementwise([x], x.axes, x.element, body)]


REDUCTIONS = "sum sum max min squares exps minus products any all integers both argmax".split()


def reduce(b: Builder) -> list[Value]:
    """A reduction over some dimensions, of one state or two."""
    kind = b.rng.choice(REDUCTIONS)
    x = b.floats(b.rng.choice((1, 2, 3, 3)))
    if kind in ("any", "all"):
        x = b.mask_for(x.axes or "t")
    if kind == "integers":
        x = b.pick(lambda v: v.element in ("i8", "i32", "i64"), lambda: b.new(b.some_axes(2), "i32", "half"))
    iterators = b.iterators_of(x.axes)
    kept = "".join(b.rng.sample(iterators, b.rng.randint(0, max(len(iterators) - 1, 0))))
    if kind in ("both", "argmax"):
        return reduce_pair(b, kind, x, iterators, kept)
    start = {"max": -float("inf"), "min": float("inf"), "products": 1, "all": 1}.get(kind, 0)
    init = b.text.filled(kept.lower(), x.element, start)
    if b.rng.random() < 0.2:
        init = b.pick(lambda v: v.axes == kept.lower() and v.element == x.element, lambda: init)

    def body(lines: Body, s: str, acc: str) -> list[str]:
        return [folded(lines, kind, s, acc, x.element)]

    return b.reduction([(x, iterators)], kept, [init], body)


def folded(lines: Body, kind: str, s: str, acc: str, element: str) -> str:
    """`acc` with one more element."""
    if kind in ("any", "all", "integers"):
        name = {"any": "ori", "all": "andi", "integers": "addi"}[kind]
        return lines.op(f"arith.{name} {acc}, {s}", element)
    if kind == "squares":
        s = lines.op(f"arith.mulf {s}, {s}", element)
    if kind == "exps":
        s = unary(lines, "exp", s, element)
    if kind == "products":
        s = unary(lines, "sigmoid", s, element)
    name = {"max": "maximumf", "min": "minimumf", "minus": "subf", "products": "mulf"}.get(kind, "addf")
    return lines.op(f"arith.{name} {acc}, {s}", element)


def reduce_pair(b: Builder, kind: str, x: Value, iterators: str, kept: str) -> list[Value]:
    """Two results: the sum and the maximum, or the maximum and its place."""
    if not iterators:
        return []
    low = b.text.filled(kept.lower(), x.element, -float("inf"))
    if kind == "both":
        zero = b.text.filled(kept.lower(), x.element, 0)
        return b.reduction(
            [(x, iterators)],
            kept,
            [zero, low],
            lambda lines, s, total, top: [
                lines.op(f"arith.addf {total}, {s}", x.element),
                lines.op(f"arith.maximumf {top}, {s}", x.element),
            ],
        )
    zero = b.text.filled(kept.lower(), "i64", 0)

    def body(lines: Body, s: str, top: str, at: str) -> list[str]:
        place = lines.place(b.rng.choice(lines.letters))
        larger = lines.op(f"arith.cmpf ogt, {s}, {top}", x.element)
        return [
            lines.op(f"arith.maximumf {s}, {top}", x.element),
            lines.op(f"arith.select {larger}, {place}, {at}", "i64"),
        ]

    results = b.reduction([(x, iterators)], kept, [low, zero], body)
    return results if b.rng.random() < 0.4 else results[:1]


def contract(b: Builder) -> list[Value]:
    """A sum of products over one or two iterators; the right side is a weight, an input or another value."""
    x = b.floats(b.rng.choice((2, 2, 3, 3)))
    mine = b.iterators_of(x.axes)
    reduced = b.rng.sample(mine, b.rng.choice((1, 1, 1, 2)) if len(mine) > 1 else 1)
    fresh = [a for a in "deh" if a not in mine]
    new = b.rng.sample(fresh, min(len(fresh), b.rng.choice((1, 1, 0, 2))))
    shared = [i for i in mine if i not in reduced and b.rng.random() < 0.2]
    letters = [*reduced, *new, *shared]
    if not b.fits([*mine, *new]):
        return []
    b.rng.shuffle(letters)
    wanted = sorted(letter.lower() for letter in letters)
    element = x.element if b.rng.random() < 0.85 else b.rng.choice(("f32", "bf16"))
    fits = lambda v: sorted(v.axes) == wanted and is_float(v.element)
    make = lambda: b.new("".join(letters).lower(), element)
    y = make() if b.rng.random() < 0.6 else b.pick(fits, make)
    y_map = "".join(letters) if y.axes == "".join(letters).lower() else b.place(y, "".join(letters))
    if set(y_map) != set(letters):
        return []
    kept = b.order("".join(i for i in (*mine, *new) if i not in reduced))
    narrow = x.element in ("bf16", "f16") and b.rng.random() < 0.5
    total = "f32" if narrow else x.element
    init = b.text.filled(kept.lower(), total, 0)
    if b.rng.random() < 0.3:
        init = b.pick(
            lambda v: v.axes == kept.lower() and v.element == total, lambda: b.new(kept.lower(), total)
        )

    def body(lines: Body, p: str, q: str, acc: str) -> list[str]:
        p, q = cast_scalar(lines, p, x.element, total), cast_scalar(lines, q, y.element, total)
        product = lines.op(f"arith.mulf {p}, {q}", total)
        return [lines.op(f"arith.addf {acc}, {product}", total)]

    operands = [(x, mine), (y, y_map)]
    if b.rng.random() < 0.3:
        operands.reverse()
        flipped = lambda lines, p, q, acc: body(lines, q, p, acc)
        return b.reduction(operands, kept, [init], flipped)
    return b.reduction(operands, kept, [init], body)


def integer_contract(b: Builder) -> list[Value]:
    """A matrix product of integers, one side mostly zero."""
    element, total = b.rng.choice((("i8", "i32"), ("i32", "i32"), ("i64", "i64")))
    x, y = b.new("td", element, b.rng.choice(("half", "few", "rows"))), b.new("de", element)
    init = b.text.filled("te", total, 0)

    def body(lines: Body, p: str, q: str, acc: str) -> list[str]:
        p, q = cast_scalar(lines, p, element, total), cast_scalar(lines, q, element, total)
        return [lines.op(f"arith.addi {acc}, {lines.op(f'arith.muli {p}, {q}', total)}", total)]

    return b.reduction([(x, "td"), (y, "de")], "te", [init], body)


def move(b: Builder) -> list[Value]:
    """A copy with the dimensions in another order, or repeated along a new one."""
    x = b.floats()
    axes = list(x.axes)
    b.rng.shuffle(axes)
    new = [a for a in "beh" if a not in axes]
    if new and b.rng.random() < 0.3:
        axes.insert(b.rng.randint(0, len(axes)), b.rng.choice(new))
    if not b.fits(axes):
        return []
    return [b.elementwise([x], "".join(axes), x.element, lambda _lines, s, _o: [s])]


def convert(b: Builder) -> list[Value]:
    """Another element type, and back or not."""
    x = b.floats()
    there = b.cast(x, b.rng.choice(("f32", "f64", "bf16", "i32", "i1")))
    return [there] if b.rng.random() < 0.5 else [b.cast(there, b.element)]


def mark(b: Builder) -> list[Value]:
    """A value that its author declares to be sparse: it is zero where its mask is."""
    (x,) = apply_mask(b)
    type_ = b.text.type(x)
    if b.rng.random() < 0.5:
        return [
            b.text.add(
                f'"pit.mark"({x.name}) {{operandSegmentSizes = array<i32: 1, 0>}} : ({type_}) -> {type_}',
                x.axes,
                x.element,
            )
        ]
    mask = b.elementwise([x], x.axes, "i1", lambda lines, s, _o: [cast_scalar(lines, s, x.element, "i1")])
    return [
        b.text.add(
            f'"pit.mark"({x.name}, {mask.name}) {{operandSegmentSizes = array<i32: 1, 1>}} : ({type_}, {b.text.type(mask)}) -> {type_}',
            x.axes,
            x.element,
        )
    ]


def look_up(b: Builder) -> list[Value]:
    """Rows of a table by integer keys."""
    axes, table = b.rng.choice((("bt", "ed"), ("t", "ed"), ("b", "hd")))
    if b.text.axes[table[0]].size == 0:
        return []
    keys = b.new(axes, "i64", f"index {table[0]}")
    rows = b.new(table, b.element)

    def body(lines: Body, key: str, _out: str) -> list[str]:
        at = lines.op(f"arith.index_cast {key}", "i64 to index")
        column = lines.op(f"linalg.index {lines.letters.index('d')}", "index")
        return [lines.op(f"tensor.extract {rows.name}[{at}, {column}]", b.text.type(rows))]

    return [b.elementwise([keys], axes + "d", b.element, body)]
