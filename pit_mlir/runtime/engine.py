"""From a module on tensors to the code of a program, by LLVM's engine."""

import os
from dataclasses import replace

from pit_mlir.bindings import ExecutionEngine, gpu_object_content, ir
from pit_mlir.diagnostics import Report
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.pipelines import target_pipeline
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.device import Image, Kernels
from pit_mlir.runtime.library import library, library_path
from pit_mlir.runtime.machine_code import is_loadable
from pit_mlir.runtime.memref import ELEMENTS, Signature, TensorType
from pit_mlir.runtime.program import INTERFACE, Code, Program
from pit_mlir.target import CPU, OLDEST_CHIP, Target, host

CHECKS_ATTRIBUTE = "pit.checks"
KERNELS_ATTRIBUTE = "pit.kernels"
PLAIN_INSTRUCTIONS = {"x86_64": ("x86-64", "+sse2"), "aarch64": ("generic", "+neon")}
"""What LLVM calls the oldest processor of an architecture, and a feature of it."""
CUBIN = 2
"""How `gpu.binary` numbers the format of machine code; others hold PTX."""


def code_of(module: ir.Module, signature: Signature, kernels: Kernels | None = None) -> Code:
    """Compiles `module`, which is in the LLVM dialect; its attribute `pit.checks` holds the messages."""
    library().pit_use_openmp_runtime()
    attributes = module.operation.attributes
    checks = attributes.get(CHECKS_ATTRIBUTE, ())
    # What launches kernels is gone through once a call.
    level = 3 if kernels is None else 0
    engine = ExecutionEngine(module, opt_level=level, shared_libs=[str(library_path())])
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
        kernels,
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


def build_code(
    module: ir.Module,
    report: Report | None = None,
    *,
    target: Target = CPU,
    deterministic: bool = False,
    tf32: bool = False,
    is_assembled: bool = True,
) -> Code:
    """Lowers `module`, whose function @main is on tensors, for `target` in place, and compiles it.

    With `deterministic` it raises `UnsupportedError` for a program whose results depend on the order of threads.
    With `tf32` kernels of a GPU round the factors of products of f32. Of kernels that are not `is_assembled` there is
    only PTX.
    """
    function = next(
        op.operation
        for op in module.body.operations
        if op.operation.name == "func.func"
        and ir.StringAttr(op.operation.attributes["sym_name"]).value == "main"
    )
    signature = signature_of(ir.TypeAttr(function.attributes["function_type"]).value)
    general = general_code(module, deterministic=deterministic, tf32=tf32) if target.is_of_one_chip else None
    steps = target_pipeline(target, deterministic=deterministic, tf32=tf32, is_assembled=is_assembled)
    run_pipeline(module, steps, report)
    if target.kind == "cuda":
        use_plain_instructions(module)
    kernels = take_kernels(module, target) if target.is_gpu else None
    return replace(code_of(module, signature, kernels), general=general)


def general_code(module: ir.Module, *, deterministic: bool, tf32: bool) -> Code:
    """The code of `module` for the GPUs that a program does not name: its kernels are PTX, for any newer one.

    Index and tiles are those of the chip that the program was made for.
    """
    with module.context, ir.Location.unknown():
        copy = ir.Module.create()
        for op in module.body.operations:
            copy.body.append(op.operation.clone())
        for name in module.operation.attributes:
            copy.operation.attributes[name] = module.operation.attributes[name]
    oldest = Target("cuda", OLDEST_CHIP)
    return build_code(copy, target=oldest, deterministic=deterministic, tf32=tf32, is_assembled=False)


def use_plain_instructions(module: ir.Module) -> None:
    """Has the functions of `module` use what every processor of this architecture has.

    The host code of a program for a GPU does little but launch, and runs on whatever machine the GPU is in.
    """
    cpu, features = PLAIN_INSTRUCTIONS[host().architecture]
    with module.context:
        for op in module.body.operations:
            if op.operation.name == "llvm.func":
                op.operation.attributes["target_cpu"] = ir.StringAttr.get(cpu)
                op.operation.attributes["target_features"] = ir.Attribute.parse(
                    f'#llvm.target_features<["{features}"]>'
                )


def take_kernels(module: ir.Module, target: Target) -> Kernels:
    """Takes the kernels out of `module`: their names, and the images of them that a program for `target` carries.

    The emulator has an image of its own.
    """
    from pit_mlir.runtime.emulator_engine import build_image

    attributes = module.operation.attributes
    names = tuple(name.value for name in attributes.get(KERNELS_ATTRIBUTE, ()))
    images: list[Image] = []
    for op in [op.operation for op in module.body.operations]:
        if op.name == "gpu.binary":
            for packed in op.attributes["objects"]:
                chip, form, content = gpu_object_content(packed)
                images.append(Image("cubin" if form == CUBIN else "ptx", chip, content))
        elif op.name == "gpu.module":
            images.append(Image("emulator", target.chip, build_image(op)))
        else:
            continue
        op.erase()
    return Kernels(names, tuple(images))


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
