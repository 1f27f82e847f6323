"""Nothing is written behind a buffer of a kernel: each is followed by a fence, which is looked at when it is freed."""

import ctypes
from typing import Any

import numpy
import pytest
from contraction_text import Contraction, program
from test_contract_sparse import k_list, list_of_rows, sparse

from pit_mlir.runtime import machine_code
from pit_mlir.runtime.library import library

FENCE = 64 * 1024


class Fences:
    """The runtime to machine code, but for buffers, which have fences; `broken` are the sizes of those overwritten."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.broken: list[int] = []
        self.freed = 0
        self.runtime = library()
        self.pit_publish_code = self.runtime.pit_publish_code
        self.replaced: dict[str, Any] = {
            "_mlir_memref_to_llvm_alloc": ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint64)(self.alloc),
            "_mlir_memref_to_llvm_free": ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.free),
        }

    def __getitem__(self, name: str) -> Any:
        return self.replaced.get(name) or self.runtime[name]

    def alloc(self, size: int) -> int:
        """A buffer with a fence."""
        address = self.runtime.pit_alloc(size + FENCE)
        ctypes.memset(address + size, 0xAB, FENCE)
        self.sizes[address] = size
        return address

    def free(self, address: int | None) -> None:
        """Frees a buffer and looks at its fence."""
        if address is None:
            return
        size = self.sizes.pop(address)
        self.freed += 1
        if ctypes.string_at(address + size, FENCE) != b"\xab" * FENCE:
            self.broken.append(size)
        self.runtime.pit_free(address)


@pytest.fixture
def fences(monkeypatch: pytest.MonkeyPatch) -> Fences:
    """Machine code that is loaded from now on has fences behind its buffers."""
    made = Fences()
    monkeypatch.setattr(machine_code, "library", lambda: made)
    return made


@pytest.mark.parametrize("equation", ["mk,kn->mn", "km,nk->mn"])
@pytest.mark.parametrize(("made", "block"), [(k_list, 1), (k_list, 17), (list_of_rows, 64)])
def test_lists(fences: Fences, equation: str, made: Any, block: int) -> None:
    """Rows that lie along the depth and across it, for blocks of fewer and more rows than a vector has lanes."""
    compiled = program(made(equation, "a", block))
    rng = numpy.random.default_rng(0)
    left, right = equation.split("->")[0].split(",")
    for m in (1, 16, 31, 128):
        a, b = sparse(rng, (m, 300), 0.8, "any"), rng.standard_normal((300, 33)).astype(numpy.float32)
        operands = [numpy.ascontiguousarray(a if left == "mk" else a.T)]
        operands.append(numpy.ascontiguousarray(b if right == "kn" else b.T))
        [actual] = compiled.run_numpy(*operands, numpy.zeros((m, 33), numpy.float32), threads=2)
        numpy.testing.assert_allclose(actual, a.astype(float) @ b, rtol=1e-4, atol=1e-4)
    assert fences.freed
    assert not fences.broken


@pytest.mark.parametrize("equation", ["mk,nk->mn", "km,kn->mn"])
@pytest.mark.parametrize("type_", ["f32", "bf16"])
def test_dense(fences: Fences, equation: str, type_: str) -> None:
    """Few rows and many, in pairs and alone."""
    compiled = program(Contraction(equation, type_).text({}))
    left, right = equation.split("->")[0].split(",")
    for m, k in ((1, 33), (5, 1), (17, 1025), (129, 300), (300, 70)):
        sizes = {"m": m, "n": 65, "k": k}
        rng = numpy.random.default_rng(0)
        operands = [
            rng.integers(-3, 4, [sizes[i] for i in term]).astype(numpy.float32) for term in (left, right)
        ]
        expected = numpy.einsum(equation, *operands)
        given = [operand.astype("bfloat16" if type_ == "bf16" else numpy.float32) for operand in operands]
        [actual] = compiled.run_numpy(*given, numpy.zeros((m, 65), numpy.float32), threads=2)
        numpy.testing.assert_array_equal(actual, expected)
    assert fences.freed
    assert not fences.broken
