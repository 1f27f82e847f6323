"""Steps of several operations, as models have them: softmax, attention, layer norm, rows by an index, reshapes."""

from tests.fuzz.builder import Builder, cast_scalar
from tests.fuzz.data import PATTERNS
from tests.fuzz.program_text import Body, Value, is_float
from tests.fuzz.scalars import unary

LOWEST = {
    "f32": -3.4028234663852886e38,
    "f64": -1.7976931348623157e308,
    "bf16": -3.3895313892515355e38,
    "f16": -65504.0,
}


def softmax_over(b: Builder, scores: Value, axis: int) -> Value:
    """exp(x - max) / sum, along dimension `axis`."""
    every = b.iterators_of(scores.axes)
    rest = every[:axis] + every[axis + 1 :]
    element = scores.element

    def two(operation: str, x: Value, y: Value) -> Value:
        out = b.text.empty(scores.axes, element)
        body = lambda lines, p, q, _o: [lines.op(f"arith.{operation} {p}, {q}", element)]
        return b.text.generic([(x, every), (y, rest)], [(out, every)], body)[0]

    def fold(operation: str, x: Value, start: float) -> Value:
        init = b.text.filled(rest.lower(), element, start)
        body = lambda lines, p, acc: [lines.op(f"arith.{operation} {p}, {acc}", element)]
        return b.text.generic([(x, every)], [(init, rest)], body)[0]

    shifted = two("subf", scores, fold("maximumf", scores, -float("inf")))
    out = b.text.empty(scores.axes, element)
    raised = b.text.generic(
        [(shifted, every)], [(out, every)], lambda lines, p, _o: [lines.op(f"math.exp {p}", element)]
    )[0]
    return two("divf", raised, fold("addf", raised, 0))


def masked_scores(b: Builder, scores: Value, mask: Value, mask_map: str) -> Value:
    """Scores with a huge negative number, or -inf, added or put where the mask is false."""
    every = b.iterators_of(scores.axes)
    element = scores.element
    low = b.rng.choice((LOWEST[element], -float("inf")))
    form = b.rng.choice(("select", "add", "separate"))
    if form == "separate":
        bias_out = b.text.empty(mask.axes, element)

        def choose(lines: Body, m: str, _o: str) -> list[str]:
            return [
                lines.op(
                    f"arith.select {m}, {lines.constant(0, element)}, {lines.constant(low, element)}", element
                )
            ]

        iterators = b.iterators_of(mask.axes)
        bias = b.text.generic([(mask, iterators)], [(bias_out, iterators)], choose)[0]
        add = lambda lines, s, m, _o: [lines.op(f"arith.addf {s}, {m}", element)]
        return b.text.generic(
            [(scores, every), (bias, mask_map)], [(b.text.empty(scores.axes, element), every)], add
        )[0]

    def body(lines: Body, s: str, m: str, _o: str) -> list[str]:
        lowest = lines.constant(low, element)
        if form == "select":
            return [lines.op(f"arith.select {m}, {s}, {lowest}", element)]
        bias = lines.op(f"arith.select {m}, {lines.constant(0, element)}, {lowest}", element)
        return [lines.op(f"arith.addf {s}, {bias}", element)]

    return b.text.generic(
        [(scores, every), (mask, mask_map)], [(b.text.empty(scores.axes, element), every)], body
    )[0]


def softmax(b: Builder) -> list[Value]:
    """A softmax along any dimension, of masked values or not."""
    x = b.floats(b.rng.choice((2, 3)))
    axis = b.rng.randrange(len(x.axes))
    if b.rng.random() < 0.6:
        mask = b.mask_for(x.axes)
        x = masked_scores(b, x, mask, b.place(mask, b.iterators_of(x.axes)))
    return [softmax_over(b, x, axis)]


