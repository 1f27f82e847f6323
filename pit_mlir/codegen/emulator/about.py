"""What the runtime must know of kernels that it runs on the host. No MLIR in here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelInfo:
    """A kernel: the types of its `parameters` as MLIR writes them, the bytes of shared memory that it declares, whether
    its threads ever wait for each other, and the most threads of a block (0: any)."""

    name: str
    parameters: tuple[str, ...]
    shared_bytes: int
    meets: bool
    max_threads: int
