"""From the kernels of a `gpu.module` in the NVVM dialect to functions in the LLVM dialect that the host runs."""

from dataclasses import dataclass

from pit_mlir.bindings import ir, llvm
from pit_mlir.codegen.emulator import (
    arithmetic,
    bulk_copies,
    copies,
    matrices,
    memory,
    registers,
    transactions,
    warp,
    wgmma,
)
from pit_mlir.codegen.emulator.about import KernelInfo
from pit_mlir.codegen.emulator.arithmetic import host_name
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported
from pit_mlir.codegen.emulator.sizes import alignment_of, bytes_of

RULES: dict[str, Rule] = {
    **memory.RULES,
    **registers.RULES,
    **warp.RULES,
    **matrices.RULES,
    **copies.RULES,
    **bulk_copies.RULES,
    **transactions.RULES,
    **wgmma.RULES,
    **arithmetic.RULES,
}

_MEETS = frozenset(
    "barrier warp_barrier shuffle vote match reduce elect load_matrix store_matrix mma wgmma "
    "wait_transaction test_transaction".split()
)
"""Functions of the runtime in which threads wait for each other."""

_MOST_SITES = 1 << 16
_SHARED_SPACE = 3
_DYNAMIC_ALIGNMENT = 16
BY_VALUE = "llvm.byval"
"""The attribute of a parameter that is a pointer to a copy which the kernel owns."""
_BY_VALUE_ALIGNMENT = 64


@dataclass(frozen=True)
class HostKernels:
    """A module whose functions run one thread of a kernel each, and the operations that reports name by number."""

    module: ir.Module
    kernels: tuple[KernelInfo, ...]
    sites: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, int], ...]
    """Global memory that the kernels bring along: its name, and its bytes."""


def to_host(gpu_module: ir.Operation) -> HostKernels:
    """A copy of the kernels in `gpu_module` for the host.

    Raises `UnsupportedError` for an operation that the emulator does not know, with its location.
    """
    with gpu_module.context, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            for op in gpu_module.regions[0].blocks[0].operations:
                if op.operation.name.startswith("llvm."):
                    op.operation.clone()
        return _rewrite(module)


def _rewrite(module: ir.Module) -> HostKernels:
    ops = [op.operation for op in module.body.operations]
    functions = [op for op in ops if op.name == "llvm.func" and op.regions[0].blocks]
    shared = {_name(op): op for op in ops if op.name == "llvm.mlir.global" and _space(op) == _SHARED_SPACE}
    constants = [op for op in ops if op.name == "llvm.mlir.global" and _space(op) != _SHARED_SPACE]
    used = {_name(op): _addressed(op) & shared.keys() for op in functions}
    called = {_name(op) for op in functions if not _is_kernel(op)}
    # A function that several kernels call finds its variables at one place in all of them.
    common: set[str] = set().union(*(used[name] for name in called))
    sites: list[tuple[str, str]] = []
    runtime: dict[str, ir.Type] = {}
    infos: list[KernelInfo] = []
    calls: dict[str, set[str]] = {}
    for op in functions:
        places, size = _layout(shared, common, used[_name(op)] - common)
        _keep_by_value(op)
        function = Function(op, sites, runtime)
        _rewrite_body(function, places)
        calls[_name(op)] = function.calls
        if _is_kernel(op):
            infos.append(_info(op, size))
        _forget_gpu(op)
    assert len(sites) < _MOST_SITES, f"{len(sites)} operations to report"
    for op in shared.values():
        op.erase()
    _declare(module, runtime)
    others: set[str] = set().union(*(calls[name] for name in called))
    kernels = tuple(
        KernelInfo(
            i.name, i.parameters, i.shared_bytes, bool((calls[i.name] | others) & _MEETS), i.max_threads
        )
        for i in infos
    )
    return HostKernels(module, kernels, tuple(sites), tuple(map(_constant, constants)))


def _keep_by_value(op: ir.Operation) -> None:
    """Parameters that a kernel takes by value come as words, and lie on the stack of each thread."""
    if "arg_attrs" not in op.attributes:
        return
    type_ = llvm.FunctionType(ir.TypeAttr(op.attributes["function_type"]).value)
    inputs, i64 = list(type_.inputs), ir.IntegerType.get_signless(64)
    entry = op.regions[0].blocks[0]
    with ir.InsertionPoint.at_block_begin(entry), ir.Location.unknown():
        for number, (argument, given) in enumerate(
            zip(entry.arguments, op.attributes["arg_attrs"], strict=True)
        ):
            if BY_VALUE not in ir.DictAttr(given):
                continue
            size = bytes_of(ir.TypeAttr(ir.DictAttr(given)[BY_VALUE]).value)
            inputs[number] = ir.Type.parse(f"!llvm.array<{size // 8} x i64>")
            one = llvm.mlir_constant(ir.IntegerAttr.get(i64, 1))
            room = llvm.alloca(
                argument.type, one, ir.TypeAttr.get(inputs[number]), alignment=_BY_VALUE_ALIGNMENT
            )
            argument.replace_all_uses_with(room)
            argument.set_type(inputs[number])
            llvm.store(argument, room)
    op.attributes["function_type"] = ir.TypeAttr.get(llvm.FunctionType.get(type_.return_type, inputs))


def _name(op: ir.Operation) -> str:
    return ir.StringAttr(op.attributes["sym_name"]).value


