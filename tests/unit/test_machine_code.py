"""Object files as the loader takes them: what they compute, what it refuses, and that their memory goes."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from jit import elementwise, program

from pit_mlir.errors import UnsupportedError
from pit_mlir.runtime.elf import ObjectFile
from pit_mlir.runtime.machine_code import MachineCode, is_loadable
from pit_mlir.runtime.program import Code, Program

EXP = elementwise("%q = math.exp %a : f64", "f64")
TABLE = """
func.func @main(%i: tensor<?xi64>) -> tensor<?xi64> {
  %table = arith.constant dense<[7, 1, -8, 2, 8, -1]> : tensor<6xi64>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %i, %c0 : tensor<?xi64>
  %e = tensor.empty(%n) : tensor<?xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
      ins(%i : tensor<?xi64>) outs(%e : tensor<?xi64>) {
  ^bb0(%a: i64, %o: i64):
    %k = arith.index_cast %a : i64 to index
    %v = tensor.extract %table[%k] : tensor<6xi64>
    linalg.yield %v : i64
  } -> tensor<?xi64>
  return %y : tensor<?xi64>
}"""


@pytest.fixture(scope="module")
def code() -> Code:
    return program(EXP).code


def mapped_bytes() -> int:
    """How much memory of this process may be executed and belongs to no file."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    spans = (re.match(r"(\w+)-(\w+) r-xp \S+ \S+ 0\s*$", line) for line in lines)
    return sum(int(span[2], 16) - int(span[1], 16) for span in spans if span)


def test_functions_and_constants_of_others(code: Code) -> None:
    """Calls into libraries, and a table among the constants."""
    x = np.linspace(-3, 3, 37)
    np.testing.assert_allclose(Program(code).run_numpy(x)[0], np.exp(x), rtol=1e-14)
    i = np.array([5, 0, 3, 3])
    np.testing.assert_array_equal(program(TABLE).run_numpy(i)[0], np.array([7, 1, -8, 2, 8, -1])[i])


def test_the_same_bytes_twice(code: Code) -> None:
    """They lie at two places, each with its own addresses."""
    one, other = Program(code), Program(code)
    x = np.linspace(-1, 1, 1000)
    assert one._entry != other._entry
    np.testing.assert_array_equal(one.run_numpy(x)[0], other.run_numpy(x)[0])


def test_memory_goes_with_the_code(code: Code) -> None:
    before = mapped_bytes()
    loaded = [MachineCode(code.object_file) for _ in range(50)]
    assert mapped_bytes() >= before + 50 * 4096
    del loaded
    assert mapped_bytes() == before


def test_no_page_can_be_both_written_and_run(code: Code) -> None:
    loaded = MachineCode(code.object_file)
    address = loaded.address("_mlir__mlir_ciface_main")
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(word, 16) for word in line.split()[0].split("-"))
        if begin <= address < end:
            assert line.split()[1] == "r-xp"
            return
    pytest.fail("the code is nowhere")


def first_relocation(content: bytes | bytearray) -> int:
    """Where the first relocation of a section that is placed stands in the file."""
    file = ObjectFile(bytes(content))
    return next(s.offset for s in file.sections if s.kind == 4 and file.sections[s.info].is_placed)


def test_relocations_that_nobody_knows_are_refused(code: Code) -> None:
    content = bytearray(code.object_file)
    assert is_loadable(bytes(content))
    struct.pack_into("<I", content, first_relocation(content) + 8, 42)
    assert not is_loadable(bytes(content))


def test_other_processors_are_refused(code: Code) -> None:
    content = bytearray(code.object_file)
    struct.pack_into("<H", content, 18, 183)
    assert not is_loadable(bytes(content))


def test_a_function_that_nobody_has(code: Code) -> None:
    content = code.object_file.replace(b"__kmpc_global_thread_num\0", b"__kmpc_global_thread_nvm\0")
    assert content != code.object_file
    with pytest.raises(UnsupportedError, match="it calls '__kmpc_global_thread_nvm'"):
        MachineCode(content)


def test_distances(code: Code) -> None:
    """R_X86_64_PC64: how far a symbol lies from the place that says so."""
    content = bytearray(code.object_file)
    place = first_relocation(content)
    entry = next(table for _, table in ObjectFile(bytes(content)).relocations())[0]
    struct.pack_into("<I", content, place + 8, 24)
    sides = [MachineCode(bytes(c)) for c in (code.object_file, content)]
    starts = [side.address("main..omp_par") for side in sides]
    where = [start + int(entry["offset"]) for start in starts]
    section = ObjectFile(code.object_file).sections[
        ObjectFile(code.object_file).symbols()[entry["symbol"]].section
    ]
    assert section.is_placed
    absolute, distance = (int(np.ctypeslib.as_array(as_words(w), (1,))[0]) for w in where)
    moved = sides[1]._named["main..omp_par"] - sides[0]._named["main..omp_par"]
    assert (distance + where[1]) % 2**64 == absolute + moved


def as_words(address: int) -> object:
    """A pointer to 64-bit words at `address`."""
    import ctypes

    return ctypes.cast(address, ctypes.POINTER(ctypes.c_uint64))
