"""The space of the coordinates that an index lists: entries are i32."""

from pit_mlir.bindings import ir
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.checks import where_all
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

LIMIT = 2**31 - 1
"""Coordinates are i32."""


def fitting(op: ir.Operation, segments: Index, capacity: Index) -> tuple[Index, Index]:
    """`segments` and their coordinates, `capacity` each; none, and a failed check, where these do not fit 32 bits."""
    coordinates = build.mul(segments, capacity)
    if isinstance(coordinates, int) and coordinates > LIMIT:
        raise UnsupportedError(
            f"an index over {coordinates} coordinates does not fit 32 bits",
            location=location_text(op.location),
        )
    if isinstance(coordinates, int):
        return segments, coordinates
    fits = build.compare("sle", coordinates, LIMIT)
    message = "an index over more than 2147483647 coordinates does not fit 32 bits"
    segments, coordinates = where_all([fits], [segments, coordinates], message, op)
    return segments, coordinates
