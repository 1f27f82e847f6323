"""Reads a `pit.contract`: which iterators run as rows, columns, depth or outside, and how each operand lies in them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_access import Access, are_neighbours, carried_by, lies_evenly
from pit_mlir.dialect.element import ElementOp, elements
from pit_mlir.dialect.structured import projection
from pit_mlir.dialect.yield_ import yielded

Role = Literal["outer", "row", "column", "depth"]
Listed = Literal["nothing", "rows", "depth", "parts", "strips"]
"""What an index lists: rows, which may have a key each, steps of the depth, rows for each part of the depth, or rows
for each strip of columns."""


@dataclass(frozen=True)
class Axis:
    """Iterators, outermost first, that run as one loop since they are neighbours in every operand."""

    role: Role
    iterators: tuple[int, ...]


@dataclass(frozen=True)
class ContractPlan:
    """A contraction as the code generator sees it.

    `factors[0]` is packed as rows, `factors[1]` as columns, each with the elements it reads; `siblings` are further
    columns, each a factor and what it reads, whose products with the same rows have sums of their own. `axes` are in
    the order outer, row, column (the last one runs along vectors), depth (the last one is stepped). `group` are the
    iterators of the index, `block` the block of each of those that say which segment, `listed` what it lists.
    """

    op: ir.Operation
    factors: tuple[ir.Value, ir.Value]
    row_elements: tuple[ir.OpView, ...]
    column_elements: tuple[ir.OpView, ...]
    epilogue_elements: tuple[ir.OpView, ...]
    result: Access
    axes: tuple[Axis, ...]
    group: tuple[int, ...]
    block: tuple[int, ...]
    listed: Listed
    siblings: tuple[tuple[ir.Value, tuple[ir.OpView, ...]], ...] = ()

    def of_role(self, role: Role) -> tuple[int, ...]:
        """The numbers of the axes of `role`."""
        return tuple(number for number, axis in enumerate(self.axes) if axis.role == role)

    def is_tabulated(self, access: Access, axis: Axis) -> bool:
        """Whether `access` moves along `axis`, but not at a stride: its places are looked up in a table."""
        carried = any(position in access.positions for position in axis.iterators)
        return len(axis.iterators) > 1 and carried and not lies_evenly(axis.iterators, access)

    @property
    def has_tables(self) -> bool:
        """Whether some operand lies along some axis by a table."""
        return any(self.is_tabulated(access, axis) for access in self.read_accesses for axis in self.axes)

    def carries(self, access: Access, axis: Axis) -> bool:
        """Whether `access` moves along `axis`."""
        return bool(axis.iterators) and axis.iterators[-1] in access.positions

    @property
    def keys(self) -> tuple[int, ...]:
        """The iterators of a list of rows that the columns depend on: tasks do not mix segments of different keys."""
        if self.listed != "rows":
            return ()
        outer = {p for axis in self.axes if axis.role == "outer" for p in axis.iterators}
        return tuple(p for p in self.group if p in outer)

    def is_gathered(self, access: Access) -> bool:
        """Whether `access` is read at the coordinates of each row of a list."""
        if self.listed != "rows" or access.compact:
            return False
        return bool(set(access.positions) & (set(self.group) - set(self.keys)))

    @property
    def sum_type(self) -> Any:
        """The type the products are summed in."""
        return self.factors[0].type

    @property
    def most_rows(self) -> int | None:
        """The number of rows as far as types tell."""
        if self.listed in ("rows", "strips"):
            return None
        rows = [p for number in self.of_role("row") for p in self.axes[number].iterators]
        sizes: dict[int, int] = {}
        for access in (*self.read_accesses, self.result):
            for position, size in access.extents.items():
                if not (access.compact and position in self.group):
                    sizes[position] = size
        return math.prod(sizes[p] for p in rows) if all(p in sizes for p in rows) else None

    def has_few_rows(self, few: int) -> bool | None:
        """Whether the types say that there are at most `few` rows, or more; None if they do not say."""
        most = self.most_rows
        return None if most is None else most <= few

    @property
    def exchanged(self) -> "ContractPlan":
        """The same contraction with its rows as columns and its columns as rows."""
        roles: dict[Role, Role] = {"row": "column", "column": "row"}
        return replace(
            self,
            factors=(self.factors[1], self.factors[0]),
            row_elements=self.column_elements,
            column_elements=self.row_elements,
            axes=tuple(Axis(roles.get(axis.role, axis.role), axis.iterators) for axis in self.axes),
        )

    def block_of(self, role: Role) -> int | None:
        """The size of the blocks of rows, or of columns, that have a list each; None if it is the same for all."""
        positions = {p for number in self.of_role(role) for p in self.axes[number].iterators}
        blocks = zip(self.group, self.block, strict=False) if self.listed in ("depth", "strips") else ()
        return next((size for position, size in blocks if position in positions), None)

    @property
    def keeps_init(self) -> bool:
        """Whether elements of the result may remain as they are in `init`."""
        adds = self.op.attributes["combine"].value == "add"
        return adds or (self.listed in ("rows", "strips") and not self.result.compact)

    @property
    def read_accesses(self) -> tuple[Access, ...]:
        """What is read of tensors, each once, in the order of its first reader."""
        others = [reader for _, readers in self.siblings for reader in readers]
        readers = (*self.row_elements, *self.column_elements, *others, *self.epilogue_elements)
        return tuple(dict.fromkeys(access for reader in readers if (access := Access.of(reader))))

    @property
    def products(self) -> "tuple[ContractPlan, ...]":
        """The plan of each product alone: this one with the columns of one sibling after another."""
        first = replace(self, siblings=())
        others = (
            replace(first, factors=(self.factors[0], factor), column_elements=readers)
            for factor, readers in self.siblings
        )
        return (first, *others)

    @property
    def captured(self) -> tuple[ir.Value, ...]:
        """The scalars that the regions capture and that are not constants."""
        found: dict[ir.Value, None] = {}
        for region in self.op.regions:
            block = region.blocks[0]
            for op in block.operations:
                if op.operation.name == "pit.element":
                    continue
                for value in op.operation.operands:
                    maker = value.owner
                    is_argument = isinstance(maker, ir.Block)
                    inside = maker == block if is_argument else maker.operation.block == block
                    if not inside and (is_argument or maker.operation.name != "arith.constant"):
                        found[value] = None
        return tuple(found)

    @staticmethod
    def of(
        op: ir.OpView, group: tuple[int, ...] | None = None, block: tuple[int, ...] = ()
    ) -> "ContractPlan | str":
        """The plan of a `pit.contract`, or why the code generator has none.

        It follows the first index, or as if there were only one with `group` and `block`; none where these are empty.
        """
        operation = op.operation
        product, epilogue = (region.blocks[0] for region in operation.regions)
        accesses = {reader: Access.of(reader) for block in (product, epilogue) for reader in elements(block)}
        strange = [
            str(reader.operation.attributes["map"]) for reader, access in accesses.items() if not access
        ]
        if strange:
            return f"reads an operand through {strange[0]}"
        positions = projection(operation.attributes["indexing_maps"][0].value) or ()
        result = Access(operation.operands[0], positions, operation.attributes["compact"].value)
        if group is None:
            group, block = tuple(operation.attributes["group"]), tuple(operation.attributes["block"])
        kinds = ["reduction" in str(kind) for kind in operation.attributes["iterator_types"]]
        listed: Listed = "nothing"
        if group:
            listed = "depth" if kinds[group[-1]] else "parts" if any(kinds[p] for p in group) else "rows"
        first, second, *others = yielded(product)
        factors = [first, second]
        readers = [readers_of(factor, product) for factor in factors]
        carried = [carried_by([a for r in side if (a := accesses[r])], group) for side in readers]
        reads_windows = any(access.has_windows for access in accesses.values() if access)
        # An image has places enough for a list of its own: it says nothing of rows.
        alone = {p for p, size in zip(group, block, strict=False) if size == 1 and reads_windows}
        apart = [p for p in group if p not in alone] if listed == "depth" else group
        if is_swapped(carried, result, apart, listed, kinds, len(block)):
            if others:
                return "has siblings, and its first factor gives the columns"
            factors, readers, carried = factors[::-1], readers[::-1], carried[::-1]
        plan = ContractPlan(
            operation,
            (factors[0], factors[1]),
            tuple(readers[0]),
            tuple(readers[1]),
            tuple(elements(epilogue)),
            result,
            (),
            group,
            block,
            listed,
            tuple((factor, tuple(readers_of(factor, product))) for factor in others),
        )
        roles = roles_of(kinds, carried[0], carried[1])
        if listed == "rows" and is_in_strips(plan, roles, [*(a for a in accesses.values() if a), result]):
            plan, strip = replace(plan, listed="strips"), strip_of(group, block)
            # Of the rows, only those that are listed are a list's; the others have the same one.
            apart = {p for p, role in enumerate(roles) if role == "row"} | set(group)
            apart -= {strip, group[-1]}
            roles = ["outer" if p in apart else role for p, role in enumerate(roles)]
        elif listed == "rows":
            # What rows and columns share is the segment of a row: the columns are those of its key.
            keys = set(group) & carried[1]
            # An iterator of rows that neither carries repeats rows: a token that several experts share.
            listed_role: list[Role] = ["row" if p in group else role for p, role in enumerate(roles)]
            roles: list[Role] = ["outer" if p in keys else role for p, role in enumerate(listed_role)]
        elif listed == "depth":
            roles = ["outer" if p in alone else role for p, role in enumerate(roles)]
        elif listed == "parts":
            # What shares no list with the rows runs outside.
            roles = ["outer" if role == "row" and p != group[-1] else role for p, role in enumerate(roles)]
        if listed == "parts" and (reads_windows or result.compact):
            return "lists rows for each part of its reduction, and reads windows or holds rows"
        problem = plan.problem_of_list(roles)
        return problem or plan.with_axes(roles, [a for a in accesses.values() if a])

    def problem_of_list(self, roles: Sequence[Role]) -> str:
        """Why the index cannot be followed by the kernel; empty if it can."""
        if self.listed == "rows":
            keys = [p for p in self.group if roles[p] == "outer"]
            if any(p not in self.group[: len(self.block)] for p in keys):
                return "lists an iterator that both factors carry"
            if keys and any(size != 1 for size in self.block):
                return "has blocks along iterators that both factors carry"
        if self.listed == "depth":
            axis = self.group[len(self.block) :]
            if len(axis) != 1 or roles[axis[0]] != "depth":
                return "lists more than one reduction iterator"
            blocked = [p for p, size in zip(self.group, self.block, strict=False) if size != 1]
            if len(blocked) > 1 or any(roles[p] != "row" for p in blocked):
                return "has blocks along more than one iterator of rows"
            segments = [roles[p] for p in self.group[: len(self.block)]]
            if "column" in segments:
                return "has segments on both sides of the product"
            if "depth" in segments:
                return "has segments along a reduction iterator"
        if self.listed == "parts":
            segments = [roles[p] for p in self.group[:-1]]
            apart = [size for p, size in zip(self.group, self.block, strict=False) if roles[p] == "outer"]
            if roles[self.group[-1]] != "row" or len(self.block) != len(segments):
                return "lists no rows for each part of its reduction"
            if roles.count("depth") != 1 or set(segments) - {"outer", "depth"} or any(n != 1 for n in apart):
                return "lists rows for more than parts of one reduction"
        return ""

    def rows_of_segments(self, roles: Sequence[Role]) -> set[int]:
        """The iterators of rows inside a segment: the one that is blocked, else those that the list knows not."""
        blocks = dict(zip(self.group, self.block, strict=False))
        rows = [p for p, role in enumerate(roles) if role == "row"]
        segments = [p for p in self.group if p in rows]
        blocked = [p for p in segments if blocks[p] != 1]
        free = [p for p in rows if p not in segments]
        return set(blocked[:1] or free or segments[-1:])

    def with_axes(self, roles: list[Role], accesses: Sequence[Access]) -> "ContractPlan":
        """The plan with its iterators gathered into axes."""
        every = [*accesses, self.result]
        fixed = set(self.group) if self.listed != "nothing" else set()
        if self.listed == "depth":
            # What is not inside of a segment runs outside.
            kept = self.rows_of_segments(roles)
            roles = ["outer" if role == "row" and p not in kept else role for p, role in enumerate(roles)]
        order = {position: number for number, position in enumerate(self.result.positions)}
        depth_order = [p for access in accesses for p in access.positions]
        reads_windows = any(access.has_windows for access in accesses)
        axes: list[Axis] = []
        columns: list[Axis] = []
        for role in ("outer", "row", "column", "depth"):
            members = [p for p, given in enumerate(roles) if given == role]
            if self.listed == "rows" and role == "row":
                members = [p for p in members if p not in fixed]
            key: Callable[[int], int] = (
                (lambda p: depth_order.index(p) if p in depth_order else p)
                if role == "depth"
                else (lambda p: order.get(p, -1))
            )
            found = collapse(role, sorted(members, key=key), every, fixed)
            if reads_windows and role == "column":
                found = self.join_columns(found, every, fixed)
            if reads_windows and role == "depth" and members:
                found = [Axis(role, tuple(self.join_depth(members, accesses)))]
            if self.listed == "rows" and role == "row":
                # Rows outside the list run outside; the list itself is one axis.
                axes += [Axis("outer", axis.iterators) for axis in found]
                found = [Axis("row", self.group[:1])]
            if role == "column":
                columns = found
                axes += [Axis("outer", axis.iterators) for axis in columns[:-1]]
                found = columns[-1:]
            if role == "depth" and self.listed == "depth":
                found.sort(key=self.order_in_depth)
            if not found and role in ("column", "depth"):
                found = [Axis(role, ())]
            axes += found
        ordered = sorted(axes, key=lambda axis: ("outer", "row", "column", "depth").index(axis.role))
        return replace(self, axes=tuple(ordered))

    @property
    def has_runs(self) -> bool:
        """Whether an entry of the list stands for a run of steps: the listed axis of the depth is not the last one."""
        return self.listed == "depth" and self.group[-1] not in self.axes[-1].iterators

    @property
    def lists_part(self) -> bool:
        """Whether the list is one along a part of an axis: channels of a depth that goes on inside of windows."""
        return self.listed == "depth" and self.group[-1:] not in [axis.iterators for axis in self.axes]

    def order_in_depth(self, axis: Axis) -> int:
        """Where `axis` of a listed depth comes: what an operand holds one after another is a run of each entry."""
        if axis.iterators == self.group[-1:]:
            return 1
        accesses = [a for r in (*self.row_elements, *self.column_elements) if (a := Access.of(r))]
        last = {access.positions[-1] for access in accesses if access.positions}
        return 2 if axis.iterators[-1] in last else 0

    def join_columns(self, found: Sequence[Axis], every: Sequence[Access], fixed: set[int]) -> list[Axis]:
        """The axes of the columns with the last one as long as the result and what the epilogue reads allow."""
        members = [position for axis in found for position in axis.iterators]
        epilogue = [access for reader in self.epilogue_elements if (access := Access.of(reader))]
        joined = collapse("column", members, [self.result, *epilogue], fixed)[-1:]
        rest = [position for position in members if not any(position in axis.iterators for axis in joined)]
        return collapse("column", rest, every, fixed) + joined

    def join_depth(self, members: Sequence[int], accesses: Sequence[Access]) -> list[int]:
        """The iterators of the depth in the order in which they run as one axis, a listed one first or last."""
        order = join_order(members, accesses)
        if self.listed == "depth" and self.group[-1] != order[-1]:
            order.sort(key=lambda position: position != self.group[-1])
        return order


def join_order(members: Sequence[int], accesses: Sequence[Access]) -> list[int]:
    """`members` in the order in which they lie in an operand that has no windows and carries them all."""
    for access in accesses:
        if not access.has_windows and all(position in access.positions for position in members):
            return sorted(members, key=access.positions.index)
    return list(members)


def readers_of(value: ir.Value, block: ir.Block) -> list[ElementOp]:
    """The `pit.element` operations of `block` that `value` is computed from, in order."""
    needed: set[ir.Operation] = set()
    pending = [value]
    while pending:
        maker = pending.pop().owner
        if isinstance(maker, ir.Block) or maker.operation.block != block or maker.operation in needed:
            continue
        needed.add(maker.operation)
        pending += list(maker.operation.operands)
    return [op for op in elements(block) if op.operation in needed]


def is_swapped(
    carried: Sequence[set[int]],
    result: Access,
    group: Sequence[int],
    listed: Listed,
    kinds: Sequence[bool],
    segments: int,
) -> bool:
    """Whether the second factor gives the rows: the listed one does, else the one not innermost in the result."""
    # Segments of a list of rows may be keys, which are those of the columns.
    candidates = group if listed == "depth" else group[segments:] if listed in ("rows", "parts") else ()
    rows = [p for p in candidates if not kinds[p] and (p in carried[0]) != (p in carried[1])]
    if rows:
        return any(p not in carried[0] for p in rows)
    innermost = result.positions[-1] if result.positions else -1
    return innermost in carried[0] and innermost not in carried[1]


def roles_of(kinds: Sequence[bool], rows: set[int], columns: set[int]) -> list[Role]:
    """What each iterator runs as, from the factors that carry it."""
    roles: list[Role] = []
    for position, is_reduction in enumerate(kinds):
        if is_reduction:
            roles.append("depth")
        elif (position in rows) == (position in columns):
            roles.append("outer")
        else:
            roles.append("row" if position in rows else "column")
    return roles


def is_in_strips(plan: ContractPlan, roles: Sequence[Role], accesses: Sequence[Access]) -> bool:
    """Whether an index of parallel iterators lists rows for each block of columns, and nothing is compact."""
    *segments, axis = plan.group
    is_simple = len(plan.block) == len(segments) and not any(a.compact or a.has_windows for a in accesses)
    columns = [p for p, role in enumerate(roles) if role == "column"]
    blocked = [size for size in plan.block if size != 1]
    return is_simple and roles[axis] == "row" and sorted(segments) == columns and len(blocked) <= 1


def strip_of(group: Sequence[int], block: Sequence[int]) -> int | None:
    """The iterator of columns whose blocks have a list each: that of the block that is not 1, else the last one."""
    blocked = [p for p, size in zip(group, block, strict=False) if size != 1]
    return (blocked or [None, *group[:-1]])[-1]


def collapse(role: Role, members: Sequence[int], accesses: Sequence[Access], fixed: set[int]) -> list[Axis]:
    """`members` in order as axes; neighbours that lie next to each other in every access become one."""
    axes: list[Axis] = []
    for position in members:
        last = axes[-1].iterators if axes else ()
        if last and not ({last[-1], position} & fixed) and are_neighbours(last[-1], position, accesses):
            axes[-1] = Axis(role, (*last, position))
        else:
            axes.append(Axis(role, (position,)))
    return axes
