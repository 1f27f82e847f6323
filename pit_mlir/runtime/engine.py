"""From a module on tensors to the code of a program, by LLVM's engine."""

import os

from pit_mlir.bindings import ExecutionEngine, ir
from pit_mlir.diagnostics import Report
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.pipelines import cpu_pipeline
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.library import library, library_path
from pit_mlir.runtime.machine_code import is_loadable
from pit_mlir.runtime.memref import ELEMENTS, Signature, TensorType
from pit_mlir.runtime.program import INTERFACE, Code, Program

CHECKS_ATTRIBUTE = "pit.checks"


def code_of(module: ir.Module, signature: Signature) -> Code:
    """Compiles `module`, which is in the LLVM dialect; its attribute `pit.checks` holds the messages."""
    library().pit_use_openmp_runtime()
    attributes = module.operation.attributes
    checks = attributes.get(CHECKS_ATTRIBUTE, ())
    engine = ExecutionEngine(module, opt_level=3, shared_libs=[str(library_path())])
    if not engine.raw_lookup(INTERFACE):
        raise UnsupportedError(
            "the machine code does not link: it calls a function that neither the runtime nor the C library has; "
            "its name is printed above"
        )
    content = object_file_of(engine)
    return Code(
        signature,
        tuple(message.value for message in checks),
        content,
        None if is_loadable(content) else engine,
    )


def object_file_of(engine: ExecutionEngine) -> bytes:
    """The object file that `engine` has compiled."""
    descriptor = os.memfd_create("pit_mlir")
    with open(descriptor, "rb") as file:
        engine.dump_to_object_file(f"/proc/self/fd/{descriptor}")
        return file.read()


def build_program(module: ir.Module) -> Program:
    """Lowers `module`, whose function @main is on tensors, for the CPU in place, compiles it and loads it."""
    return Program(build_code(module))


def build_code(module: ir.Module, report: Report | None = None, *, deterministic: bool = False) -> Code:
    """Lowers `module`, whose function @main is on tensors, for the CPU in place, and compiles it.

    With `deterministic` it raises `UnsupportedError` for a program whose results depend on the order of threads.
    """
    function = next(
        op.operation
        for op in module.body.operations
        if op.operation.name == "func.func"
        and ir.StringAttr(op.operation.attributes["sym_name"]).value == "main"
    )
    signature = signature_of(ir.TypeAttr(function.attributes["function_type"]).value)
    run_pipeline(module, cpu_pipeline(deterministic=deterministic), report)
    return code_of(module, signature)


def tensor_type_of(type_: ir.Type) -> TensorType:
    """The view of an MLIR type; raises `UnsupportedError` for what cannot cross the border."""
    element = type_.element_type if isinstance(type_, ir.RankedTensorType | ir.MemRefType) else type_
    if str(element) not in ELEMENTS:
        raise UnsupportedError(
            f"type {type_} cannot be passed in or out; known elements: {', '.join(ELEMENTS)}"
        )
    if element is type_:
        return TensorType(None, ELEMENTS[str(element)])
    dynamic = ir.ShapedType.get_dynamic_size()
    return TensorType(
        tuple(None if size == dynamic else size for size in ir.ShapedType(type_).shape),
        ELEMENTS[str(element)],
    )


def signature_of(function: ir.Type) -> Signature:
    """The view of a function type on tensors or memrefs."""
    view = ir.FunctionType(function)
    results = tuple(map(tensor_type_of, view.results))
    for result in results:
        if result.shape is None:
            raise UnsupportedError(f"the program returns the scalar {result}; return a tensor of rank 0")
    return Signature(tuple(map(tensor_type_of, view.inputs)), results)
