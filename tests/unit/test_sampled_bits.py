"""What a sample of bits counts: what all of them do where nothing is left out, and nearly that elsewhere."""

from collections.abc import Sequence
from functools import cache

import numpy
import pytest
from contraction_text import poisoned

from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.codegen.build import value
from pit_mlir.codegen.cpu.sampled_bits import sample_of
from pit_mlir.codegen.index_buffers import MicroTile
from pit_mlir.dialect import make_context
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program

TILES = (MicroTile(8, 1), MicroTile(32, 1), MicroTile(1, 64))


@cache
def counting(type_: str) -> Program:
    """A program that says what a sample tells of micro-tiles of each shape, and whether it left anything out."""
    text = f"""func.func @main(%a: {type_}) -> tensor<4xi64> {{
      %c = arith.constant dense<0> : tensor<4xi64>
      return %c : tensor<4xi64>
    }}"""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        body = module.body.operations[0].regions[0].blocks[0]
        back = body.operations[len(body.operations) - 1].operation
        with ir.InsertionPoint(back):
            sample = sample_of(body.arguments[0], TILES, everything=False)
            numbers = [*(sample.counts[tile] for tile in TILES), sample.if_not_all(1, 0)]
            i64 = ir.IntegerType.get_signless(64)
            values = [arith.index_cast(i64, value(number)) for number in numbers]
            back.operands[0] = tensor.from_elements(ir.RankedTensorType.get([len(values)], i64), values)
        return build_program(module)


def counted(a: numpy.ndarray) -> list[int]:
    """What all bits of `a` count."""
    rows = a if a.ndim == 3 else a[None]
    found: list[int] = []
    for height, long in TILES:
        high, wide = -rows.shape[1] % height, -rows.shape[2] % long
        live = numpy.pad(rows != 0, ((0, 0), (0, high), (0, wide)))
        tiles = live.reshape(rows.shape[0], live.shape[1] // height, height, live.shape[2] // long, long)
        found.append(int(tiles.any(axis=(2, 4)).sum()))
    return found


def test_small_matrices_are_counted_whole() -> None:
    """Nothing is left out, whatever the sizes, and whether they are known or not."""
    rng = numpy.random.default_rng(0)
    for type_, *shapes in (
        ("tensor<?x?xf32>", (40, 513), (1, 1), (7, 33), (127, 1500), (0, 7), (33, 0)),
        ("tensor<40x513xf32>", (40, 513)),
    ):
        for shape in shapes:
            a = numpy.where(rng.random(shape) < 0.03, 1, 0).astype(numpy.float32)
            [found] = counting(type_).run_numpy(a)
            assert list(found) == [*counted(a), 0]


def patterns(shape: Sequence[int]) -> dict[str, numpy.ndarray]:
    """Patterns of zeros that a sample might miss."""
    rng = numpy.random.default_rng(1)
    row, step = numpy.indices(shape[-2:], sparse=True)
    return {
        "anywhere": rng.random(shape) < 0.05,
        "half of each row": numpy.broadcast_to(step < shape[-1] // 2, shape),
        "half of the rows": numpy.broadcast_to(row < shape[-2] // 2, shape),
        "a band": numpy.broadcast_to(abs(row - step * shape[-2] // shape[-1]) < shape[-2] // 8, shape),
        "all": numpy.ones(shape, bool),
        "nothing": numpy.zeros(shape, bool),
    }


@pytest.mark.parametrize("shape", [(2048, 2048), (2055, 1999), (3, 500, 2100)])
def test_large_matrices_are_counted_nearly(shape: tuple[int, ...]) -> None:
    """A part tells all, wherever the zeros lie; what lies behind the last row or step counts nothing."""
    program = counting("tensor<" + "x".join("?" for _ in shape) + "xf32>")
    for name, live in patterns(shape).items():
        a = live.astype(numpy.float32)
        program.run_numpy(poisoned(a))
        [found] = program.run_numpy(a)
        assert found[3] == 1, "not all was looked at"
        for number, true in zip(found[:3], counted(a), strict=True):
            assert abs(number - true) <= 0.25 * true, name
