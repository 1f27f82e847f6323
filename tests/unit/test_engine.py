"""Programs are called: arrays in and out, ownership, failed checks, threads, overhead."""

import gc
import threading
import time

import numpy as np
import pytest
from jit import elementwise, program

from pit_mlir.bindings import live_contexts
from pit_mlir.errors import InputError, PlatformError
from pit_mlir.runtime.library import library

ADD_ONE = elementwise("%one = arith.constant 1.0 : f32\n    %q = arith.addf %a, %one : f32", "f32")


def test_results_live_longer_than_the_program() -> None:
    """A program needs no context; its results need no program, and give their memory back."""
    gc.collect()
    before = library().pit_live_bytes()
    compiled = program(ADD_ONE)
    assert live_contexts() == 0
    (result,) = compiled.run_numpy(np.arange(5, dtype=np.float32))
    del compiled
    gc.collect()
    np.testing.assert_array_equal(result, np.arange(1, 6, dtype=np.float32))
    result += 1
    assert library().pit_live_bytes() > before
    del result
    assert library().pit_live_bytes() == before


def test_results_never_alias() -> None:
    """An argument, a constant or one value returned twice: each result has memory of its own."""
    compiled = program("""
func.func @main(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<3xf32>) {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %e = tensor.empty() : tensor<3xf32>
  %y = linalg.exp ins(%x : tensor<3xf32>) outs(%e : tensor<3xf32>) -> tensor<3xf32>
  return %x, %c, %y, %y : tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<3xf32>
}""")
    x = np.array([0.0, 1.0, 2.0], np.float32)
    same, constant, first, second = compiled.run_numpy(x)
    for result in (same, constant, first, second):
        result += 100
    np.testing.assert_array_equal(x, [0, 1, 2])
    again = compiled.run_numpy(x)
    np.testing.assert_array_equal(again[1], [1, 2])
    np.testing.assert_allclose(second, np.exp(x) + 100, rtol=1e-6)


def test_arguments_are_validated() -> None:
    """Count, dtype and shape, with what was given and expected."""
    compiled = program(ADD_ONE)
    with pytest.raises(InputError, match="takes 1 arguments, got 2"):
        compiled.run_numpy(np.zeros(3, np.float32), np.zeros(3, np.float32))
    with pytest.raises(InputError, match="argument 0 has dtype float64, expected float32"):
        compiled.run_numpy(np.zeros(3))
    with pytest.raises(InputError, match=r"argument 0 has shape \(2, 3\), expected tensor<\?xf32>"):
        compiled.run_numpy(np.zeros((2, 3), np.float32))


def test_strided_argument_is_copied() -> None:
    """A view that is not contiguous gives the same numbers."""
    x = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(program(ADD_ONE).run_numpy(x[::2])[0], x[::2] + 1)


def test_scalar_arguments() -> None:
    """An index and a float are passed by value."""
    compiled = program("""
func.func @main(%n: index, %v: f32) -> tensor<?xf32> {
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.fill ins(%v : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}""")
    np.testing.assert_array_equal(compiled.run_numpy(np.int64(3), np.float32(2.5))[0], [2.5] * 3)


def test_failed_check_raises_and_frees() -> None:
    """The message has the place in the program; the next call is fine; nothing stays allocated."""
    compiled = program("""
func.func @main(%x: tensor<?xf32>, %ok: i1) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  "pit.check"(%ok) {message = "not ok"} : (i1) -> ()
  %y = linalg.exp ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}""")
    x = np.zeros(4, np.float32)
    before = library().pit_live_bytes()
    with pytest.raises(InputError, match=r":6:\d+: not ok"):
        compiled.run_numpy(x, np.False_)
    assert library().pit_live_bytes() == before
    np.testing.assert_array_equal(compiled.run_numpy(x, np.True_)[0], [1] * 4)


def test_sizes_that_disagree_are_an_error() -> None:
    """Nothing is read out of bounds."""
    compiled = program("""
func.func @main(%x: tensor<?xf32>, %y: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %z = linalg.add ins(%x, %y : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}""")
    with pytest.raises(InputError, match="sizes of the operands of an operation differ"):
        compiled.run_numpy(np.zeros(1000000, np.float32), np.zeros(1, np.float32))
    np.testing.assert_array_equal(
        compiled.run_numpy(np.ones(3, np.float32), np.ones(3, np.float32))[0], [2] * 3
    )


def test_division_by_zero_is_an_error() -> None:
    """Neither zero nor the quotient that overflows traps."""
    compiled = program(elementwise("%d = arith.constant 7 : i32\n    %q = arith.divsi %d, %a : i32", "i32"))
    np.testing.assert_array_equal(compiled.run_numpy(np.array([2, -1], np.int32))[0], [3, -7])
    with pytest.raises(InputError, match="integer division by zero"):
        compiled.run_numpy(np.array([2, 0], np.int32))
    lowest = elementwise("%d = arith.constant -1 : i32\n    %q = arith.divsi %a, %d : i32", "i32")
    program(lowest).run_numpy(np.array([-(2**31)], np.int32))


