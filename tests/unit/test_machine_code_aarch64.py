"""The loader's AArch64: objects of LLVM for it, linked here and run by an emulated processor."""

import struct
from collections.abc import Callable

import llvmlite.binding as llvmlite
import numpy as np
import pytest
import unicorn
from unicorn import arm64_const as arm
from unicorn.unicorn_py3.unicorn import Uc, UcError

from pit_mlir.runtime import elf, relocations
from pit_mlir.runtime.elf import ObjectFile
from pit_mlir.runtime.machine_code import Layout, is_loadable, link

CODE = """
target triple = "aarch64-unknown-linux-gnu"
@table = internal constant [6 x i64] [i64 7, i64 1, i64 -8, i64 2, i64 8, i64 -1]
@pointer = internal global ptr @table
@scales = internal constant [5 x double] [double 1.5, double 2.5, double -3.5, double 1.0e300, double 0.0]
@kept = internal global [700 x i64] zeroinitializer
declare double @twice(double)
declare void @call(ptr)

define internal double @scaled(double %x) noinline {
  %y = call double @twice(double %x)
  %z = fmul double %y, 0x400921FB54442D18
  ret double %z
}

define double @compute(i64 %i, double %x) {
  %scale.at = getelementptr double, ptr @scales, i64 %i
  %scale = load double, ptr %scale.at
  %y = call double @scaled(double %x)
  %z = fadd double %y, %scale
  ret double %z
}

define i64 @look(i64 %i) {
  %entry.at = getelementptr i64, ptr @table, i64 %i
  %entry = load i64, ptr %entry.at
  %first.at = load ptr, ptr @pointer
  %first = load i64, ptr %first.at
  %kept.at = getelementptr i64, ptr @kept, i64 %i
  %before = load i64, ptr %kept.at
  %after = add i64 %before, %entry
  store i64 %after, ptr %kept.at
  %sum = add i64 %after, %first
  ret i64 %sum
}

define void @pass() {
  tail call void @call(ptr @scaled)
  ret void
}
"""
BASE, ELSEWHERE, STACK = 0x1234_5678_9000, 0x7FFF_1111_2000, 0x10_0000
RETURN = ELSEWHERE + 0x800


@pytest.fixture(scope="module")
def content() -> bytes:
    llvmlite.initialize_all_targets()
    llvmlite.initialize_all_asmprinters()
    target = llvmlite.Target.from_triple("aarch64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="generic", opt=3, reloc="static", codemodel="large", jit=True)
    return machine.emit_object(llvmlite.parse_assembly(CODE))


class Processor:
    """One that runs the program in `content`; the functions of others are `twice` and `call`, instructions that stop."""

    def __init__(self, content: bytes) -> None:
        file = ObjectFile(content)
        self.layout = Layout.of(file, file.symbols())
        view = np.zeros(self.layout.size, np.uint8)
        self.others = {"twice": ELSEWHERE, "call": ELSEWHERE + 16}
        self.names = link(file, self.layout, view, BASE, self.others.__getitem__)
        self.machine = Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        access = {
            elf.EXECUTABLE: unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC,
            0: unicorn.UC_PROT_READ,
            elf.WRITABLE: unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE,
        }
        for kind, (begin, end) in self.layout.pages.items():
            if end > begin:
                self.machine.mem_map(BASE + begin, end - begin, access[kind])
                self.machine.mem_write(BASE + begin, view[begin:end].tobytes())
        self.machine.mem_map(ELSEWHERE, 4096)
        self.machine.mem_map(STACK, 65536)
        # `fadd d0, d0, d0` and `ret`; `br x0` to what was passed, which returns to the caller.
        self.machine.mem_write(ELSEWHERE, struct.pack("<II", 0x1E602800, 0xD65F03C0))
        self.machine.mem_write(ELSEWHERE + 16, struct.pack("<I", 0xD61F0000))

    def run(self, name: str, integer: int = 0, double: float = 0.0) -> tuple[int, float]:
        """Calls the function `name`; what its two registers for results hold."""
        self.machine.reg_write(arm.UC_ARM64_REG_SP, STACK + 32768)
        self.machine.reg_write(arm.UC_ARM64_REG_X30, RETURN)
        self.machine.reg_write(arm.UC_ARM64_REG_X0, integer)
        self.machine.reg_write(arm.UC_ARM64_REG_CPACR_EL1, 3 << 20)
        (bits,) = struct.unpack("<Q", struct.pack("<d", double))
        self.machine.reg_write(arm.UC_ARM64_REG_D0, bits)
        self.machine.emu_start(self.names[name], RETURN, count=1000)
        assert self.machine.reg_read(arm.UC_ARM64_REG_PC) == RETURN, "it came back"
        (result,) = struct.unpack("<d", struct.pack("<Q", self.machine.reg_read(arm.UC_ARM64_REG_D0)))
        number = self.machine.reg_read(arm.UC_ARM64_REG_X0)
        return number - (number >> 63 << 64), result


def test_constants_calls_and_stubs(content: bytes) -> None:
    """Addresses in four instructions, calls within the file, and calls that leave it for what lies far away."""
    processor = Processor(content)
    assert len(processor.layout.stubs) == 2
    for i, scale in enumerate((1.5, 2.5, -3.5, 1.0e300, 0.0)):
        assert processor.run("compute", i, 0.75)[1] == 1.5 * np.pi + scale
    assert processor.run("pass", double=0.25)[1] == 0.5 * np.pi


def test_pointers_and_memory_of_zeros(content: bytes) -> None:
    """An address among the data, and a section that the file has no bytes of, which keeps what is written."""
    processor = Processor(content)
    for round_ in (1, 2):
        for i, entry in enumerate((7, 1, -8, 2, 8, -1)):
            assert processor.run("look", i)[0] == round_ * entry + 7


@pytest.mark.parametrize("kind", [264, 266, 268, 283])
def test_each_kind_is_needed(content: bytes, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """A loader that left one out would compute something else, or run into nothing; the topmost bits are zero anyway."""
    nothing: Callable[..., None] = lambda *_: None
    table = relocations.DISTANCES if kind == 283 else relocations.ADDRESSES
    monkeypatch.setitem(table[elf.AARCH64], kind, nothing)
    processor = Processor(content)
    try:
        found = processor.run("compute", 1, 0.75)[1]
    except (UcError, AssertionError):
        return
    assert found != 1.5 * np.pi + 2.5


def test_where_it_is_loadable(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_loadable(content)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert is_loadable(content)
    kinds = [table for _, table in ObjectFile(content).relocations()]
    place = content.find(kinds[0].tobytes())
    changed = bytearray(content)
    struct.pack_into("<I", changed, place + 8, 275)
    assert not is_loadable(bytes(changed)), "an address of 21 bits, which the large model has none of"