def attention(b: Builder) -> list[Value]:
    """softmax(q k + mask) v, over one or several heads; queries, keys and values may be one value."""
    axes = b.rng.choice(("btd", "bhtd", "bthd", "td", "htd"))
    if not b.fits(axes + "T"):
        return []
    element = b.element
    mine = lambda v: sorted(v.axes) == sorted(axes) and v.element == element
    make = lambda: b.new(axes, element)
    q, k, v = (b.pick(mine, make) if b.rng.random() < 0.7 else make() for _ in range(3))
    key = lambda value: b.place(value, axes).replace("t", "T")
    rest = axes.replace("t", "").replace("d", "")
    scores_map = rest + "tT"

    def product(x: tuple[Value, str], y: tuple[Value, str], out: str) -> Value:
        init = b.text.filled(out.lower(), element, 0)

        def body(lines: Body, p: str, r: str, acc: str) -> list[str]:
            return [lines.op(f"arith.addf {acc}, {lines.op(f'arith.mulf {p}, {r}', element)}", element)]

        return b.text.generic([x, y], [(init, out)], body)[0]

    scores = product((q, b.place(q, axes)), (k, key(k)), scores_map)
    if b.rng.random() < 0.6:
        scale = lambda lines, s, _o: [lines.op(f"arith.mulf {s}, {lines.constant(0.25, element)}", element)]
        scores = b.elementwise([scores], b.iterators_of(scores.axes), element, scale)
    if b.rng.random() < 0.8:
        mask = (
            b.mask if b.mask is not None and "b" in axes and b.rng.random() < 0.7 else b.mask_for(rest + "t")
        )
        mask = b.truth(mask)
        scores = masked_scores(b, scores, mask, b.place(mask, rest + "t").replace("t", "T"))
    weights = softmax_over(b, scores, len(scores_map) - 1)
    out = b.order(axes)
    return [product((weights, scores_map), (v, key(v)), out)]


def layer_norm(b: Builder) -> list[Value]:
    """Mean and variance along the last dimension, as importers spell them."""
    x = b.floats(b.rng.choice((2, 3)))
    every = b.iterators_of(x.axes)
    rest = every[:-1]
    element = x.element
    size = max(b.text.axes[x.axes[-1]].size, 1)

    def mean(value: Value, square: bool) -> Value:
        def add(lines: Body, p: str, acc: str) -> list[str]:
            p = lines.op(f"arith.mulf {p}, {p}", element) if square else p
            return [lines.op(f"arith.addf {acc}, {p}", element)]

        init = b.text.filled(rest.lower(), element, 0)
        total = b.text.generic([(value, every)], [(init, rest)], add)[0]
        divide = lambda lines, p, _o: [lines.op(f"arith.divf {p}, {lines.constant(size, element)}", element)]
        return b.elementwise([total], rest, element, divide)

    def by_row(value: Value, row: Value, operation: str) -> Value:
        def body(lines: Body, p: str, r: str, _o: str) -> list[str]:
            if operation == "mulf":
                r = lines.op(
                    f"math.rsqrt {lines.op(f'arith.addf {r}, {lines.constant(0.001, element)}', element)}",
                    element,
                )
            return [lines.op(f"arith.{operation} {p}, {r}", element)]

        out = b.text.empty(x.axes, element)
        return b.text.generic([(value, every), (row, rest)], [(out, every)], body)[0]

    centred = by_row(x, mean(x, square=False), "subf")
    return [by_row(centred, mean(centred, square=True), "mulf")]


def reshape(b: Builder) -> list[Value]:
    """Two dimensions joined, work on that, and taken apart again."""
    x = b.floats(b.rng.choice((2, 3)))
    at = b.rng.randrange(len(x.axes) - 1)
    groups = [[d] for d in range(at)] + [[at, at + 1]] + [[d] for d in range(at + 2, len(x.axes))]
    shape = [b.text.axes[axis] for axis in x.axes]
    joined_dynamic = shape[at].dynamic or shape[at + 1].dynamic
    sizes = ["?" if axis.dynamic else str(axis.size) for axis in shape]
    joined = "?" if joined_dynamic else str(shape[at].size * shape[at + 1].size)
    flat = f"tensor<{'x'.join([*sizes[:at], joined, *sizes[at + 2 :], x.element])}>"
    type_ = b.text.type(x)
    name, same = b.text.fresh("v"), b.text.fresh("v")
    rank = len(x.axes) - 1
    identity = f"affine_map<({', '.join(f'd{d}' for d in range(rank))}) -> ({', '.join(f'd{d}' for d in range(rank))})>"
    body = Body(b.text, [])
    result = unary(body, b.rng.choice(("relu", "tanh", "shift")), "%s", x.element)
    parallel = ", ".join(['"parallel"'] * rank)
    outs = ", ".join(f"%n_{a}" if s.dynamic else f"{s.size}" for a, s in zip(x.axes, shape, strict=True))
    value = Value(b.text.fresh("v"), x.axes, x.element)
    b.text.lines += [
        f"{name} = tensor.collapse_shape {x.name} {groups} : {type_} into {flat}",
        f"{same} = linalg.generic {{indexing_maps = [{identity}, {identity}], iterator_types = [{parallel}]}}",
        f"    ins({name} : {flat}) outs({name} : {flat}) {{",
        f"^bb0(%s: {x.element}, %o: {x.element}):",
        *(f"  {line}" for line in body.lines),
        f"  linalg.yield {result} : {x.element}",
        f"}} -> {flat}",
        f"{value.name} = tensor.expand_shape {same} {groups} output_shape [{outs}] : {flat} into {type_}",
    ]
    return [value]


