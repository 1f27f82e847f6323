"""`cp.async`: copies from global to shared memory that a thread does not wait for (sm_80 and later)."""

from pit_mlir.bindings import ir, nvgpu, nvvm
from pit_mlir.codegen.build import Index, bytes_of, value
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES

SIZES = (4, 8, 16)
"""The bytes that one instruction copies; both addresses are multiples of that."""


def may_copy(element: ir.Type, count: int) -> bool:
    """Whether there is an instruction that copies `count` elements."""
    return count * bytes_of(element) in SIZES


def copy(
    source: ir.Value, at: Index, target: ir.Value, to: Index, count: int, live: Index | None = None
) -> None:
    """Starts to copy `count` elements from `source[at]` to `target[to]`, which is shared; the first `live` of them.

    The others become 0, and nothing of them is read. Without `live` all are copied.
    """
    element = ir.MemRefType(target.type).element_type
    assert may_copy(element, count), f"no cp.async copies {count} elements of {element}"
    nvgpu.DeviceAsyncCopyOp(
        target,
        [value(to)],
        source,
        [value(at)],
        count,
        srcElements=None if live is None else value(live),
        # Only copies of 16 bytes may pass by the first cache, which has nothing to do with what shared memory holds.
        bypassL1=True if count * bytes_of(element) == CHUNK_BYTES else None,
        results=[ir.Type.parse("!nvgpu.device.async.token")],
    )


def commit() -> None:
    """Makes a group of all copies that were started since the last one."""
    nvvm.CpAsyncCommitGroupOp()


def wait(pending: int) -> None:
    """Waits until at most the last `pending` groups of the thread are under way."""
    nvvm.CpAsyncWaitGroupOp(pending)
