"""A kernel under rewriting: how the rules name the runtime's functions, their thread, and their place in the source."""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

SHARED_POINTER = 96
"""Where `Thread` of the runtime keeps the begin of the block's shared memory, in bytes, behind its registers."""

PREFIX = "pit_emulate_"


class Function:
    """One `llvm.func` of kernels, while its operations are rewritten.

    `sites` collects the operations that may be reported, as (name, location); `called` the functions of the runtime
    that are called, as their types.
    """

    def __init__(self, op: ir.Operation, sites: list[tuple[str, str]], called: dict[str, ir.Type]) -> None:
        self.op = op
        self.calls: set[str] = set()
        """The functions of the runtime that this one calls."""
        self._sites = sites
        self._called = called
        self._entry = op.regions[0].blocks[0]
        self._self: ir.Value | None = None
        self._shared: ir.Value | None = None
        self.pointer = ir.Type.parse("!llvm.ptr")
        self.shared_pointer = ir.Type.parse("!llvm.ptr<3>")
        self.i1, self.i32, self.i64 = (ir.IntegerType.get_signless(bits) for bits in (1, 32, 64))

    def at_entry(self) -> ir.InsertionPoint:
        """Where what holds for the whole run of a thread stands."""
        return ir.InsertionPoint.at_block_begin(self._entry)

    @property
    def thread(self) -> ir.Value:
        """The runtime's record of the running thread."""
        if self._self is None:
            with self.at_entry(), ir.Location.unknown():
                self._self = self._call(f"{PREFIX}self", [self.pointer], [])[0]
        return self._self

    @property
    def shared(self) -> ir.Value:
        """The begin of the block's shared memory."""
        if self._shared is None:
            thread = self.thread
            with ir.InsertionPoint.after(thread.owner), ir.Location.unknown():
                self._shared = self.create(
                    "llvm.load", [self.shared_pointer], [self.offset(thread, SHARED_POINTER)], ordering=0
                )
        return self._shared

    def site(self, op: ir.Operation) -> ir.Value:
        """The number that reports name `op` by."""
        entry = (op.name, location_text(op.location))
        if not self._sites or self._sites[-1] != entry:
            self._sites.append(entry)
        return self.constant(len(self._sites) - 1)

    def constant(self, value: int, type_: ir.Type | None = None) -> ir.Value:
        """The constant `value`, of type i32 unless another is given."""
        return self.create("llvm.mlir.constant", [type_ or self.i32], [], value=(type_ or self.i32, value))

    def constant_float(self, value: float, type_: ir.Type) -> ir.Value:
        """The constant `value` of the floating-point `type_`."""
        return self.create("llvm.mlir.constant", [type_], [], value=ir.FloatAttr.get(type_, value))

    def offset(self, pointer: ir.Value, places: int, element: ir.Type | None = None) -> ir.Value:
        """`pointer` moved on by `places` elements (bytes, if no type is given)."""
        return ir.Operation.create(
            "llvm.getelementptr",
            [pointer.type],
            [pointer],
            {
                "elem_type": ir.TypeAttr.get(element or ir.IntegerType.get_signless(8)),
                "rawConstantIndices": ir.DenseI32ArrayAttr.get([places]),
                "noWrapFlags": ir.IntegerAttr.get(self.i32, 0),
            },
        ).result

    def create(
        self, name: str, results: Sequence[ir.Type], operands: Sequence[ir.Value], **attributes: object
    ) -> ir.Value:
        """The only result of a new operation; attributes are given as (type, value) or, for i64, as numbers."""
        return self.build(name, results, operands, **attributes).result

    def build(
        self, name: str, results: Sequence[ir.Type], operands: Sequence[ir.Value], **attributes: object
    ) -> ir.Operation:
        """A new operation, as `create` makes it."""
        return ir.Operation.create(
            name, list(results), list(operands), {key: self._attribute(v) for key, v in attributes.items()}
        )

    def _attribute(self, value: object) -> ir.Attribute:
        if isinstance(value, ir.Attribute):
            return value
        if isinstance(value, ir.Type):
            return ir.TypeAttr.get(value)
        if isinstance(value, tuple):
            return ir.IntegerAttr.get(*value)
        assert isinstance(value, int)
        return ir.IntegerAttr.get(self.i64, value)

    def words(self, count: int) -> ir.Value:
        """Room for `count` words of 32 bits, the same each time the operation runs."""
        with self.at_entry(), ir.Location.unknown():
            size = self.constant(count)
            return self.create("llvm.alloca", [self.pointer], [size], elem_type=self.i32, alignment=8)

    def load(self, type_: ir.Type, address: ir.Value) -> ir.Value:
        """What lies at `address`, in memory of the host."""
        return self.create("llvm.load", [type_], [address], ordering=0)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        """Puts `value` at `address`, in memory of the host."""
        self.build("llvm.store", [], [value, address], ordering=0)

    def generic(self, pointer: ir.Value) -> ir.Value:
        """`pointer` as the runtime takes it."""
        if pointer.type == self.pointer:
            return pointer
        return self.create("llvm.addrspacecast", [self.pointer], [pointer])

    def bits(self, value: ir.Value, type_: ir.Type) -> ir.Value:
        """`value` as `type_`, which has as many bits."""
        return value if value.type == type_ else self.create("llvm.bitcast", [type_], [value])

    def call(
        self, name: str, results: Sequence[ir.Type], operands: Sequence[ir.Value | int]
    ) -> Sequence[ir.Value]:
        """Calls `pit_emulate_<name>(thread, *operands)`; numbers become constants of type i32."""
        values = [self.constant(value) if isinstance(value, int) else value for value in operands]
        self.calls.add(name)
        return self._call(f"{PREFIX}{name}", results, [self.thread, *values])

    def _call(
        self, name: str, results: Sequence[ir.Type], operands: Sequence[ir.Value]
    ) -> Sequence[ir.Value]:
        result = str(results[0]) if results else "void"
        taken = ", ".join(str(value.type).removeprefix("!llvm.") for value in operands)
        self._called.setdefault(name, ir.Type.parse(f"!llvm.func<{result.removeprefix('!llvm.')} ({taken})>"))
        return ir.Operation.create(
            "llvm.call",
            list(results),
            list(operands),
            {
                "callee": ir.FlatSymbolRefAttr.get(name),
                "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(operands), 0]),
                "op_bundle_sizes": ir.DenseI32ArrayAttr.get([]),
            },
        ).results

    def high_and_low(self, pair: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The halves of a 64-bit result: a truth value, and 32 bits."""
        thirty_two = self.constant(32, self.i64)
        high = self.create("llvm.lshr", [self.i64], [pair, thirty_two])
        return self.create("llvm.trunc", [self.i1], [high], overflowFlags=(self.i32, 0)), self.create(
            "llvm.trunc", [self.i32], [pair], overflowFlags=(self.i32, 0)
        )

    def struct(self, type_: ir.Type, members: Sequence[ir.Value]) -> ir.Value:
        """A value of the struct `type_` with `members`."""
        value = self.create("llvm.mlir.poison", [type_], [])
        for place, member in enumerate(members):
            position = ir.DenseI64ArrayAttr.get([place])
            value = self.create("llvm.insertvalue", [type_], [value, member], position=position)
        return value


Rule = Callable[[ir.Operation, Function], ir.Value | None]
"""Writes what an operation means in front of it, and gives the value of its result where it has one."""


def word(attribute: ir.Attribute) -> str:
    """The value of an enumeration: `bfly` of `#nvvm<shfl_kind bfly>`."""
    return str(attribute).rstrip(">").replace("<", " ").split()[-1]


def unsupported(op: ir.Operation, what: str) -> UnsupportedError:
    """The error for an operation that the emulator does not know."""
    return UnsupportedError(
        f"the emulator does not know {what}; it can be taught in pit_mlir/codegen/emulator",
        location=location_text(op.location),
    )
