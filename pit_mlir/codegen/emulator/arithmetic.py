"""Arithmetic that the host does differently: approximations, functions of libdevice; fences, and mere hints."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported

LIBDEVICE = "__nv_"
"""What the names of NVIDIA's library of functions begin with; the C library has most of them without it."""

_OTHER_NAMES = {
    "rsqrt": "pit_emulate_rsqrt",
    "rsqrtf": "pit_emulate_rsqrtf",
    "fast_expf": "expf",
    "fast_exp10f": "exp10f",
    "fast_logf": "logf",
    "fast_log2f": "log2f",
    "fast_log10f": "log10f",
    "fast_powf": "powf",
    "fast_sinf": "sinf",
    "fast_cosf": "cosf",
    "fast_tanf": "tanf",
    "isnanf": "pit_emulate_isnanf",
    "isnand": "pit_emulate_isnan",
    "isinff": "pit_emulate_isinff",
    "isinfd": "pit_emulate_isinf",
    "isfinited": "pit_emulate_isfinite",
    "finitef": "pit_emulate_isfinitef",
    "abs": "pit_emulate_abs",
    "llabs": "pit_emulate_llabs",
}

RUNTIME_NAMES = {
    "vprintf": "pit_emulate_printf",
    "__assertfail": "pit_emulate_assertion_failed",
}
"""Functions of CUDA's runtime that kernels may call, and who stands in for them."""


def host_name(name: str) -> str:
    """What the host calls for a function that kernels declare as `name`."""
    if name.startswith(LIBDEVICE):
        bare = name.removeprefix(LIBDEVICE)
        return _OTHER_NAMES.get(bare, bare)
    return RUNTIME_NAMES.get(name, name)


def _intrinsic(name: str) -> Rule:
    def rule(op: ir.Operation, function: Function) -> ir.Value:
        return function.create(f"llvm.intr.{name}", [op.result.type], list(op.operands))

    return rule


def _inverse(op: ir.Operation, function: Function, value: ir.Value) -> ir.Value:
    one = function.constant_float(1.0, op.result.type)
    return function.create("llvm.fdiv", [op.result.type], [one, value])


def reciprocal(op: ir.Operation, function: Function) -> ir.Value:
    """`rcp.approx.ftz`."""
    return _inverse(op, function, op.operands[0])


def inverse_root(op: ir.Operation, function: Function) -> ir.Value:
    """`rsqrt.approx`."""
    root = function.create("llvm.intr.sqrt", [op.result.type], [op.operands[0]])
    return _inverse(op, function, root)


SIGNED_LESS = 2
"""The number of the predicate in the LLVM dialect."""


def round_to_tf32(op: ir.Operation, function: Function) -> ir.Value:
    """`cvt.rna.tf32.f32`: the lowest 13 bits go, and what lies in the middle is rounded away from 0."""
    how = {name: str(op.attributes[name]) for name in ("rnd", "relu", "sat") if name in op.attributes}
    if how != {"rnd": "#nvvm.fp_rnd_mode<rna>", "relu": "false", "sat": "#nvvm.sat_mode<none>"}:
        raise unsupported(op, f"a conversion to tf32 with {how}")
    i32, [given] = function.i32, op.operands
    bits = function.create("llvm.bitcast", [i32], [given])
    half, kept, nan = (function.constant(number) for number in (0x1000, -0x2000, 0x7FFFFFFF))
    raised = function.create("llvm.add", [i32], [bits, half])
    rounded = function.create("llvm.and", [i32], [raised, kept])
    magnitude = function.create("llvm.and", [i32], [bits, nan])
    infinity = function.constant(0x7F800000)
    is_nan = function.create("llvm.icmp", [function.i1], [infinity, magnitude], predicate=SIGNED_LESS)
    return function.create("llvm.select", [i32], [is_nan, nan, rounded])


def fence(op: ir.Operation, function: Function) -> None:
    """A fence that makes what the thread wrote known to all blocks."""
    function.call("fence", [], [])


def nothing(op: ir.Operation, function: Function) -> None:
    """A hint, or an order that the emulator keeps by itself."""


def trap(op: ir.Operation, function: Function) -> None:
    """The kernel ends with an error."""
    function.call("trap", [], [function.site(op)])


def assembly(op: ir.Operation, function: Function) -> ir.Value | None:
    """Inline PTX is known by its text."""
    text = " ".join(ir.StringAttr(op.attributes["asm_string"]).value.split())
    rule = _ASSEMBLY.get(text)
    if rule is None:
        raise unsupported(op, f'the inline PTX "{text}"')
    return rule(op, function)


_ASSEMBLY: dict[str, Rule] = {
    "ex2.approx.ftz.f32 $0, $1;": _intrinsic("exp2"),
    "ex2.approx.f32 $0, $1;": _intrinsic("exp2"),
    "lg2.approx.f32 $0, $1;": _intrinsic("log2"),
    "rcp.approx.ftz.f32 $0, $1;": reciprocal,
    "rsqrt.approx.ftz.f32 $0, $1;": inverse_root,
    "membar.gl;": fence,
    "trap;": trap,
}

RULES: dict[str, Rule] = {
    "nvvm.ex2": _intrinsic("exp2"),
    "nvvm.log2": _intrinsic("log2"),
    "nvvm.sin": _intrinsic("sin"),
    "nvvm.cos": _intrinsic("cos"),
    "nvvm.sqrt": _intrinsic("sqrt"),
    "nvvm.sqrt.approx": _intrinsic("sqrt"),
    "nvvm.rsqrt": inverse_root,
    "nvvm.rcp.approx.ftz.f": reciprocal,
    "nvvm.convert.float.to.tf32": round_to_tf32,
    "nvvm.memory.barrier": fence,
    "llvm.fence": fence,
    "nvvm.fence.sc.cluster": fence,
    "nvvm.fence.mbarrier.init": nothing,
    "llvm.inline_asm": assembly,
    "llvm.intr.trap": trap,
    "llvm.intr.prefetch": nothing,
    "llvm.intr.assume": nothing,
    "nvvm.prefetch": nothing,
    "nvvm.cp.async.bulk.tensor.prefetch": nothing,
    "nvvm.cp.async.bulk.prefetch": nothing,
    "nvvm.nanosleep": nothing,
    "nvvm.setmaxregister": nothing,
    "nvvm.griddepcontrol": nothing,
}
