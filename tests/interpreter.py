"""A reference interpreter: functions over linalg, tensor and pit operations, evaluated with numpy, one by one.

Slow and plain on purpose: it is what rewrites are compared against. Floats are computed in f64; what an operation may
not read (an empty tensor, padding of rows) is NaN or a wild number, so that reading it shows.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pit_mlir.bindings import ir

Array = np.ndarray


@dataclass(frozen=True)
class Index:
    """Rows of an index: `points[r]` are the coordinates of row r in the group (segments, then axis)."""

    points: list[tuple[int, ...]]
    group: int


def run(module: ir.Module, *arguments: Array) -> list[Array]:
    """The results of the first function of `module` on `arguments`."""
    function = next(op.operation for op in module.body.operations if op.operation.name == "func.func")
    block = function.regions[0].blocks[0]
    machine = Machine()
    for value, array in zip(block.arguments, arguments, strict=True):
        machine.values[value] = as_working(np.asarray(array))
    return machine.block(block)


def as_working(array: Array) -> Array:
    """`array` in the type that it is computed in."""
    if array.dtype.kind in "fV":  # V: bf16
        return array.astype(np.float64)
    return array if array.dtype == np.bool_ else array.astype(np.int64)


def working_type(type_: ir.Type) -> type:
    """The numpy type in which elements of `type_` are computed."""
    if isinstance(type_, ir.FloatType):
        return np.float64
    return np.bool_ if str(type_) == "i1" else np.int64


class Machine:
    """The values of one run."""

    def __init__(self) -> None:
        self.values: dict[ir.Value, object] = {}
        self.point: dict[int, object] = {}
        """The iterators of the operation being run: a number or an array each."""

    def block(self, block: ir.Block) -> list[object]:
        """Runs the operations of `block`; what its terminator returns."""
        for op in block.operations:
            operation = op.operation
            operands = [self.values[operand] for operand in operation.operands]
            if operation.name in ("func.return", "linalg.yield", "pit.yield", "tensor.yield"):
                return operands
            results = self.operation(operation, operands)
            for result, value in zip(operation.results, results, strict=True):
                self.values[result] = value
        raise AssertionError("block without a terminator")

    def operation(self, op: ir.Operation, operands: list) -> list:
        """The results of one operation."""
        if op.name in RULES:
            return RULES[op.name](self, op, operands)
        return [SCALARS[op.name](op, *operands)]


# ---- structured operations


def maps(op: ir.Operation) -> list[ir.AffineMap]:
    return [attribute.value for attribute in op.attributes["indexing_maps"]]


def coordinate(expression: ir.AffineExpr, point: dict) -> object:
    if isinstance(expression, ir.AffineDimExpr):
        return point[expression.position]
    if isinstance(expression, ir.AffineConstantExpr):
        return expression.value
    if isinstance(expression, ir.AffineAddExpr):
        return coordinate(expression.lhs, point) + coordinate(expression.rhs, point)
    assert isinstance(expression, ir.AffineMulExpr), expression
    return coordinate(expression.lhs, point) * coordinate(expression.rhs, point)


def address(map_: ir.AffineMap, point: dict) -> tuple:
    return tuple(coordinate(expression, point) for expression in map_.results)


def extents(map_list: Sequence[ir.AffineMap], arrays: Sequence[Array]) -> list[int]:
    sizes: dict[int, int] = {}
    for map_, array in zip(map_list, arrays, strict=True):
        for dim, expression in enumerate(map_.results):
            if isinstance(expression, ir.AffineDimExpr):
                size = sizes.setdefault(expression.position, array.shape[dim])
                assert size == array.shape[dim], (
                    f"iterator {expression.position} runs over {size} and {array.shape}"
                )
    return [sizes[position] for position in range(map_list[0].n_dims)]


def generic(machine: Machine, op: ir.Operation, operands: list) -> list:
    """`linalg.generic`: all points of the parallel iterators at once, one point of the reductions after the other."""
    count = next(iter(op.attributes["operandSegmentSizes"]))
    map_list = maps(op)
    outputs = [array.copy() for array in operands[count:]]
    block = op.regions[0].blocks[0]
    sizes = extents(map_list, operands)
    kinds = ["reduction" in str(kind) for kind in op.attributes["iterator_types"]]
    parallel = [position for position, is_reduction in enumerate(kinds) if not is_reduction]
    grids = dict(zip(parallel, np.ix_(*(np.arange(sizes[position]) for position in parallel)), strict=True))
    reduced = [position for position, is_reduction in enumerate(kinds) if is_reduction]
    if any(sizes[position] == 0 for position in parallel):
        return outputs
    for point in itertools.product(*(range(sizes[position]) for position in reduced)):
        machine.point = grids | dict(zip(reduced, point, strict=True))
        arrays = [*operands[:count], *outputs]
        places = [address(map_, machine.point) for map_ in map_list]
        for argument, array, place in zip(block.arguments, arrays, places, strict=True):
            machine.values[argument] = array[place]
        for output, place, value in zip(outputs, places[count:], machine.block(block), strict=True):
            output[place] = value
    return outputs


def pit_generic(machine: Machine, op: ir.Operation, operands: list) -> list:
    """`pit.generic`: the points that the index lists."""
    index: Index = operands[-1]
    outputs = [array.copy() for array in operands[:-1]]
    group = list(op.attributes["group"])
    map_list = maps(op)
    block = op.regions[0].blocks[0]
    compact = op.attributes["compact"].value
    sizes: dict[int, int] = {}
    elements = [e.operation for e in block.operations if e.operation.name == "pit.element"]
    dense = [(m, a) for m, a in zip(map_list, outputs, strict=True) if not compact]
    dense += [
        (e.attributes["map"].value, machine.values[e.operands[0]])
        for e in elements
        if not e.attributes["compact"].value
    ]
    rows = [(m, a) for m, a in zip(map_list, outputs, strict=True) if compact]
    rows += [
        (e.attributes["map"].value, machine.values[e.operands[0]])
        for e in elements
        if e.attributes["compact"].value
    ]
    for map_, array in (*dense, *rows):
        for dim, expression in enumerate(map_.results):
            if isinstance(expression, ir.AffineDimExpr) and expression.position not in group:
                sizes[expression.position] = array.shape[dim]
    free = sorted(sizes)
    for row, entry in enumerate(index.points):
        for rest in itertools.product(*(range(sizes[position]) for position in free)):
            at = dict(zip(free, rest, strict=True)) | dict(zip(group, entry, strict=True))
            machine.point = at
            machine.row = at | {group[0]: row}
            places = [address(map_, machine.row if compact else at) for map_ in map_list]
            for argument, array, place in zip(block.arguments, outputs, places, strict=True):
                machine.values[argument] = array[place]
            for output, place, value in zip(outputs, places, machine.block(block), strict=True):
                output[place] = value
    return outputs


def element(machine: Machine, op: ir.Operation, operands: list) -> list:
    point = machine.row if op.attributes["compact"].value else machine.point
    return [operands[0][address(op.attributes["map"].value, point)]]


def attend(machine: Machine, op: ir.Operation, operands: list) -> list:
    """`pit.attend`, with and without an index."""
    batch = op.attributes["batch"].value
    segments, compact = list(op.attributes["segments"]), list(op.attributes["compact"])
    map_list = maps(op)
    index: Index | None = operands[4] if len(operands) == 5 else None
    block = op.regions[0].blocks[0]
    sizes: dict[int, int] = {}
    elements = [e.operation for e in block.operations if e.operation.name == "pit.element"]
    pairs = [
        (m, a, number in compact) for number, (m, a) in enumerate(zip(map_list, operands[:4], strict=True))
    ]
    pairs += [(e.attributes["map"].value, machine.values[e.operands[0]], False) for e in elements]
    for map_, array, is_rows in pairs:
        for dim, expression in enumerate(map_.results):
            if not (is_rows and expression.position in (batch, batch + 1)):
                sizes[expression.position] = array.shape[dim]
    for position in segments:
        sizes.setdefault(position, 1 + max((p[segments.index(position)] for p in index.points), default=-1))
    out = np.zeros_like(operands[3])
    _query, _key, _value = operands[:3]
    d_range, e_range = range(sizes[batch + 2]), range(sizes[batch + 3])

    def read(number: int, at: dict, entry: tuple[int, int], iterator: int) -> object:
        position, row = entry
        point = at | {iterator: row if number in compact else position}
        return operands[number][address(map_list[number], point)]

    for b in itertools.product(*(range(sizes[position]) for position in range(batch))):
        at = dict(enumerate(b))
        if index is None:
            queries = [(q, q) for q in range(sizes[batch])]
            keys = [(k, k) for k in range(sizes[batch + 1])]
        else:
            mine = [
                (p[-1], row) for row, p in enumerate(index.points) if p[:-1] == tuple(b[s] for s in segments)
            ]
            queries = keys = mine
        for q in queries:
            scores = []
            for k in keys:
                product = 0.0
                for d in d_range:
                    x = read(0, at | {batch + 2: d}, q, batch)
                    product += x * read(1, at | {batch + 2: d}, k, batch + 1)
                machine.point = at | {batch: q[0], batch + 1: k[0]}
                machine.values[block.arguments[0]] = product
                scores.append(machine.block(block)[0])
            top = max(scores)
            if math.isinf(top) and "guarded" in op.attributes:
                continue
            weights = np.exp(np.array(scores) - top)
            weights = weights / weights.sum()
            for e in e_range:
                total = sum(
                    w * read(2, at | {batch + 3: e}, k, batch + 1) for w, k in zip(weights, keys, strict=True)
                )
                point = at | {batch: q[1] if 3 in compact else q[0], batch + 3: e}
                out[address(map_list[3], point)] = total
    return [out]


# ---- index operations


def detect(machine: Machine, op: ir.Operation, operands: list) -> list:
    source = operands[0]
    segments, axis, block = (list(op.attributes[name]) for name in ("segments", "axis", "block"))
    if "values" in op.attributes:
        keys = {(int(key), *(place[dim] for dim in axis)) for place, key in np.ndenumerate(source)}
        return [
            Index(sorted(key for key in keys if 0 <= key[0] < op.attributes["values"].value), 1 + len(axis))
        ]
    live = (source != 0) if source.dtype != np.bool_ else source
    rest = tuple(dim for dim in range(live.ndim) if dim not in segments + axis)
    live = np.any(live, axis=rest) if rest else live
    order = [dim for dim in range(source.ndim) if dim in segments + axis]
    live = live.transpose([order.index(dim) for dim in segments + axis])
    found: dict[tuple[int, ...], None] = {}
    for place in zip(*np.nonzero(live), strict=True):
        segment = tuple(int(c) // max(size, 1) for c, size in zip(place, block, strict=False))
        found[(*segment, *map(int, place[len(segments) :]))] = None
    return [Index(sorted(found), len(segments) + len(axis))]


def places(op: ir.Operation, index: Index) -> tuple[list[int], tuple[list[int], ...]]:
    axis, group = list(op.attributes["axis"]), list(op.attributes["group"])
    order = sorted(range(len(axis)), key=lambda i: axis[i])
    coordinates = tuple([point[group[i]] for point in index.points] for i in order)
    return sorted(axis), coordinates


def sread(machine: Machine, op: ir.Operation, operands: list) -> list:
    source, index = operands
    axis, coordinates = places(op, index)
    moved = np.moveaxis(source, axis, range(len(axis)))
    rows = moved[tuple(np.array(c, dtype=int) for c in coordinates)]
    return [np.moveaxis(rows, 0, min(axis))]


def swrite(machine: Machine, op: ir.Operation, operands: list) -> list:
    value, init, index = operands
    out = init.copy()
    axis, coordinates = places(op, index)
    moved = np.moveaxis(out, axis, range(len(axis)))
    rows = np.moveaxis(value, min(axis), 0)
    combine = {"add": np.add, "max": np.maximum, "min": np.minimum}.get(op.attributes["combine"].value)
    for row, place in enumerate(zip(*coordinates, strict=True)):
        moved[place] = rows[row] if combine is None else combine(moved[place], rows[row])
    return [out]


# ---- tensors


def dynamic_or(op: ir.Operation, name: str, values: list) -> list[int]:
    """The static entries of an attribute, with `values` in the place of dynamic ones; takes from `values`."""
    dynamic = ir.ShapedType.get_dynamic_size()
    return [values.pop(0) if entry == dynamic else entry for entry in list(op.attributes[name])]


def empty(machine: Machine, op: ir.Operation, operands: list) -> list:
    type_ = op.results[0].type
    values = [int(v) for v in operands]
    shape = [values.pop(0) if type_.is_dynamic_dim(d) else type_.get_dim_size(d) for d in range(type_.rank)]
    kind = working_type(type_.element_type)
    return [np.full(shape, np.nan if kind is np.float64 else kind(1), dtype=kind)]


def extract_slice(machine: Machine, op: ir.Operation, operands: list) -> list:
    values = [int(v) for v in operands[1:]]
    offsets, sizes, strides = (dynamic_or(op, f"static_{n}", values) for n in ("offsets", "sizes", "strides"))
    cut = operands[0][tuple(slice(o, o + s * t, t) for o, s, t in zip(offsets, sizes, strides, strict=True))]
    return [cut.reshape(result_shape(op, cut.size, list(sizes)))]


def insert_slice(machine: Machine, op: ir.Operation, operands: list) -> list:
    values = [int(v) for v in operands[2:]]
    offsets, sizes, strides = (dynamic_or(op, f"static_{n}", values) for n in ("offsets", "sizes", "strides"))
    out = operands[1].copy()
    place = tuple(slice(o, o + s * t, t) for o, s, t in zip(offsets, sizes, strides, strict=True))
    out[place] = operands[0].reshape(out[place].shape)
    return [out]


def result_shape(op: ir.Operation, size: int, sizes: list[int]) -> list[int]:
    type_ = op.results[0].type
    if type_.rank == len(sizes):
        return sizes
    shape: list[int] = []
    rest = list(sizes)
    for dim in range(type_.rank):
        static = None if type_.is_dynamic_dim(dim) else type_.get_dim_size(dim)
        while static is None and rest[0] == 1 and len(rest) > type_.rank - dim:
            rest.pop(0)
        while static is not None and rest[0] != static:
            rest.pop(0)
        shape.append(rest.pop(0))
    return shape


def concat(machine: Machine, op: ir.Operation, operands: list) -> list:
    return [np.concatenate(operands, axis=op.attributes["dim"].value)]


def pad(machine: Machine, op: ir.Operation, operands: list) -> list:
    values = [int(v) for v in operands[1:]]
    low, high = dynamic_or(op, "static_low", values), dynamic_or(op, "static_high", values)
    for argument in op.regions[0].blocks[0].arguments:
        machine.values[argument] = 0
    value = machine.block(op.regions[0].blocks[0])[0]
    return [np.pad(operands[0], list(zip(low, high, strict=True)), constant_values=value)]


def expand_shape(machine: Machine, op: ir.Operation, operands: list) -> list:
    return [operands[0].reshape(dynamic_or(op, "static_output_shape", [int(v) for v in operands[1:]]))]


def collapse_shape(machine: Machine, op: ir.Operation, operands: list) -> list:
    groups = [[d.value for d in group] for group in op.attributes["reassociation"]]
    return [operands[0].reshape([math.prod(operands[0].shape[d] for d in group) for group in groups])]


def constant(machine: Machine, op: ir.Operation, operands: list) -> list:
    attribute = op.attributes["value"]
    if isinstance(attribute, ir.DenseElementsAttr):
        type_ = op.results[0].type
        kind = working_type(type_.element_type)
        if attribute.is_splat:
            return [np.full(type_.shape, scalar_of(attribute.get_splat_value()), dtype=kind)]
        return [np.array(list(attribute), dtype=kind).reshape(type_.shape)]
    return [scalar_of(attribute)]


def scalar_of(attribute: ir.Attribute) -> object:
    if isinstance(attribute, ir.FloatAttr):
        return np.float64(attribute.value)
    kind = working_type(attribute.type)
    return kind(bool(attribute.value)) if kind is np.bool_ else np.int64(attribute.value)


def linalg_index(machine: Machine, op: ir.Operation, operands: list) -> list:
    return [np.asarray(machine.point[op.attributes["dim"].value], dtype=np.int64)]


def scan(machine: Machine, op: ir.Operation, operands: list) -> list:
    """`tm_tensor.scan` of a sum, inclusive."""
    axis = op.attributes["dimension"].value
    total = np.cumsum(operands[0], axis=axis)
    return [total, np.take(total, -1, axis=axis) if total.shape[axis] else operands[2]]


def window(machine: Machine, op: ir.Operation, operands: list) -> list:
    """`pit.window`: what each place of the result sees."""
    sizes = iter(operands[1:])
    type_ = ir.RankedTensorType(op.results[0].type)
    shape = [next(sizes) if type_.is_dynamic_dim(dim) else type_.shape[dim] for dim in range(type_.rank)]
    point = dict(enumerate(np.indices(tuple(int(size) for size in shape))))
    return [operands[0][tuple(np.asarray(c) for c in address(op.attributes["map"].value, point))]]


RULES: dict[str, Callable] = {
    "linalg.generic": generic,
    "linalg.fill": lambda machine, op, operands: [np.full_like(operands[1], operands[0])],
    "linalg.index": linalg_index,
    "pit.generic": pit_generic,
    "pit.element": element,
    "pit.attend": attend,
    "pit.detect": detect,
    "pit.size": lambda machine, op, operands: [len(operands[0].points)],
    "pit.sread": sread,
    "pit.swrite": swrite,
    "pit.check": lambda machine, op, operands: [],
    "pit.mark": lambda machine, op, operands: [operands[0]],
    "pit.window": window,
    "tensor.empty": empty,
    "tensor.extract_slice": extract_slice,
    "tensor.insert_slice": insert_slice,
    "tensor.concat": concat,
    "tensor.pad": pad,
    "tensor.expand_shape": expand_shape,
    "tensor.collapse_shape": collapse_shape,
    "tensor.cast": lambda machine, op, operands: [operands[0]],
    "tensor.dim": lambda machine, op, operands: [operands[0].shape[int(operands[1])]],
    "tensor.extract": lambda machine, op, operands: [operands[0][tuple(operands[1:])]],
    "tensor.from_elements": lambda machine, op, operands: [
        np.array(operands).reshape(op.results[0].type.shape)
    ],
    "arith.constant": constant,
    "tm_tensor.scan": scan,
}

INTEGER_PREDICATES = [
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.less, np.less_equal, np.greater, np.greater_equal,
]  # fmt: skip


def cmpi(op: ir.Operation, a: object, b: object) -> object:
    return INTEGER_PREDICATES[op.attributes["predicate"].value](a, b)


def cmpf(op: ir.Operation, a: Array, b: Array) -> Array:
    predicate = op.attributes["predicate"].value
    nan = np.isnan(a) | np.isnan(b)
    if predicate in (7, 14):
        return nan if predicate == 14 else ~nan
    compare = [np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal][
        (predicate - 1) % 7
    ]
    return np.where(nan, predicate > 7, compare(a, b))


def same(op: ir.Operation, a: object) -> object:
    return a


def cast(op: ir.Operation, a: Array) -> Array:
    return np.asarray(a).astype(working_type(op.results[0].type))


def _vector(function: Callable) -> Callable:
    return lambda op, *arguments: function(*arguments)


SCALARS: dict[str, Callable] = {
    "arith.cmpi": cmpi,
    "arith.cmpf": cmpf,
    "arith.select": lambda op, c, a, b: np.where(c, a, b),
    **{f"arith.{n}": _vector(np.add) for n in ("addf", "addi")},
    **{f"arith.{n}": _vector(np.subtract) for n in ("subf", "subi")},
    **{f"arith.{n}": _vector(np.multiply) for n in ("mulf", "muli")},
    "arith.divf": _vector(np.divide),
    "arith.negf": _vector(np.negative),
    **{f"arith.{n}": _vector(np.maximum) for n in ("maximumf", "maxnumf", "maxsi")},
    **{f"arith.{n}": _vector(np.minimum) for n in ("minimumf", "minnumf", "minsi")},
    "arith.andi": _vector(np.bitwise_and),
    "arith.ori": _vector(np.bitwise_or),
    "arith.xori": _vector(np.bitwise_xor),
    **{f"arith.{n}": same for n in ("extf", "truncf")},
    **{f"arith.{n}": cast for n in ("extui", "extsi", "trunci", "index_cast", "fptosi", "sitofp", "uitofp")},
    # Of numbers that are not negative, which have the same bits with and without a sign.
    "arith.divui": _vector(np.floor_divide),
    "arith.maxui": _vector(np.maximum),
    "arith.minui": _vector(np.minimum),
    **{f"math.{n}": _vector(getattr(np, n)) for n in "ceil floor log log10 log1p log2 exp cos tan".split()},
    **{f"math.a{n}": _vector(getattr(np, f"arc{n}")) for n in "cos cosh sin sinh tan tanh".split()},
    "math.round": _vector(np.round),
    "math.powf": _vector(np.power),
    "math.rsqrt": _vector(lambda a: 1 / np.sqrt(a)),
    "math.sqrt": _vector(np.sqrt),
    "math.sin": _vector(np.sin),
    "math.tanh": _vector(np.tanh),
    "math.absf": _vector(np.abs),
    "math.absi": _vector(np.abs),
    "math.erf": _vector(np.vectorize(math.erf, otypes=[np.float64])),
}
