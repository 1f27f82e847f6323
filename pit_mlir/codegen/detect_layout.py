"""How the source of a `pit.detect` lies in memory: its dimensions, as few as they can be, and what each of them is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index

Role = Literal["segment", "axis", "rest"]


@dataclass(frozen=True)
class Dim:
    """A dimension: what it is, the how manieth of its kind, how far it runs, how many neighbours share a segment."""

    role: Role
    order: int
    extent: Index
    stride: Index
    block: Index = 1

    @property
    def count(self) -> Index:
        """How many coordinates the index has for it."""
        return build.ceil_div(self.extent, self.block)

    @property
    def is_single(self) -> bool:
        """Whether it is known to have one coordinate, so that it does not matter."""
        return isinstance(self.extent, int) and self.extent == 1


@dataclass(frozen=True)
class Layout:
    """Dimensions in the order in which they lie in memory; the last one has stride 1."""

    dims: tuple[Dim, ...]

    def of(self, role: Role) -> list[Dim]:
        """The dimensions that are `role`, in the order in which the index counts them."""
        return sorted((dim for dim in self.dims if dim.role == role), key=lambda dim: dim.order)

    @property
    def line(self) -> Dim:
        """The dimension along which neighbouring entries of a segment lie."""
        return self.of("axis")[-1]

    @property
    def inner(self) -> Dim:
        """The dimension whose elements are neighbours in memory."""
        return self.dims[-1]

    @property
    def is_across(self) -> bool:
        """Whether neighbours in memory belong to neighbouring segments."""
        return self.inner.role == "segment" and self.inner == self.of("segment")[-1]

    @property
    def indices(self) -> list[Index]:
        """All numbers of it, known or not."""
        return [number for dim in self.dims for number in (dim.extent, dim.stride, dim.block)]

    def mapped(self, change: Callable[[Index], Index]) -> "Layout":
        """The same layout with all numbers changed."""
        return Layout(
            tuple(
                replace(dim, extent=change(dim.extent), stride=change(dim.stride), block=change(dim.block))
                for dim in self.dims
            )
        )

    def __str__(self) -> str:
        known = [str(number) if isinstance(number, int) else "?" for number in self.indices]
        return f"{[(dim.role, dim.order) for dim in self.dims]} {known}"


def layout_of(
    extents: Sequence[Index],
    strides: Sequence[Index],
    segments: Sequence[int],
    axis: Sequence[int],
    block: Sequence[int],
) -> Layout:
    """The layout of a tensor; `segments`, each with its `block`, and `axis` are its dimensions by number."""
    dims: list[Dim] = []
    for number, (extent, stride) in enumerate(zip(extents, strides, strict=True)):
        if number in segments:
            place = segments.index(number)
            dim = Dim("segment", place, extent, stride, block[place])
        elif number in axis:
            dim = Dim("axis", axis.index(number), extent, stride)
        else:
            dim = Dim("rest", 0, extent, stride)
        if not dim.is_single:
            dims.append(dim)
    dims = renumbered(dims)
    joined: list[Dim] = []
    for dim in dims:
        last = joined[-1] if joined else None
        if last is not None and are_one(last, dim):
            joined[-1] = replace(
                dim, role=last.role, extent=build.mul(last.extent, dim.extent), order=dim.order
            )
        else:
            joined.append(dim)
    joined = with_rest_in_blocks(joined)
    if not any(dim.role == "axis" for dim in joined):
        joined.append(Dim("axis", 0, 1, 1))
    return Layout(tuple(renumbered(joined)))


def renumbered(dims: Sequence[Dim]) -> list[Dim]:
    """`dims` with their orders made dense, each kind for itself."""
    orders = {role: sorted(dim.order for dim in dims if dim.role == role) for role in ("segment", "axis")}
    return [
        dim if dim.role == "rest" else replace(dim, order=orders[dim.role].index(dim.order)) for dim in dims
    ]


def are_one(outer: Dim, inner: Dim) -> bool:
    """Whether `inner`, next to `outer` in memory, only goes on where that ends."""
    if outer.role != inner.role:
        return False
    blocks = all(isinstance(dim.block, int) and dim.block == 1 for dim in (outer, inner))
    return outer.role == "rest" or (blocks and inner.order == outer.order + 1)


def with_rest_in_blocks(dims: list[Dim]) -> list[Dim]:
    """What is innermost and no coordinate of the index, behind a segment, makes its blocks longer."""
    if len(dims) < 2 or dims[-1].role != "rest" or dims[-2].role != "segment":
        return dims
    outer, inner = dims[-2:]
    joined = replace(
        outer,
        extent=build.mul(outer.extent, inner.extent),
        stride=inner.stride,
        block=build.mul(outer.block, inner.extent),
    )
    # A block of nothing would be divided by: such a tensor has no element, and its segments are empty all the same.
    return dims if not isinstance(inner.extent, int) or inner.extent == 0 else [*dims[:-2], joined]