def test_gather_out_of_range_does_not_crash() -> None:
    """The index is clamped; telling the user is the business of a check."""
    compiled = program("""
#id = affine_map<(i) -> (i)>
func.func @main(%t: tensor<?xf32>, %i: tensor<?xi64>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %i, %c0 : tensor<?xi64>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%i : tensor<?xi64>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = arith.index_cast %a : i64 to index
    %v = tensor.extract %t[%p] : tensor<?xf32>
    linalg.yield %v : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}""")
    table = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(compiled.run_numpy(table, np.array([0, 2, 2**60, -5]))[0], [1, 3, 3, 1])
    compiled.run_numpy(np.zeros(0, np.float32), np.array([0, 2, 2**60]))


SCRATCH = """
func.func @main(%rows: index, %scratch: index) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %result = memref.alloc(%rows) : memref<?xf32>
  scf.parallel (%i) = (%c0) to (%rows) step (%c1) {
    %buffer = memref.alloc(%scratch) : memref<?xf32>
    memref.store %one, %buffer[%i] : memref<?xf32>
    %x = memref.load %buffer[%i] : memref<?xf32>
    memref.store %x, %result[%i] : memref<?xf32>
    memref.dealloc %buffer : memref<?xf32>
    scf.reduce
  }
  return %result : memref<?xf32>
}"""


def test_no_memory_in_a_parallel_region_is_an_error() -> None:
    """Whoever runs the threads, torch's OpenMP or our own pool: all leave the region, nothing stays allocated."""
    compiled = program(SCRATCH)
    before = library().pit_live_bytes()
    for _ in range(20):
        with pytest.raises(PlatformError, match=r"out of memory.*MiB"):
            compiled.run_numpy(8, 1 << 55, threads=2)
        assert library().pit_live_bytes() == before
        np.testing.assert_array_equal(compiled.run_numpy(8, 8, threads=2)[0], np.ones(8))


def test_calls_from_several_threads() -> None:
    """Each call has its own descriptors, blocks and failures."""
    compiled = program(ADD_ONE)
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.full(70000 + seed, seed, np.float32)
        for _ in range(20):
            if not (compiled.run_numpy(x)[0] == seed + 1).all():
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_overhead_is_told() -> None:
    """Printed, not asserted: machines differ."""
    compiled = program(ADD_ONE)
    x = np.zeros(8, np.float32)
    pointers, sizes = [x.ctypes.data], [8]
    start = time.perf_counter()
    for _ in range(1000):
        compiled.call(pointers, sizes)
    print(f"a call of a tiny program: {(time.perf_counter() - start) * 1e3:.1f} us")


@pytest.mark.parametrize("returned", ["part", "reshaped", "filled"])
def test_parts_of_tensors_are_returned_whole(returned: str) -> None:
    """A slice, a reshaped slice and what was written into a slice: their buffers are not contiguous."""
    compiled = program(f"""
func.func @main(%x: tensor<?x6x?xf32>, %b: index, %n: index) -> (tensor<?x2x?xf32>, tensor<?x6x?xf32>) {{
  %z = arith.constant 7.0 : f32
  %e = tensor.empty(%b, %n) : tensor<?x6x?xf32>
  %y = linalg.exp ins(%x : tensor<?x6x?xf32>) outs(%e : tensor<?x6x?xf32>) -> tensor<?x6x?xf32>
  %part = tensor.extract_slice %y[0, 1, 0] [%b, 2, %n] [1, 1, 1] : tensor<?x6x?xf32> to tensor<?x2x?xf32>
  %flat = tensor.collapse_shape %part [[0], [1, 2]] : tensor<?x2x?xf32> into tensor<?x?xf32>
  %reshaped = tensor.expand_shape %flat [[0], [1, 2]] output_shape [%b, 2, %n]
      : tensor<?x?xf32> into tensor<?x2x?xf32>
  %filled = linalg.fill ins(%z : f32) outs(%part : tensor<?x2x?xf32>) -> tensor<?x2x?xf32>
  return %{returned}, %y : tensor<?x2x?xf32>, tensor<?x6x?xf32>
}}""")
    x = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32)
    part, whole = compiled.run_numpy(x, np.int64(3), np.int64(4))
    np.testing.assert_allclose(whole, np.exp(x), rtol=1e-6)
    expected = np.full((3, 2, 4), 7.0) if returned == "filled" else np.exp(x)[:, 1:3]
    np.testing.assert_allclose(part, expected, rtol=1e-6)
