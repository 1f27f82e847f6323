"""Chooses the forms of a contraction's kernel: by its layout here, by its sizes at run time."""

from collections.abc import Callable

from pit_mlir.codegen.build import compare, either
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_axpy import AxpyForm
from pit_mlir.codegen.cpu.contract_blocks import BlocksForm
from pit_mlir.codegen.cpu.contract_dot import DotForm
from pit_mlir.codegen.cpu.contract_frame import Frame, is_unit
from pit_mlir.codegen.cpu.contract_fresh import STEPS_OF_PANEL, FreshForm
from pit_mlir.codegen.cpu.contract_grouped import build_grouped
from pit_mlir.codegen.cpu.contract_lying import LyingForm
from pit_mlir.codegen.cpu.contract_packed import PackedForm
from pit_mlir.codegen.cpu.contract_pairs import in_pairs
from pit_mlir.codegen.cpu.contract_panelled import PanelledForm
from pit_mlir.codegen.cpu.contract_panels import is_panelled
from pit_mlir.codegen.cpu.contract_parts import PartsForm
from pit_mlir.codegen.cpu.contract_runs import RunsForm
from pit_mlir.codegen.cpu.contract_skinny import SkinnyForm
from pit_mlir.codegen.cpu.contract_stream import StreamForm
from pit_mlir.codegen.cpu.contract_strips import build_strips
from pit_mlir.codegen.cpu.contract_tabulated import TabulatedForm
from pit_mlir.codegen.cpu.contract_tabulated_pairs import PairedTabulatedForm, tabulated_in_pairs
from pit_mlir.codegen.cpu.pack import lies_across


def build_kernel(frame: Frame) -> None:
    """Emits the kernel of `frame`."""
    if frame.plan.listed == "strips":
        build_strips(frame)
        return
    if frame.plan.has_tables or frame.plan.lists_part:
        build_tabulated(frame)
        return
    if frame.plan.keys:
        packed = grouped_form(in_pairs(frame) or frame)
        build_grouped(frame, packed, None if packed.panels is not None else skinny_form(frame))
        return
    if frame.plan.listed == "parts":
        parts_form(frame).build()
        return
    form_of(frame)()


def multiplies_siblings(plan: ContractPlan) -> bool:
    """Whether a kernel of `plan` multiplies its rows with more columns than one factor."""
    return bool(plan.keys) and not plan.has_tables and len(plan.of_role("depth")) == 1


def grouped_form(frame: Frame) -> PackedForm:
    """The packed form of `frame`, whose columns depend on the segment of a row."""
    if not is_plain(frame):
        return packed_form(frame)
    if is_panelled(frame):
        return PanelledForm(frame)
    return FreshForm(frame.with_depth(min(frame.tile.depth, STEPS_OF_PANEL)))


def build_tabulated(frame: Frame) -> None:
    """Emits the kernel of `frame`, some of whose axes lie by tables."""
    paired = tabulated_in_pairs(frame)
    form = TabulatedForm(frame) if paired is None else PairedTabulatedForm(paired)
    if frame.plan.keys:
        build_grouped(frame, form, None)
    else:
        form.build()


def form_of(frame: Frame) -> Callable[[], None]:
    """What emits `frame`: the packed form, those for few rows and few columns, or what its types ask for."""
    packed = packed_form(in_pairs(frame) or frame)
    emit: Callable[[], None] = packed.build
    if packed.panels is not None:
        # Few rows read them too: memory streams nothing better.
        return emit
    for side in reversed(sides(frame)):
        few = skinny_form(side)
        is_few = few is not None and side.plan.has_few_rows(few.most_rows)
        if few is not None and is_few is not False:
            emit = few.build if is_few else chosen(side, few, emit)
    return emit


def packed_form(frame: Frame) -> PackedForm:
    """The packed form of `frame`."""
    if is_panelled(frame) and PanelledForm.does(frame):
        return PanelledForm(frame)
    if frame.plan.has_runs:
        return RunsForm(frame)
    if LyingForm.does(frame):
        return LyingForm(frame)
    return BlocksForm(frame) if BlocksForm.does(frame) else PackedForm(frame)


def parts_form(frame: Frame) -> PartsForm:
    """The form of `frame`, which has a list of rows for each part of the depth; each part holds whole pairs."""
    paired = in_pairs(frame)
    is_even = all(size % 2 == 0 for size in frame.plan.block if size != 1)
    return PartsForm(paired if paired is not None and paired.last_half is None and is_even else frame)


def sides(frame: Frame) -> list[Frame]:
    """`frame`, and with its sides exchanged where the list decides which side gives the rows."""
    listed_along_rows = frame.plan.listed == "depth" and len(frame.row_axes) == 1
    return [frame, frame.exchanged()] if listed_along_rows else [frame]


def chosen(frame: Frame, few: SkinnyForm, many: Callable[[], None]) -> Callable[[], None]:
    """`few` if there are few rows at run time, else `many`."""

    def emit() -> None:
        either(compare("sle", frame.rows, few.most_rows), few.build, many)

    return emit


def skinny_form(frame: Frame) -> SkinnyForm | None:
    """The form of `frame` for few rows, if there is one."""
    block = frame.plan.block_of("column")
    if block is not None and block < frame.tile.lanes:
        # Columns with a list each are no vectors.
        return None
    if is_dot(frame):
        # Columns read in order are faster than some of their elements at random: a list is of no use.
        return DotForm(in_pairs(frame) or frame, block) if frame.plan.listed != "depth" else None
    if not lies_along_columns(frame):
        return None
    return (
        AxpyForm(frame, block)
        if frame.plan.listed == "depth"
        else StreamForm(in_pairs(frame) or frame, block)
    )


def is_dot(frame: Frame) -> bool:
    """Whether the dot form does `frame`: one axis of depth, columns and rows contiguous along it."""
    axis = frame.depth_axes[-1]
    return (
        is_plain(frame)
        and lies_across(frame.factors.columns, frame.column_axis, axis)
        and any(view.is_contiguous(axis) for view in frame.factors.rows.views.values())
    )


def lies_along_columns(frame: Frame) -> bool:
    """Whether `frame` has one axis of depth, and columns that are contiguous along the columns."""
    views = frame.factors.columns.views.values()
    return is_plain(frame) and any(is_unit(view.strides[frame.column_axis]) for view in views)


def is_plain(frame: Frame) -> bool:
    """One axis of depth."""
    return len(frame.depth_axes) == 1
