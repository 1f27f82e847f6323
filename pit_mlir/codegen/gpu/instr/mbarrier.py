"""`mbarrier`: barriers in shared memory that some threads arrive at and others wait for (sm_80; as used here sm_90)."""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, llvm, nvvm
from pit_mlir.codegen.build import Index, add, mul, value

BYTES = 8
"""What a barrier takes."""
TICKS = 10_000_000
"""Nanoseconds that one try to pass may take before it is made again."""


@dataclass(frozen=True)
class Barriers:
    """Barriers one after another in shared memory, from the address `start` (an index) on."""

    start: Index

    def pointer(self, number: Index) -> ir.Value:
        """Where barrier `number` lies."""
        return shared_pointer(add(self.start, mul(number, BYTES)))

    def init(self, number: Index, count: int) -> None:
        """Barrier `number` lets pass when `count` threads have arrived. One thread says so, before a fence."""
        nvvm.MBarrierInitOp(self.pointer(number), arith.constant(ir.IntegerType.get_signless(32), count))

    def arrive(self, number: Index) -> None:
        """The thread has arrived: what it did before is seen by who passes."""
        i64 = ir.IntegerType.get_signless(64)
        nvvm.MBarrierArriveOp(self.pointer(number), results=[i64])

    def arrive_for(self, number: Index, count: int) -> None:
        """The thread has arrived, and the copy engine will bring `count` bytes: who passes sees them too."""
        i32, i64 = (ir.IntegerType.get_signless(bits) for bits in (32, 64))
        nvvm.MBarrierArriveExpectTxOp(self.pointer(number), arith.constant(i32, count), results=[i64])

    def wait(self, number: Index, parity: Index) -> None:
        """Waits until the phase of barrier `number` with `parity` is over: 0 for the first, 1 for the second, ..."""
        i32 = ir.IntegerType.get_signless(32)
        phase = arith.index_cast(i32, value(parity))
        nvvm.MBarrierTryWaitParityOp(self.pointer(number), phase, arith.constant(i32, TICKS))


def fence_init() -> None:
    """Barriers that were set up are seen as such by whoever waits, after the next barrier of the block."""
    nvvm.FenceMbarrierInitOp()


def fence_async() -> None:
    """What the thread wrote to shared memory is seen by tensor cores, which read it past the threads."""
    kind = ir.Attribute.parse("#nvvm.proxy_kind<async.shared>")
    nvvm.FenceProxyOp(kind, space=ir.Attribute.parse("#nvvm.shared_space<cta>"))


def shared_pointer(address: Index) -> ir.Value:
    """A pointer into shared memory at `address`, an index."""
    i64 = ir.IntegerType.get_signless(64)
    return llvm.inttoptr(ir.Type.parse("!llvm.ptr<3>"), arith.index_cast(i64, value(address)))
