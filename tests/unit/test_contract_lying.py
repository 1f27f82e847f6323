"""Rows of a dense contraction that are read where they lie: their values, and nothing behind the last one."""

import ctypes
import mmap

import numpy
import pytest
from contraction_text import NUMPY, Contraction, assert_close, cached, poisoned, program, random, wide

from pit_mlir.codegen.cpu.contract_lying import BYTES_APART, LEAST_ROWS
from pit_mlir.codegen.cpu.contract_packed import PackedForm


def at_the_end(array: numpy.ndarray) -> tuple[numpy.ndarray, mmap.mmap]:
    """A copy of `array` whose last byte is the last one that may be read, and the memory that it lies in."""
    pages = -(-array.nbytes // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    no_access = 0
    assert (
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(begin + pages * mmap.PAGESIZE), mmap.PAGESIZE, no_access)
        == 0
    )
    copy = numpy.ndarray(array.shape, array.dtype, memory, pages * mmap.PAGESIZE - array.nbytes)
    copy[...] = array
    return copy, memory


@pytest.mark.parametrize(
    ("type_", "equation"),
    [
        ("bf16", "mk,nk->mn"),
        ("bf16", "mk,kn->mn"),
        ("f32", "mk,nk->mn"),
        ("f64", "mk,nk->mn"),
        ("f32", "bmk,bnk->bmn"),
    ],
)
def test_sizes(type_: str, equation: str) -> None:
    """Whole tiles and rows left over, one step of the depth and several, all rows at the end of their memory."""
    contraction = Contraction(equation, type_, "f64" if type_ == "f64" else "f32")
    rng = numpy.random.default_rng(0)
    for m, n, k in ((LEAST_ROWS, 700, 2), (239, 131, 1030)):
        sizes = {"b": 2, "m": m, "n": n, "k": k}
        left, right = (random(rng, [sizes[i] for i in term], type_) for term in contraction.terms[:2])
        init = numpy.zeros([sizes[i] for i in contraction.terms[2]], NUMPY[contraction.result])
        compiled = cached(
            Contraction(equation, type_, contraction.result, dynamic=type_ != "bf16").text(sizes)
        )
        compiled.run_numpy(poisoned(left), poisoned(right), init)
        rows, _memory = at_the_end(left)
        [actual] = compiled.run_numpy(rows, right, init)
        assert_close(actual, numpy.einsum(equation, wide(left), wide(right)), contraction.result, k)


def test_rows_that_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows, few columns, and rows that share cache sets are packed; others are not, whatever the types say."""
    with monkeypatch.context() as patch:
        patch.setattr(PackedForm, "build_task", lambda *_: None)
        compiled = program(Contraction("mk,nk->mn").text({}))
    many = LEAST_ROWS
    cases = [(many, 256, 40), (many - 1, 256, 40), (many, 64, 40), (many, 256, BYTES_APART // 4)]
    for number, (m, n, k) in enumerate(cases):
        left, right = numpy.full((m, k), number + 1, numpy.float32), numpy.ones((n, k), numpy.float32)
        [actual] = compiled.run_numpy(left, right, numpy.zeros((m, n), numpy.float32))
        assert (actual == k * (number + 1)).all() == (number == 0), (m, n, k)
