"""Contractions against torch in one process, one thread each, runs interleaved: `python bench/contractions.py`.

Prints the median time of both and their ratio; results are compared before anything is timed. Finding what is live
is part of our time.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy
import torch

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.runtime.engine import Program, build_program

RUNS = 9
MATMUL = """
func.func @main(%x: tensor<{m}x{k}x{t}>, %w: tensor<{w}x{t}>) -> tensor<{m}x{n}x{t}> {{
  %zero = arith.constant 0.0 : {t}
  %e = tensor.empty() : tensor<{m}x{n}x{t}>
  %c = linalg.fill ins(%zero : {t}) outs(%e : tensor<{m}x{n}x{t}>) -> tensor<{m}x{n}x{t}>
  {detect}
  %y = {head} ({{
  ^bb0(%acc: {t}):
    %a = "pit.element"(%x) {{map = affine_map<(m, n, k) -> (m, k)>, compact = false}} : (tensor<{m}x{k}x{t}>) -> {t}
    %b = "pit.element"(%w) {{map = affine_map<(m, n, k) -> ({layout})>, compact = false}} : (tensor<{w}x{t}>) -> {t}
    %p = arith.mulf %a, %b : {t}
    %s = arith.addf %acc, %p : {t}
    "pit.yield"(%s) : ({t}) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> (m, n)>], group = array<i64: 0, 2>, compact = false,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>]}} : (tensor<{m}x{n}x{t}>, !pit.index) -> tensor<{m}x{n}x{t}>
  return %y : tensor<{m}x{n}x{t}>
}}"""
DENSE = """
func.func @main(%x: tensor<{m}x{k}x{t}>, %w: tensor<{w}x{t}>) -> tensor<{m}x{n}x{t}> {{
  %zero = arith.constant 0.0 : {t}
  %e = tensor.empty() : tensor<{m}x{n}x{t}>
  %c = linalg.fill ins(%zero : {t}) outs(%e : tensor<{m}x{n}x{t}>) -> tensor<{m}x{n}x{t}>
  %y = linalg.generic {{indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> ({layout})>,
      affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%x, %w : tensor<{m}x{k}x{t}>, tensor<{w}x{t}>) outs(%c : tensor<{m}x{n}x{t}>) {{
  ^bb0(%a: {t}, %b: {t}, %acc: {t}):
    %p = arith.mulf %a, %b : {t}
    %s = arith.addf %acc, %p : {t}
    linalg.yield %s : {t}
  }} -> tensor<{m}x{n}x{t}>
  return %y : tensor<{m}x{n}x{t}>
}}"""
DETECT = """%K = "pit.detect"(%x) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>,
      micro_tile = 0 : i64}} : (tensor<{m}x{k}x{t}>) -> !pit.index"""


def compiled(text: str) -> Program:
    """The module `text` as a program."""
    context = make_context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(text)
        SelectTiles().run(module.operation, Report())
        return build_program(module)


def matmul(m: int, n: int, k: int, *, transposed: bool, type_: str, is_sparse: bool) -> Program:
    """x (m, k) times w, which is (n, k) if `transposed`, else (k, n); over the live k of x if `is_sparse`."""
    words = {"m": m, "n": n, "k": k, "t": type_}
    words["w"], words["layout"] = (f"{n}x{k}", "n, k") if transposed else (f"{k}x{n}", "k, n")
    words["detect"], words["head"] = DETECT.format(**words), '"pit.generic"(%c, %K)'
    return compiled((MATMUL if is_sparse else DENSE).format(**words))


def values(m: int, k: int, zeros: float, kind: str) -> torch.Tensor:
    """Random values with a share of zeros in 32 x 1 blocks or in whole rows."""
    blocks = {"32x1": (-(-m // 32), k), "rows": (m, 1)}[kind]
    live = torch.rand(blocks) >= zeros
    return torch.randn(m, k) * (live.repeat_interleave(32, 0)[:m] if kind == "32x1" else live)


def medians(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The median time of both in milliseconds, runs interleaved."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(RUNS + 2):
        for side, run in zip(times, (ours, theirs), strict=True):
            start = time.perf_counter()
            run()
            if number > 1:
                side.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def case(name: str, program: Program, x: torch.Tensor, w: torch.Tensor, *, transposed: bool) -> None:
    """Checks and times one contraction, and prints its line."""
    right = w.T if transposed else w
    pointers = [x.data_ptr(), w.data_ptr()]

    def ours() -> list[numpy.ndarray]:
        return program.arrays(program.call(pointers, threads=1))

    expected = x.double() @ right.double()
    actual = torch.from_dlpack(program.call(pointers, threads=1).capsules[0])
    error = ((actual.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()
    assert error < (2e-2 if x.dtype == torch.bfloat16 else 1e-4), f"{name}: wrong by {error}"
    pit_ms, torch_ms = medians(ours, lambda: x @ right)
    print(
        f"{name:42} ours {pit_ms:9.3f} ms  torch {torch_ms:9.3f} ms  ratio {torch_ms / pit_ms:6.2f}",
        flush=True,
    )


def main() -> None:
    """Every case, one line each."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for type_ in (torch.float32, torch.bfloat16):
        name = {torch.float32: "f32", torch.bfloat16: "bf16"}[type_]
        for m, n, k in (
            (2048, 768, 768),
            (2048, 3072, 768),
            (512, 4096, 4096),
            (16, 3072, 768),
            (1, 3072, 768),
        ):
            x, w = torch.randn(m, k).to(type_), torch.randn(n, k).to(type_)
            program = matmul(m, n, k, transposed=True, type_=name, is_sparse=False)
            case(f"dense {name} {m}x{n}x{k}", program, x, w, transposed=True)
    m, n, k = 2048, 512, 2048
    for transposed in (False, True):
        program = matmul(m, n, k, transposed=transposed, type_="f32", is_sparse=True)
        w = torch.randn(n, k) if transposed else torch.randn(k, n)
        for kind in ("32x1", "rows"):
            for zeros in (0.0, 0.5, 0.9, 0.95, 0.99):
                layout = "w(n,k)" if transposed else "w(k,n)"
                case(f"{kind} {zeros} {layout}", program, values(m, k, zeros, kind), w, transposed=transposed)
    for n in (1, 2, 4):
        program = matmul(m, n, k, transposed=True, type_="f32", is_sparse=True)
        for zeros in (0.5, 0.9, 0.99):
            name = f"32x1 {zeros} against {n} columns"
            case(name, program, values(m, k, zeros, "32x1"), torch.randn(n, k), transposed=True)


if __name__ == "__main__":
    main()
