"""What the prover reads of a structured operation, as plain data: maps, liveness, and the body as a graph of scalars.

Nothing here keeps an MLIR object, so a `Scheme` may be a key of a cache that outlives its context.
"""

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from pit_mlir.bindings import ir, linalg
from pit_mlir.dialect.structured import Structured

T = TypeVar("T")

LEAVES = ("input", "accumulator", "capture", "index", "constant")
PURE_DIALECTS = ("arith", "math", "index", "complex")
PURE_OPS = ("linalg.index", "tensor.extract", "tensor.dim", "affine.apply", "affine.min", "affine.max")
POWERS = ("math.fpowi", "math.powf")
MOST_UNROLLED = 16
"""The largest whole exponent of a power that counts as a product."""
PREDICATES = {
    "arith.cmpf": "false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno true".split(),
    "arith.cmpi": "eq ne slt sle sgt sge ult ule ugt uge".split(),
}
SEVERAL_RESULTS = {"math.sincos": ("math.sin", "math.cos")}
"""Operations that compute what others do, one result each."""
WIDER_THAN_DOUBLE = ("f80", "f128")
IGNORED_ATTRIBUTES = ("fastmath", "overflowFlags", "exact", "roundingmode")
"""Promises about values and rounding: a reordered path drops them (T9), so they do not tell bodies apart."""


@dataclass(frozen=True, slots=True)
class Compound:
    """A map result that is not one iterator as a whole: `text` of it and the iterators it mentions."""

    text: str
    iterators: frozenset[int]


Map = tuple[int | Compound, ...]
"""An indexing map: per result the iterator it is, or a compound expression."""


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar of the body: a leaf (`LEAVES`, told apart by `detail`) or an operation on earlier nodes."""

    op: str
    operands: tuple[int, ...]
    type: str
    detail: Hashable = None

    @property
    def is_float(self) -> bool:
        """Whether the scalar is a floating-point number."""
        return is_float(self.type)

    @property
    def number(self) -> Any:
        """The value of a constant, or the number that tells a leaf from others of its kind."""
        assert isinstance(self.detail, int | float | str)
        return float(self.detail) if self.is_float and self.op == "constant" else int(self.detail)


@dataclass(frozen=True)
class Body:
    """The part of a body that its live results need.

    `nodes` are in order; the first `inputs` are the inputs, the next `outputs` the accumulators, used or not.
    `yields` is the node of each live result, None for a dead one.
    """

    nodes: tuple[Node, ...]
    inputs: int
    outputs: int
    yields: tuple[int | None, ...]

    @cached_property
    def live(self) -> tuple[int, ...]:
        """The numbers of the live results."""
        return tuple(number for number, node in enumerate(self.yields) if node is not None)

    @cached_property
    def read(self) -> frozenset[int]:
        """The inputs that the live results depend on."""
        return frozenset(node for node in self.needed(self.live) if node < self.inputs)

    def accumulators(self, results: Sequence[int]) -> frozenset[int]:
        """The outputs whose accumulator the yields of `results` read."""
        span = range(self.inputs, self.inputs + self.outputs)
        return frozenset(node - self.inputs for node in self.needed(results) if node in span)

    def indices(self, results: Sequence[int]) -> frozenset[int]:
        """The iterators whose `linalg.index` the yields of `results` read."""
        nodes = (self.nodes[node] for node in self.needed(results))
        return frozenset(node.detail for node in nodes if node.op == "index")  # type: ignore[misc]

    def needed(self, results: Sequence[int]) -> frozenset[int]:
        """The nodes that the yields of `results` depend on."""
        todo = [node for result in results if (node := self.yields[result]) is not None]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(self.nodes[node].operands)
        return frozenset(seen)

    @cached_property
    def degree(self) -> int:
        """The degree of the live results as polynomials of the leaves, other operations counted as leaves at most."""

        def grown(node: Node, degrees: list[int]) -> int:
            if node.op in ("arith.mulf", "arith.divf", "arith.muli", "math.fma"):
                return sum(degrees)
            return max(degrees, default=1) * (MOST_UNROLLED if node.op in POWERS else 1)

        degrees = self.run(lambda node: int(node.op != "constant"), grown)
        return max((degree for degree in degrees if degree is not None), default=0)

    def constants(self) -> list[float | int]:
        """The constants of the body."""
        return [node.number for node in self.nodes if node.op == "constant"]

    def run(self, leaf: Callable[[Node], T], apply: Callable[[Node, list[T]], T]) -> list[T | None]:
        """What the body yields, `leaf` and `apply` giving the meaning of nodes; None for dead results."""
        needed = self.needed(self.live)
        values: dict[int, T] = {}
        for number, node in enumerate(self.nodes):
            if number in needed:
                arguments = [values[operand] for operand in node.operands]
                values[number] = leaf(node) if node.op in LEAVES else apply(node, arguments)
        return [None if node is None else values[node] for node in self.yields]


@dataclass(frozen=True)
class Scheme:
    """A structured operation without its tensors. `obstacle` says why its body cannot be reasoned about."""

    iterators: int
    maps: tuple[Map, ...]
    body: Body
    obstacle: str | None = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.maps, self.body, self.obstacle))

    def input_iterators(self, number: int) -> frozenset[int]:
        """The iterators that the map of input `number` mentions."""
        return mentioned(self.maps[number])

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The live results, those with equal maps together: they are one state of the fold."""
        by_map: dict[Map, list[int]] = {}
        for result in self.body.live:
            by_map.setdefault(self.output_map(result), []).append(result)
        return tuple(map(tuple, by_map.values()))

    def output_map(self, result: int) -> Map:
        """The map of output `result`."""
        return self.maps[self.body.inputs + result]

    def reduced(self, result: int) -> frozenset[int]:
        """The iterators whose points may meet in one element of `result`: those its map does not have as a whole."""
        return frozenset(range(self.iterators)) - {
            item for item in self.output_map(result) if isinstance(item, int)
        }

    @cached_property
    def has_reductions(self) -> bool:
        """Whether several points of the iteration space meet in one element of a live result."""
        return any(self.reduced(result) for result in self.body.live)