def _space(op: ir.Operation) -> int:
    return ir.IntegerAttr(op.attributes["addr_space"]).value if "addr_space" in op.attributes else 0


def _is_kernel(op: ir.Operation) -> bool:
    return "nvvm.kernel" in op.attributes or "gpu.kernel" in op.attributes


def _constant(op: ir.Operation) -> tuple[str, int]:
    op.attributes["linkage"] = ir.Attribute.parse("#llvm.linkage<external>")
    return _name(op), bytes_of(ir.TypeAttr(op.attributes["global_type"]).value)


def _addressed(op: ir.Operation) -> set[str]:
    """The names of the globals that a function takes the address of."""
    return {
        ir.FlatSymbolRefAttr(inner.attributes["global_name"]).value
        for inner in _operations(op)
        if inner.name == "llvm.mlir.addressof"
    }


def _operations(function: ir.Operation) -> list[ir.Operation]:
    """In the order of the text. Functions of the LLVM dialect have no regions inside."""
    return [op.operation for block in function.regions[0].blocks for op in block.operations]


def _layout(shared: dict[str, ir.Operation], common: set[str], own: set[str]) -> tuple[dict[str, int], int]:
    """Where in shared memory each variable is, and where that ends. What is as large as the launch says comes last."""
    places: dict[str, int] = {}
    end = 0
    dynamic: list[str] = []
    for name in [*sorted(common), *sorted(own)]:
        size = bytes_of(_type(shared[name]))
        if size == 0:
            dynamic.append(name)
            continue
        places[name] = _aligned(end, shared[name])
        end = places[name] + size
    for name in dynamic:
        end = -(-_aligned(end, shared[name]) // _DYNAMIC_ALIGNMENT) * _DYNAMIC_ALIGNMENT
    places.update(dict.fromkeys(dynamic, end))
    return places, end


def _type(op: ir.Operation) -> ir.Type:
    return ir.TypeAttr(op.attributes["global_type"]).value


def _aligned(place: int, op: ir.Operation) -> int:
    given = op.attributes.get("alignment")
    alignment = alignment_of(_type(op)) if given is None else ir.IntegerAttr(given).value
    return -(-place // alignment) * alignment


def _rewrite_body(function: Function, places: dict[str, int]) -> None:
    for op in _operations(function.op):
        with ir.InsertionPoint(op), op.location:
            if check := memory.CHECKS.get(op.name):
                check(op, function)
            elif op.name == "llvm.mlir.addressof":
                _replace_shared(op, function, places)
            elif op.name == "llvm.call":
                _rename_callee(op)
            elif rule := RULES.get(op.name):
                _apply(rule, op, function)
            elif not op.name.startswith("llvm."):
                raise unsupported(op, f"the operation '{op.name}'")


def _apply(rule: Rule, op: ir.Operation, function: Function) -> None:
    value = rule(op, function)
    if len(op.results) == 0:
        op.erase()
    elif value is not None:
        op.result.replace_all_uses_with(value)
        op.erase()


def _replace_shared(op: ir.Operation, function: Function, places: dict[str, int]) -> None:
    name = ir.FlatSymbolRefAttr(op.attributes["global_name"]).value
    if name in places:
        op.result.replace_all_uses_with(function.offset(function.shared, places[name]))
        op.erase()


def _rename_callee(op: ir.Operation) -> None:
    if "callee" not in op.attributes:
        raise unsupported(op, "a call of a function by its address")
    name = ir.FlatSymbolRefAttr(op.attributes["callee"]).value
    op.attributes["callee"] = ir.FlatSymbolRefAttr.get(host_name(name))


def _info(op: ir.Operation, shared_bytes: int) -> KernelInfo:
    type_ = llvm.FunctionType(ir.TypeAttr(op.attributes["function_type"]).value)
    parameters = tuple(map(str, type_.inputs))
    threads = 1
    sizes = op.attributes.get("nvvm.reqntid") or op.attributes.get("nvvm.maxntid")
    for size in ir.DenseI32ArrayAttr(sizes) if sizes is not None else ():
        threads *= size
    return KernelInfo(_name(op), parameters, shared_bytes, False, threads if sizes is not None else 0)


def _forget_gpu(op: ir.Operation) -> None:
    """Takes off what would make code for a GPU of the function."""
    for name in [name for name in op.attributes if name.startswith(("gpu.", "nvvm."))]:
        del op.attributes[name]
    for name in ("arg_attrs", "target_cpu", "target_features"):
        if name in op.attributes:
            del op.attributes[name]


def _declare(module: ir.Module, runtime: dict[str, ir.Type]) -> None:
    """Declares the functions of the runtime, and gives those of other libraries the names that the host has."""
    known: set[str] = set()
    for op in [op.operation for op in module.body.operations]:
        if op.name == "llvm.func" and not op.regions[0].blocks:
            name = host_name(_name(op))
            op.attributes["sym_name"] = ir.StringAttr.get(name)
            if name in known:
                op.erase()
            known.add(name)
    with ir.InsertionPoint.at_block_begin(module.body), ir.Location.unknown():
        for name, type_ in runtime.items():
            ir.Operation.create(
                "llvm.func",
                attributes={
                    "sym_name": ir.StringAttr.get(name),
                    "function_type": ir.TypeAttr.get(type_),
                    "linkage": ir.Attribute.parse("#llvm.linkage<external>"),
                    "CConv": ir.Attribute.parse("#llvm.cconv<ccc>"),
                },
                regions=1,
            )
