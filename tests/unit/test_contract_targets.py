"""Contractions for other processors than this one: what the narrower vectors and fewer registers change."""

import re
from dataclasses import replace

import llvmlite.binding as llvmlite
import numpy
import pytest
from contraction_text import Contraction, assert_close, program, random, wide
from test_contract_sparse import k_list, sparse

from pit_mlir.bindings import ir, llvm
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes import pit_lower_to_cpu
from pit_mlir.passes.pipelines import cpu_pipeline
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.machine_code import is_loadable
from pit_mlir.target import host, with_vectors


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("type_", ["f32", "f64", "bf16"])
def test_dense_on_any_vector_width(monkeypatch: pytest.MonkeyPatch, bits: int, type_: str) -> None:
    """The same numbers whatever the vectors hold; many rows, more than there are lines to ask for, and few."""
    if bits > host().vector_bits:
        pytest.skip("the processor has no vectors of this width")
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: with_vectors(host(), bits))
    contraction = Contraction("mk,nk->mn", type_, type_)
    compiled = program(contraction.text({}))
    rng = numpy.random.default_rng(0)
    for m, n, k in ((23, 41, 70), (125, 41, 300), (2, 41, 270)):
        operands = [random(rng, shape, type_) for shape in ((m, k), (n, k))]
        [actual] = compiled.run_numpy(*operands, numpy.zeros((m, n), operands[0].dtype))
        assert_close(actual, wide(operands[0]) @ wide(operands[1]).T, type_, k)


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("equation", ["mk,kn->mn", "mk,nk->mn"])
def test_lists_on_any_vector_width(monkeypatch: pytest.MonkeyPatch, bits: int, equation: str) -> None:
    """Lists of k, gathered and shared columns."""
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: with_vectors(host(), bits))
    rng = numpy.random.default_rng(1)
    a, b = sparse(rng, (45, 300), 0.7, "blocks"), rng.standard_normal((300, 37)).astype(numpy.float32)
    layout = b if equation == "mk,kn->mn" else numpy.ascontiguousarray(b.T)
    compiled = program(k_list(equation, "a", 0))
    [actual] = compiled.run_numpy(a, layout, numpy.zeros((45, 37), numpy.float32))
    assert_close(actual, a.astype(float) @ b, "f32", 300)


@pytest.mark.parametrize("type_", ["f32", "bf16"])
def test_neon(monkeypatch: pytest.MonkeyPatch, type_: str) -> None:
    """The same code generator serves aarch64: its object multiplies and adds vectors of four floats."""
    arm = replace(
        with_vectors(host(), 128), architecture="aarch64", features=frozenset({"asimd"}), registers=32
    )
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: arm)
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(Contraction("mk,nk->mn", type_, "f32").text({}))
        SelectTiles().run(module.operation, Report())
        run_pipeline(module, cpu_pipeline(), None)
        text = llvm.translate_module_to_llvmir(module.operation)
    llvmlite.initialize_all_targets()
    llvmlite.initialize_all_asmprinters()
    target = llvmlite.Target.from_triple("aarch64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="neoverse-n1", opt=3, codemodel="large", jit=True)
    compiled = llvmlite.parse_assembly(text)
    compiled.triple, compiled.data_layout = machine.triple, str(machine.target_data)
    elf = machine.emit_object(compiled)
    assert elf[:4] == b"\x7fELF" and int.from_bytes(elf[18:20], "little") == 183, "an object for aarch64"
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert is_loadable(elf), "so that it can be stored"
    assembly = machine.emit_assembly(compiled)
    kernel = re.search(
        r"^pit_micro_dense_f32_14x2x4p\d+:$(.*?)^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE
    )
    assert kernel is not None and kernel[1].count("fmla\tv") >= 28, "14 x 2 vectors of sums"


def test_host() -> None:
    """What is known of this machine is usable."""
    machine = host()
    assert machine.vector_bits in (128, 256, 512) and machine.registers in (16, 32)
    assert machine.threads >= 1 and machine.l1_bytes > 0 and machine.l2_bytes >= machine.l1_bytes
    assert with_vectors(machine, 256).lanes(32) == 8 and not with_vectors(machine, 256).has_bf16_dot