def mentioned(map_: Map) -> frozenset[int]:
    """The iterators that occur in `map_`."""
    return frozenset().union(*({item} if isinstance(item, int) else item.iterators for item in map_))


@lru_cache(maxsize=1024)
def is_float(type_: str) -> bool:
    """Whether `type_` is a floating-point type."""
    return re.fullmatch(r"b?f\d+\w*|tf32", type_) is not None


@lru_cache(maxsize=1024)
def width(type_: str) -> int | None:
    """The bits of an integer type (`index` has 64), None for another type."""
    if type_ == "index":
        return 64
    return int(type_[1:]) if re.fullmatch(r"i\d+", type_) else None


def signed(value: int, bits: int) -> int:
    """`value` wrapped to `bits` bits, two's complement; one bit is 0 or 1."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if bits > 1 and value >> (bits - 1) else value


@lru_cache(maxsize=4096)
def parse_map(text: str) -> tuple[int, Map]:
    """The number of iterators and the results of an affine map, from its text `(d0, d1) -> (d0, d0 + d1)`."""
    dims, results = text.removeprefix("affine_map<").removesuffix(">").split(" -> ")
    items: list[int | Compound] = []
    for expression in filter(None, results[1:-1].split(", ")):
        named = re.findall(r"d(\d+)", expression)
        whole = re.fullmatch(r"d\d+", expression)
        items.append(int(named[0]) if whole else Compound(expression, frozenset(map(int, named))))
    return len(re.findall(r"d\d+", dims)), tuple(items)


def scheme_of(op: ir.Operation | ir.OpView) -> Scheme | None:
    """The scheme of a linalg operation or a `pit.generic`; None for an operation without indexing maps."""
    reading = _read(op.operation)
    return None if reading is None else reading.scheme(live_results(op.operation, reading.outputs))


def whole_scheme(op: ir.Operation | ir.OpView) -> tuple[Scheme, tuple[ir.Value, ...]] | None:
    """The scheme of all results, whether used or not, with the captured values in the order of their numbers."""
    reading = _read(op.operation)
    if reading is None:
        return None
    scheme = reading.scheme([True] * reading.outputs)
    return scheme, reading.graph.captured


@dataclass(frozen=True)
class _Reading:
    """A structured operation as it is read: its maps, its block, and the graph that the block is read into."""

    maps: tuple[ir.AffineMap, ...]
    block: ir.Block
    graph: "_Graph"
    on_buffers: bool

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.graph.outputs

    def scheme(self, live: Sequence[bool]) -> Scheme:
        """The scheme of the results that are `live`."""
        parsed = [parse_map(str(map_)) for map_ in self.maps]
        body = self.graph.read(self.block, live)
        obstacle = self.graph.obstacle
        if self.on_buffers:
            obstacle = obstacle or "it works on buffers, whose elements may overlap"
        return Scheme(parsed[0][0], tuple(map_ for _, map_ in parsed), body, obstacle)


def _read(operation: ir.Operation) -> _Reading | None:
    structured = Structured.of(operation)
    if structured is not None:
        maps = structured.maps
        block, scalars, inputs = structured.body, structured.scalars, len(structured.inputs)
    else:
        attribute = linalg_maps(operation)
        if attribute is None:
            return None
        maps = tuple(ir.AffineMapAttr(item).value for item in attribute)
        block = operation.regions[0].blocks[0]
        scalars = tuple(block.arguments)
        inputs = len(maps) - (len(operation.results) or 1)
    on_buffers = any(isinstance(value.type, ir.MemRefType) for value in operation.operands)
    return _Reading(maps, block, _Graph(inputs, scalars), on_buffers)


MEMOIZED = "linalg.memoized_indexing_maps"
"""What asking a convolution for its maps leaves on it."""


def linalg_maps(operation: ir.Operation) -> ir.ArrayAttr | None:
    """The indexing maps of a named linalg operation that has a body, else None."""
    if not operation.name.startswith("linalg.") or len(operation.regions) != 1:
        return None
    known = MEMOIZED in operation.attributes
    maps: ir.ArrayAttr | None = linalg.get_indexing_maps(operation)  # pyright: ignore[reportAttributeAccessIssue]
    if not known and MEMOIZED in operation.attributes:
        del operation.attributes[MEMOIZED]
    return maps


def live_results(operation: ir.Operation, count: int) -> list[bool]:
    """Which results are used; all of them where none is (an operation without users, or one on buffers)."""
    used = [next(iter(result.uses), None) is not None for result in operation.results]
    return used if any(used) else [True] * count


class _Graph:
    """Reads a block into nodes.

    `obstacle` is what the prover has no model of, if anything; `captures` are all captured values, `captured` those
    that the body read last needs, in the order of their numbers there.
    """

    def __init__(self, inputs: int, scalars: Sequence[ir.Value]) -> None:
        self.inputs, self.outputs = inputs, len(scalars) - inputs
        self.obstacle: str | None = None
        self.nodes: list[Node] = []
        self.numbers: dict[ir.Value, int] = {}
        self.captures: list[ir.Value] = []
        self.captured: tuple[ir.Value, ...] = ()
        for number, scalar in enumerate(scalars):
            leaf = ("input", number) if number < inputs else ("accumulator", number - inputs)
            self.numbers[scalar] = self._add(Node(leaf[0], (), str(scalar.type), leaf[1]))

    def read(self, block: ir.Block, live: Sequence[bool]) -> Body:
        """The body of `block` for the results that are `live` and the accumulators they read in turn."""
        yields: list[int] = []
        for op in block.operations:
            operation = op.operation
            if operation.name in ("linalg.yield", "pit.yield"):
                yields = [self._number(value) for value in operation.operands]
            elif operation.name != "pit.element":
                self._operation(operation)
        body = Body(tuple(self.nodes), self.inputs, self.outputs, tuple(yields))
        kept = {number for number, is_live in enumerate(live) if is_live}
        while (grown := kept | body.accumulators(sorted(kept))) != kept:
            kept = grown
        needed = [body.nodes[node] for node in sorted(body.needed(sorted(kept)))]
        self.captured = tuple(
            self.captures[node.detail]
            for node in needed
            if node.op == "capture" and isinstance(node.detail, int)
        )
        return sliced(body, kept)

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _operation(self, operation: ir.Operation) -> None:
        name = operation.name
        pure = name.partition(".")[0] in PURE_DIALECTS or name in PURE_OPS
        if not pure or len(operation.regions):
            self.obstacle = self.obstacle or f"its body has {name}, which has an effect or a region"
            return
        if name == "linalg.index":
            dim = ir.IntegerAttr(operation.attributes["dim"]).value
            self.numbers[operation.results[0]] = self._add(Node("index", (), "index", dim))
        elif name == "arith.constant":
            self.numbers[operation.results[0]] = self._add(self._constant(operation))
        else:
            operands = tuple(self._number(value) for value in operation.operands)
            detail = attributes_of(operation)
            names = SEVERAL_RESULTS.get(name)
            for number, result in enumerate(operation.results):
                several = (detail, number) if number and names is None else detail
                op = name if names is None else names[number]
                self.numbers[result] = self._add(Node(op, operands, str(result.type), several))

    def _constant(self, operation: ir.Operation) -> Node:
        """The node of an `arith.constant`."""
        node = constant(operation)
        if node.type in WIDER_THAN_DOUBLE:
            self.obstacle = (
                self.obstacle or f"its body has a constant of {node.type}, which is read as an f64"
            )
        return node

    def _number(self, value: ir.Value) -> int:
        """The node of `value`; one from outside the body is a constant or a capture."""
        number = self.numbers.get(value)
        if number is not None:
            return number
        maker = value.owner
        if not isinstance(maker, ir.Block) and maker.operation.name == "arith.constant":
            node = self._constant(maker.operation)
        else:
            node = Node("capture", (), str(value.type), len(self.captures))
            self.captures.append(value)
        self.numbers[value] = self._add(node)
        return self.numbers[value]


def constant(operation: ir.Operation) -> Node:
    """The node of an `arith.constant`, its value read from the attribute (its text is rounded)."""
    attribute, type_ = operation.attributes["value"], str(operation.results[0].type)
    if isinstance(attribute, ir.FloatAttr):
        # What `==` gets wrong is text, so that equal bodies and no others are equal keys of a cache.
        value = attribute.value
        minus_zero = value == 0 and math.copysign(1.0, value) < 0
        return Node("constant", (), type_, str(value) if math.isnan(value) or minus_zero else value)
    bits = width(type_)
    if bits is not None:
        return Node("constant", (), type_, signed(int(ir.IntegerAttr(attribute).value), bits))
    return Node("capture", (), type_, str(attribute))


def attributes_of(operation: ir.Operation) -> Hashable:
    """What tells two operations of one name apart: the predicate of a comparison, else the attributes' text."""
    predicates = PREDICATES.get(operation.name)
    if predicates is not None:
        return predicates[ir.IntegerAttr(operation.attributes["predicate"]).value]
    attributes = operation.attributes
    if not len(attributes):
        return None
    texts = tuple(f"{name}={attributes[name]}" for name in attributes if name not in IGNORED_ATTRIBUTES)
    return texts or None


def sliced(body: Body, live: set[int]) -> Body:
    """`body` without the nodes that the results outside `live` alone need."""
    leaves = body.inputs + body.outputs
    kept = Body(
        body.nodes,
        body.inputs,
        body.outputs,
        tuple(node if number in live else None for number, node in enumerate(body.yields)),
    )
    numbers = sorted({*range(leaves), *kept.needed(sorted(live))})
    renamed: Mapping[int, int] = {old: new for new, old in enumerate(numbers)}
    captures: dict[Hashable, Hashable] = {}
    nodes: list[Node] = []
    for number in numbers:
        node = body.nodes[number]
        detail = node.detail
        if node.op == "capture" and isinstance(detail, int):
            # Numbered anew, so that equal live parts of different bodies are equal.
            detail = captures.setdefault(detail, len(captures))
        nodes.append(Node(node.op, tuple(renamed[operand] for operand in node.operands), node.type, detail))
    yields = tuple(None if node is None else renamed[node] for node in kept.yields)
    return Body(tuple(nodes), body.inputs, body.outputs, yields)
