"""Contractions for other processors than this one: what the narrower vectors and fewer registers change."""

import numpy
import pytest
from contraction_text import Contraction, assert_close, program, random, wide
from test_contract_sparse import k_list, sparse

from pit_mlir.passes import pit_lower_to_cpu
from pit_mlir.target import host, with_vectors


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("type_", ["f32", "f64", "bf16"])
def test_dense_on_any_vector_width(monkeypatch: pytest.MonkeyPatch, bits: int, type_: str) -> None:
    """The same numbers whatever the vectors hold; many rows and few."""
    if bits > host().vector_bits:
        pytest.skip("the processor has no vectors of this width")
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: with_vectors(host(), bits))
    contraction = Contraction("mk,nk->mn", type_, type_)
    compiled = program(contraction.text({}))
    rng = numpy.random.default_rng(0)
    for m, n, k in ((23, 41, 70), (2, 41, 270)):
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


def test_host() -> None:
    """What is known of this machine is usable."""
    machine = host()
    assert machine.vector_bits in (128, 256, 512) and machine.registers in (16, 32)
    assert machine.threads >= 1 and machine.l1_bytes > 0 and machine.l2_bytes >= machine.l1_bytes
    assert with_vectors(machine, 256).lanes(32) == 8 and not with_vectors(machine, 256).has_bf16_dot