def halves(b: Builder) -> list[Value]:
    """A static dimension cut in two, and put together the other way round."""
    x = b.floats()
    static = [d for d, a in enumerate(x.axes) if not b.text.axes[a].dynamic and b.text.axes[a].size > 1]
    if not static or not b.text.sliceable(x):
        return []
    dim = b.rng.choice(static)
    size = b.text.axes[x.axes[dim]].size
    cut = b.rng.randint(1, size - 1)
    names = []
    for offset, count in ((cut, size - cut), (0, cut)):
        sizes = [f"%n_{a}" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in x.axes]
        shown = ["?" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in x.axes]
        sizes[dim] = shown[dim] = str(count)
        offsets = ["0"] * len(x.axes)
        offsets[dim] = str(offset)
        part = f"tensor<{'x'.join([*shown, x.element])}>"
        name = b.text.fresh("v")
        names.append((name, part))
        steps = ", ".join(["1"] * len(x.axes))
        b.text.lines.append(
            f"{name} = tensor.extract_slice {x.name}[{', '.join(offsets)}] [{', '.join(sizes)}] [{steps}] : "
            f"{b.text.type(x)} to {part}"
        )
    (one, first), (other, second) = names
    return [
        b.text.add(
            f"tensor.concat dim({dim}) {one}, {other} : ({first}, {second}) -> {b.text.type(x)}",
            x.axes,
            x.element,
        )
    ]


def rows_by_index(b: Builder) -> list[Value]:
    """`pit.detect`, `pit.sread`, work on the rows, `pit.swrite`: what the rules write, written by hand."""
    x = b.floats(b.rng.choice((2, 3)))
    mask = b.mask_for(x.axes)
    if not mask.axes or len(set(x.axes)) < len(x.axes) or len(set(mask.axes)) < len(mask.axes):
        return []
    axis = [x.axes.index(letter) for letter in mask.axes]
    if sorted(axis) != list(range(min(axis), min(axis) + len(axis))):
        return []
    index = b.text.fresh("i")
    segments, block = list(range(len(mask.axes) - 1)), ["1"] * (len(mask.axes) - 1)
    array = lambda numbers: f"array<i64: {', '.join(map(str, numbers))}>" if numbers else "array<i64>"
    position = min(axis)
    left = x.axes[:position] + x.axes[position + len(axis) :]
    sizes = ["?" if b.text.axes[a].dynamic else str(b.text.axes[a].size) for a in left]
    rows = f"tensor<{'x'.join([*sizes[:position], '?', *sizes[position:], x.element])}>"
    group = list(range(len(axis)))
    combine = b.rng.choice(("store", "store", "add"))
    places = f"axis = {array(axis)}, group = {array(group)}"
    read, made = b.text.fresh("v"), b.text.fresh("v")
    rank = len(left) + 1
    dims = ", ".join(f"d{d}" for d in range(rank))
    identity = f"affine_map<({dims}) -> ({dims})>"
    body = Body(b.text, [])
    result = unary(body, b.rng.choice(("exp", "tanh", "shift", "relu")), "%s", x.element)
    init = b.text.filled(x.axes, x.element, 0)
    init = (
        b.pick(lambda v: v.axes == x.axes and v.element == x.element, lambda: init)
        if b.rng.random() < 0.4
        else init
    )
    parallel = ", ".join(['"parallel"'] * rank)
    b.text.lines += [
        f'{index} = "pit.detect"({mask.name}) {{segments = {array(segments)}, axis = {array([len(axis) - 1])}, '
        f"block = {array(block)}, micro_tile = 1 : i64}} : ({b.text.type(mask)}) -> !pit.index",
        f'{read} = "pit.sread"({x.name}, {index}) {{{places}}} : ({b.text.type(x)}, !pit.index) -> {rows}',
        f"{made} = linalg.generic {{indexing_maps = [{identity}, {identity}], iterator_types = [{parallel}]}}",
        f"    ins({read} : {rows}) outs({read} : {rows}) {{",
        f"^bb0(%s: {x.element}, %o: {x.element}):",
        *(f"  {line}" for line in body.lines),
        f"  linalg.yield {result} : {x.element}",
        f"}} -> {rows}",
    ]
    return [
        b.text.add(
            f'"pit.swrite"({made}, {init.name}, {index}) {{{places}, combine = "{combine}"}} : '
            f"({rows}, {b.text.type(init)}, !pit.index) -> {b.text.type(x)}",
            x.axes,
            x.element,
        )
    ]


