"""How tiles lie in shared memory and in registers: each element once, and no two threads in each other's way."""

from collections.abc import Sequence
from itertools import product

import pytest

from pit_mlir.codegen.gpu import layout
from pit_mlir.codegen.gpu.layout import MatrixAddress, SharedTile, waves

TILES = [
    SharedTile(lines, width, size)
    for lines, width, size in product((8, 16, 33, 128), (2, 16, 32, 64, 128), (1, 2, 4, 8))
    if width * size % layout.CHUNK_BYTES == 0
] + [SharedTile(64, 64, 2, 4), SharedTile(8, 32, 4, 2)]


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_each_element_has_a_place_of_its_own(tile: SharedTile) -> None:
    every = product(range(tile.lines), range(tile.width * tile.blocks))
    places = {tile.offset(line, element) for line, element in every}
    assert places == set(range(tile.elements))


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_chunks_stay_whole(tile: SharedTile) -> None:
    for line, first in product(range(tile.lines), range(0, tile.width * tile.blocks, tile.per_chunk)):
        start = tile.offset(line, first)
        assert start % tile.per_chunk == 0
        assert [tile.offset(line, first + n) for n in range(tile.per_chunk)] == list(
            range(start, start + tile.per_chunk)
        )


@pytest.mark.parametrize("tile", [tile for tile in TILES if tile.lines % 8 == 0], ids=str)
def test_eight_lines_of_a_chunk_lie_in_different_banks(tile: SharedTile) -> None:
    for first, chunk in product(range(0, tile.lines, 8), range(tile.chunks)):
        addresses = [
            tile.bytes * tile.offset(line, chunk * tile.per_chunk) for line in range(first, first + 8)
        ]
        assert waves(addresses, layout.CHUNK_BYTES) == 1


def test_a_tile_without_a_swizzle_would_conflict() -> None:
    assert waves([128 * line for line in range(8)], 16) == 8
    assert waves([4 * lane for lane in range(32)], 4) == 1
    assert waves([0] * 32, 4) == 1
    assert waves([16 * lane for lane in range(32)], 16) == 4


def registers_of(how: MatrixAddress, *, transposed: bool) -> dict[tuple[int, int, int], tuple[int, int]]:
    """For lane, register and half the line and the element, in a tile of 16 x 16, after `ldmatrix.x4`."""
    found: dict[tuple[int, int, int], tuple[int, int]] = {}
    for lane, register, half in product(range(32), range(4), range(2)):
        matrix, line, element = layout.ldmatrix(lane, register, half, transposed=transposed)
        line_of_tile, chunk = how.of(8 * matrix + line)
        found[lane, register, half] = line_of_tile, 8 * chunk + element
    return found


def swapped(pairs: Sequence[int]) -> tuple[int, int]:
    first, second = pairs
    return second, first


def test_ldmatrix_gives_the_first_factor() -> None:
    along = registers_of(layout.ROWS_ALONG_DEPTH, transposed=False)
    across = registers_of(layout.ROWS_ACROSS, transposed=True)
    for place, at in along.items():
        assert at == layout.mma_a(*place)
        assert swapped(across[place]) == layout.mma_a(*place)


def test_ldmatrix_gives_two_blocks_of_the_second_factor() -> None:
    along = registers_of(layout.COLUMNS_ALONG_DEPTH, transposed=False)
    across = registers_of(layout.COLUMNS_ACROSS, transposed=True)
    for (lane, register, half), (line, element) in along.items():
        step, column = layout.mma_b(lane, register % 2, half)
        assert (element, line) == (step, column + 8 * (register // 2))
        assert across[lane, register, half] == (step, column + 8 * (register // 2))


def test_fragments_hold_each_element_once() -> None:
    a = {layout.mma_a(*place) for place in product(range(32), range(4), range(2))}
    b = {layout.mma_b(*place) for place in product(range(32), range(2), range(2))}
    c = {layout.mma_c(*place) for place in product(range(32), range(4))}
    assert (a, b, c) == (
        set(product(range(16), range(16))),
        set(product(range(16), range(8))),
        set(product(range(16), range(8))),
    )
