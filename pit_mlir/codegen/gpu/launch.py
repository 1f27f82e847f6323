"""Kernels as regions: a `gpu.launch` on a line of blocks, what its threads are, shared memory, the lanes of a warp."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pit_mlir.bindings import arith, gpu, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, value

WARP = 32
"""Threads that run together."""
THREADS = 256
"""Threads of a block unless a kernel wants another number: eight warps."""
SHARED_BYTES = 48 << 10
"""Bytes of shared memory that a block has without asking for more."""
MOST_BLOCKS = 132 * 16
"""Blocks of a grid that walks over its work in strides: more than any chip runs at a time."""


@dataclass
class Grid:
    """What a thread knows inside of a launch: the number of its block and its own, and how many there are of each."""

    operation: ir.Operation
    block: ir.Value
    thread: ir.Value
    blocks: ir.Value
    threads: int
    _shared: list[ir.Value] = field(default_factory=list[ir.Value])

    @property
    def number(self) -> ir.Value:
        """The number of the thread in the grid."""
        return value(build.add(build.mul(self.block, self.threads), self.thread))

    @property
    def lane(self) -> ir.Value:
        """The number of the thread in its warp."""
        return value(build.remainder(self.thread, WARP))

    @property
    def warp(self) -> ir.Value:
        """The number of the warp in its block."""
        return value(build.floor_div(self.thread, WARP))

    @property
    def warps(self) -> int:
        """How many warps a block has."""
        return self.threads // WARP

    def shared(self, shape: Sequence[int], element: ir.Type) -> ir.Value:
        """A buffer of `shape` in the shared memory of the block."""
        space = ir.Attribute.parse("#gpu.address_space<workgroup>")
        type_ = ir.MemRefType.get(list(shape), element, memory_space=space)
        buffer = self.operation.regions[0].blocks[0].add_argument(type_, self.operation.location)
        self._shared.append(buffer)
        i64 = ir.IntegerType.get_signless(64)
        self.operation.attributes["workgroup_attributions"] = ir.IntegerAttr.get(i64, len(self._shared))
        return buffer

    def carved(self, start: int, shape: Sequence[int], element: ir.Type) -> ir.Value:
        """A buffer of `shape` at byte `start` of the shared memory that the launch has asked for beside its buffers."""
        space = ir.Attribute.parse("#gpu.address_space<workgroup>")
        dynamic = ir.ShapedType.get_dynamic_size()
        byte = ir.IntegerType.get_signless(8)
        every = gpu.dynamic_shared_memory(ir.MemRefType.get([dynamic], byte, memory_space=space))
        type_ = ir.MemRefType.get(list(shape), element, memory_space=space)
        return memref.view(type_, every, value(start), [])


@contextmanager
def launch(blocks: Index, threads: int = THREADS, shared_bytes: int = 0) -> Iterator[Grid]:
    """Builds a `gpu.launch` of `blocks` blocks of `threads` threads each; inside, what a thread knows.

    Where `blocks` is 0 nothing runs. A block has `shared_bytes` of shared memory beside its buffers (`carved`).
    """
    one = value(1)
    asked = arith.constant(ir.IntegerType.get_signless(32), shared_bytes) if shared_bytes else None
    op = gpu.LaunchOp((value(blocks), one, one), (value(threads), one, one), dynamic_shared_memory_size=asked)
    block = op.regions[0].blocks[0]
    arguments = list(block.arguments)
    with ir.InsertionPoint(block):
        yield Grid(op.operation, arguments[0], arguments[3], arguments[6], threads)
        gpu.terminator()


@contextmanager
def each_block(count: Index, threads: int = THREADS) -> Iterator[Grid]:
    """Builds a launch of a block for each of `0 .. count`; inside, what a thread knows.

    Where only the device knows `count`, the host launches as many as there may be: those behind the end do nothing.
    """
    with launch(count, threads) as grid, ExitStack() as stack:
        if not isinstance(count, int):
            stack.enter_context(build.when(build.is_less(grid.block, count)))
        yield grid


@contextmanager
def each(count: Index, most: Index | None = None, threads: int = THREADS) -> Iterator[ir.Value]:
    """Builds a launch whose threads walk over `0 .. count` in strides of the grid; inside, a number.

    `most` is what the host knows `count` not to exceed, where only the device knows `count`.
    """
    bound = count if most is None else most
    blocks = build.minimum(build.ceil_div(bound, threads), MOST_BLOCKS)
    with (
        launch(blocks, threads) as grid,
        build.loop(grid.number, count, build.mul(grid.blocks, threads)) as number,
    ):
        yield number


def barrier() -> None:
    """Waits for all threads of the block, whose writes are then seen."""
    gpu.barrier()


def shuffle(given: ir.Value, offset: int, mode: str) -> ir.Value:
    """`given` of another lane of the warp: `xor`, `up` or `down` by `offset`; where there is none, the lane's own.

    `idx`: that of lane `offset`.
    """
    i32 = ir.IntegerType.get_signless(32)
    type_ = given.type
    if isinstance(type_, ir.IndexType):
        i64 = ir.IntegerType.get_signless(64)
        return arith.index_cast(type_, shuffle(arith.index_cast(i64, given), offset, mode))
    if isinstance(type_, ir.FloatType) and type_.width < 32:
        bits = ir.IntegerType.get_signless(type_.width)
        return arith.bitcast(type_, shuffle(arith.bitcast(bits, given), offset, mode))
    if isinstance(type_, ir.IntegerType) and type_.width < 32:
        # Lanes exchange registers.
        return arith.trunci(type_, shuffle(arith.extui(i32, given), offset, mode))
    attribute = ir.Attribute.parse(f"#gpu<shuffle_mode {mode}>")
    words = as_words(given)
    moved = gpu.ShuffleOp(words, arith.constant(i32, offset), arith.constant(i32, WARP), attribute).results[0]
    return from_words(moved, given.type)


def as_words(given: ir.Value) -> ir.Value:
    """`given` in a type that lanes can exchange: what is narrower than 32 bits in as many."""
    if isinstance(given.type, ir.IndexType):
        return arith.index_cast(ir.IntegerType.get_signless(64), given)
    is_float = not isinstance(given.type, ir.IntegerType)
    width = ir.FloatType(given.type).width if is_float else ir.IntegerType(given.type).width
    if width >= 32:
        return given
    bits = arith.bitcast(ir.IntegerType.get_signless(width), given) if is_float else given
    return arith.extui(ir.IntegerType.get_signless(32), bits)


def from_words(words: ir.Value, type_: ir.Type) -> ir.Value:
    """What `as_words` made of a value of `type_`."""
    if words.type == type_:
        return words
    if isinstance(type_, ir.IndexType):
        return arith.index_cast(type_, words)
    is_float = not isinstance(type_, ir.IntegerType)
    width = ir.FloatType(type_).width if is_float else ir.IntegerType(type_).width
    bits = arith.trunci(ir.IntegerType.get_signless(width), words)
    return arith.bitcast(type_, bits) if is_float else bits


def across_warp(given: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    """All values of a warp combined, in each of its lanes."""
    offset = WARP // 2
    while offset:
        given = combine(given, shuffle(given, offset, "xor"))
        offset //= 2
    return given


def ballot(condition: ir.Value) -> ir.Value:
    """An i32 with a bit for each lane of the warp: whether `condition` holds there. All lanes must come here."""
    return gpu.ballot(ir.IntegerType.get_signless(32), condition)


def atomic_add(amount: ir.Value, buffer: ir.Value, at: Sequence[Index]) -> ir.Value:
    """Adds `amount`, an integer, to an element of `buffer`, one thread after another; what was there before."""
    places = [value(place) for place in at]
    return memref.atomic_rmw(arith.AtomicRMWKind.addi, amount, buffer, places)


def scan(grid: Grid, amount: ir.Value, totals: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The sum of `amount` (i32) over the threads of the block before this one, and over all of them.

    `totals` is shared memory for an i32 of each warp. All threads of the block must come here.
    """
    i32 = ir.IntegerType.get_signless(32)
    lane = arith.index_cast(i32, grid.lane)
    upto = amount
    offset = 1
    while offset < WARP:
        reaches = arith.cmpi(arith.CmpIPredicate.sge, lane, arith.constant(i32, offset))
        before = shuffle(upto, offset, "up")
        upto = arith.addi(upto, arith.select(reaches, before, arith.constant(i32, 0)))
        offset *= 2
    # The block may still read what was there before.
    barrier()
    with build.when(build.compare("eq", grid.lane, WARP - 1)):
        memref.store(upto, totals, [grid.warp])
    barrier()
    before, whole = arith.constant(i32, 0), arith.constant(i32, 0)
    for warp in range(grid.warps):
        total = memref.load(totals, [value(warp)])
        is_before = build.is_less(warp, grid.warp)
        before = arith.addi(before, arith.select(is_before, total, arith.constant(i32, 0)))
        whole = arith.addi(whole, total)
    return arith.addi(before, arith.subi(upto, amount)), whole
