"""What a `pit.detect` lists: how many coordinates at most, of which segments; entries are i32."""

from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import sizes
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.checks import where_all
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

LIMIT = 2**31 - 1
"""Coordinates are i32."""


@dataclass(frozen=True)
class IndexSpace:
    """The coordinates that an index of a tensor of `extents` may list: `capacity` for each of its `segments`.

    `axis`, and `segment_dims` in blocks of `block`, are dimensions of the tensor; `group` are the extents of what the
    coordinates are of. All segments together have `coordinates` places. None have any, and a check fails, where these
    do not fit 32 bits.
    """

    extents: tuple[Index, ...]
    axis: tuple[int, ...]
    segment_dims: tuple[int, ...]
    block: tuple[int, ...]
    segments: Index
    capacity: Index
    coordinates: Index
    group: tuple[Index, ...]

    @staticmethod
    def of(op: ir.Operation) -> "IndexSpace":
        """What `op`, a `pit.detect` that is not by key, lists.

        Raises `UnsupportedError` where that is known not to fit.
        """
        extents = tuple(sizes(op.operands[0]))
        axis, dims = tuple(op.attributes["axis"]), tuple(op.attributes["segments"])
        block = tuple(max(1, size) for size in op.attributes["block"])
        counts = [build.ceil_div(extents[dim], size) for dim, size in zip(dims, block, strict=True)]
        along = [extents[dim] for dim in axis]
        capacity = build.product(along)
        segments, coordinates = fitting(op, build.product(counts), capacity)
        return IndexSpace(extents, axis, dims, block, segments, capacity, coordinates, (*counts, *along))

    @staticmethod
    def by_key(op: ir.Operation) -> "IndexSpace":
        """As `of`, of a `pit.detect` by key: a segment for each key."""
        extents = tuple(sizes(op.operands[0]))
        axis, keys = tuple(op.attributes["axis"]), op.attributes["values"].value
        along = [extents[dim] for dim in axis]
        _, coordinates = fitting(op, keys, build.product(along))
        capacity = build.floor_div(coordinates, keys)
        return IndexSpace(extents, axis, (), (), keys, capacity, coordinates, (keys, *along))

    @property
    def most_of_keys(self) -> Index:
        """How many are listed at most by key: no more than there are keys."""
        return build.minimum(self.coordinates, build.product(self.extents))


def fitting(op: ir.Operation, segments: Index, capacity: Index) -> tuple[Index, Index]:
    """`segments` and their coordinates, `capacity` each; none, and a failed check, where these do not fit 32 bits."""
    coordinates = build.mul(segments, capacity)
    if isinstance(coordinates, int):
        if coordinates > LIMIT:
            raise UnsupportedError(
                f"an index over {coordinates} coordinates does not fit 32 bits",
                location=location_text(op.location),
            )
        return segments, coordinates
    fits = build.compare("sle", coordinates, LIMIT)
    message = f"an index over more than {LIMIT} coordinates does not fit 32 bits"
    segments, coordinates = where_all([fits], [segments, coordinates], message, op)
    return segments, coordinates