def experts(b: Builder) -> list[Value]:
    """A sum over experts e of w[t, e] f(x)[t, d], w being 0 where a token goes elsewhere."""
    if not b.fits("tdhe"):
        return []
    element = b.element
    fits = lambda v: v.axes == "td" and v.element == element
    x = b.pick(fits, lambda: b.new("td", element))
    weights = b.new("hde", element)
    if b.text.axes["h"].size == 0:
        return []
    chosen = b.new("t", "i64", "index h")

    def one_hot(lines: Body, key: str, _o: str) -> list[str]:
        same = lines.op(f"arith.cmpi eq, {key}, {lines.place('h')}", "i64")
        return [cast_scalar(lines, same, "i1", element)]

    route = b.elementwise([chosen], b.order("th"), element, one_hot)

    def product(lines: Body, p: str, q: str, acc: str) -> list[str]:
        return [lines.op(f"arith.addf {acc}, {lines.op(f'arith.mulf {p}, {q}', element)}", element)]

    inner = b.text.filled("hte", element, 0)
    hidden = b.text.generic([(x, "td"), (weights, "hde")], [(inner, "hte")], product)[0]
    act = b.elementwise([hidden], "hte", element, lambda lines, s, _o: [unary(lines, "relu", s, element)])
    out = b.text.filled("te", element, 0)
    return b.text.generic([(act, "hte"), (route, route.axes)], [(out, "te")], product)


def listed_contract(b: Builder) -> list[Value]:
    """A sparse value times a weight: what lists along the sum, the rows or the columns are made for."""
    rank = b.rng.choice((2, 2, 2, 3))
    fits = lambda v: is_float(v.element) and len(v.axes) == rank == len(set(v.axes))
    x = b.pick(fits, lambda: b.new("td" if rank == 2 else "thd", b.element))
    m = b.rng.choice(x.axes)
    k = x.axes.replace(m, "")
    n = b.rng.choice([letter for letter in "deb" if letter not in x.axes] or ["h"])
    if n in x.axes or not b.fits([m, *k, n]):
        return []
    element = x.element
    form = b.rng.choice(("relu", "relu", "select", "product", "threshold"))
    mask = b.mask_for(x.axes) if form in ("select", "product") else x

    def sparse(lines: Body, s: str, g: str, _o: str) -> list[str]:
        zero = lines.constant(0.0, element)
        if form == "relu":
            return [unary(lines, b.rng.choice(("relu", "relu_max", "relu_swapped")), s, element)]
        if form == "product":
            return [lines.op(f"arith.mulf {s}, {cast_scalar(lines, g, 'i1', element)}", element)]
        if form == "threshold":
            g = lines.op(f"arith.cmpf ogt, {s}, {lines.constant(0.75, element)}", element)
        return [lines.op(f"arith.select {g}, {s}, {zero}", element)]

    left = b.elementwise([x, mask], x.axes, element, sparse)
    w = b.new(b.order(k + n), element)
    out = b.order(m + n)
    init = b.text.filled(out, element, 0) if b.rng.random() < 0.7 else b.new(out, element)

    def body(lines: Body, p: str, q: str, acc: str) -> list[str]:
        return [lines.op(f"arith.addf {acc}, {lines.op(f'arith.mulf {p}, {q}', element)}", element)]

    operands = [(left, x.axes), (w, w.axes)]
    if b.rng.random() < 0.4:
        operands.reverse()
    product = b.text.generic(operands, [(init, out)], body)[0]
    if b.rng.random() < 0.5:
        return [product]
    bias = b.new(n, element)
    add = lambda lines, p, q, _o: [
        unary(
            lines, b.rng.choice(("relu", "gelu", "twice")), lines.op(f"arith.addf {p}, {q}", element), element
        )
    ]
    return [b.elementwise([product, bias], out, element, add)]


def masked_rows(b: Builder) -> list[Value]:
    """A value whose rows are zero where a mask over its leading dimensions is: what makes rows sparse."""
    x = b.floats(b.rng.choice((2, 3, 3)))
    rows = x.axes[: b.rng.randint(1, max(len(x.axes) - 1, 1))]
    given = (
        b.mask
        if b.mask is not None and set("bt") <= set(x.axes)
        else b.new(rows, b.rng.choice(("i1", "i64")), b.rng.choice(PATTERNS))
    )
    mask = b.truth(given)
    swapped = b.rng.random() < 0.3

    def body(lines: Body, s: str, m: str, _o: str) -> list[str]:
        if swapped:
            m = lines.op(f"arith.xori {m}, {lines.constant(1, 'i1')}", "i1")
        zero = lines.constant(0.0, x.element)
        return [lines.op(f"arith.select {m}, {', '.join((zero, s) if swapped else (s, zero))}", x.element)]

    return [b.elementwise([x, mask], b.order(x.axes), x.element, body)]
