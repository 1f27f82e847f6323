"""From kernels in the LLVM dialect to PTX and to machine code of a chip: LLVM through llvmlite, then ptxas."""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pit_mlir.bindings import ir, translate_to_llvm_ir
from pit_mlir.codegen.gpu.llvm_text import older
from pit_mlir.errors import PassError, PlatformError

TRIPLE = "nvptx64-nvidia-cuda"
LAYOUT = "e-p3:32:32-p4:32:32-p5:32:32-p6:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"
PTXAS_VARIABLE = "PIT_PTXAS"
PTX_FEATURES = "+ptx80"
"""PTX 8.0, which all drivers since CUDA 12.0 take; newer chips need a newer one."""
NEWER_FEATURES = {"sm_100": "+ptx86", "sm_120": "+ptx87"}

DYNAMIC_SHARED = "__dynamic_shmem__"
"""How upstream names shared memory whose size a launch gives."""
SWIZZLE_BYTES = 1024
"""Tensor cores read tiles that begin at multiples of it."""


@dataclass(frozen=True)
class KernelUse:
    """What ptxas says that a kernel needs: registers of a thread, bytes that it spills, bytes of shared memory."""

    registers: int
    spill_stores: int
    spill_loads: int
    shared_bytes: int


@dataclass(frozen=True)
class Image:
    """The kernels of a program for `chip`: PTX, and machine code if ptxas is there; `use` by the kernel's name."""

    chip: str
    ptx: str
    cubin: bytes
    use: dict[str, KernelUse]


def llvm_ir(kernels: ir.Operation) -> str:
    """The `gpu.module` `kernels`, in the NVVM and LLVM dialects, as LLVM IR."""
    with kernels.context, ir.Location.unknown():
        module = ir.Module.create()
        attributes = module.operation.attributes
        attributes["llvm.target_triple"] = ir.StringAttr.get(TRIPLE)
        attributes["llvm.data_layout"] = ir.StringAttr.get(LAYOUT)
        with ir.InsertionPoint(module.body):
            for op in kernels.regions[0].blocks[0].operations:
                declare_dynamic(op.operation.clone())
        return translate_to_llvm_ir(module.operation)


def declare_dynamic(op: ir.Operation) -> None:
    """Shared memory whose size a launch gives is external: a variable of the kernel's own would be another one."""
    if op.name != "llvm.mlir.global" or DYNAMIC_SHARED not in str(op.attributes["sym_name"]):
        return
    op.attributes["linkage"] = ir.Attribute.parse("#llvm.linkage<external>")
    op.attributes["alignment"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), SWIZZLE_BYTES)


def ptx(text: str, chip: str) -> str:
    """The PTX for `chip` of the LLVM IR `text`; raises `PlatformError` without llvmlite, `PassError` if LLVM fails."""
    binding = llvmlite_binding()
    machine = target_machine(chip)
    try:
        module = binding.parse_assembly(older(text))
        module.verify()
        link_math(binding, module)
        builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
        passes = builder.getModulePassManager()
        passes.run(module, builder)
        return machine.emit_assembly(module)
    except RuntimeError as error:
        raise PassError(f"LLVM cannot compile the kernels for {chip}: {error}") from None


@cache
def llvmlite_binding() -> Any:
    """llvmlite's LLVM with its NVPTX target."""
    if importlib.util.find_spec("llvmlite") is None:
        raise PlatformError("code for GPUs needs llvmlite: pip install 'pit-mlir[gpu]'")
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


@cache
def target_machine(chip: str) -> Any:
    """LLVM's machine for `chip`."""
    base = chip.removesuffix("a")
    features = NEWER_FEATURES.get(base, PTX_FEATURES)
    target = llvmlite_binding().Target.from_triple(TRIPLE)
    return target.create_target_machine(cpu=chip, features=features, opt=3)


def link_math(binding: Any, module: Any) -> None:
    """Links the functions of libdevice that `module` calls; raises `PlatformError` where there is none."""
    missing = [f.name for f in module.functions if f.is_declaration and f.name.startswith("__nv_")]
    if not missing:
        return
    path = libdevice()
    if path is None:
        raise PlatformError(
            f"the kernels call {', '.join(missing)} of libdevice, which is not there: pip install nvidia-nvvm"
        )
    called = {f.name for f in module.functions if not f.is_declaration}
    library = binding.parse_bitcode(path.read_bytes())
    library.triple, library.data_layout = module.triple, module.data_layout
    module.link_in(library)
    for function in module.functions:
        if not function.is_declaration and function.name not in called:
            function.linkage = "internal"


def nvidia_file(*parts: str) -> Path | None:
    """A file of one of NVIDIA's packages, if it is installed."""
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(place).glob(str(Path("cu1[2-9]", *parts))), reverse=True):
            return found
    return None


def libdevice() -> Path | None:
    """The bitcode of NVIDIA's mathematical functions."""
    return nvidia_file("nvvm", "libdevice", "libdevice.10.bc")


def ptxas() -> Path | None:
    """The assembler: `$PIT_PTXAS`, that of the package nvidia-cuda-nvcc, or one on the path.

    Raises `PlatformError` where the variable names none.
    """
    chosen = os.environ.get(PTXAS_VARIABLE)
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise PlatformError(
                f"${PTXAS_VARIABLE} is {chosen!r}, expected a program: unset it, or name NVIDIA's ptxas"
            )
        return Path(found)
    on_path = shutil.which("ptxas")
    return nvidia_file("bin", "ptxas") or (Path(on_path) if on_path else None)


def tools_digest() -> str:
    """What tells the tools that make machine code of kernels from others: LLVM's, libdevice and ptxas."""
    files = [digest_of(path, path.stat().st_mtime_ns) for path in (libdevice(), ptxas()) if path is not None]
    # Its LLVM is a part of it; to ask that for its version would take longer than to find a program in the cache.
    llvmlite = [dist.version for dist in importlib.metadata.distributions(name="llvmlite")]
    return " ".join(["tools", *llvmlite, *files])


@cache
def digest_of(path: Path, changed: int) -> str:
    """The digest of the file at `path`, which was `changed` last at that time."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assemble(text: str, chip: str) -> tuple[bytes, dict[str, KernelUse]]:
    """The machine code of the PTX `text` and what its kernels use; raises `PassError`, with the PTX kept in a file."""
    tool = ptxas()
    if tool is None:
        raise PlatformError("machine code for a GPU needs ptxas: pip install 'pit-mlir[gpu]'")
    with tempfile.TemporaryDirectory(prefix="pit-ptx-") as folder:
        source, target = Path(folder, "kernels.ptx"), Path(folder, "kernels.cubin")
        source.write_text(text)
        command = [str(tool), f"-arch={chip}", "-v", str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            descriptor, kept = tempfile.mkstemp(prefix="pit-kernels-", suffix=".ptx")
            with open(descriptor, "w") as file:
                file.write(text)
            raise PassError(
                f"{tool} refuses the kernels for {chip} and ends with {done.returncode}; the PTX is in {kept}\n"
                f"{(done.stderr or done.stdout).strip()}"
            )
        return target.read_bytes(), dict(uses(done.stderr))


def uses(report: str) -> Iterator[tuple[str, KernelUse]]:
    """What `ptxas -v` says of each kernel."""
    for part in re.split(r"Compiling entry function '", report)[1:]:
        name = part.partition("'")[0]

        def number(pattern: str, part: str = part) -> int:
            found = re.search(pattern, part)
            return int(found[1]) if found else 0

        yield (
            name,
            KernelUse(
                number(r"Used (\d+) registers"),
                number(r"(\d+) bytes spill stores"),
                number(r"(\d+) bytes spill loads"),
                number(r"(\d+) bytes smem"),
            ),
        )


def build_image(kernels: ir.Operation, chip: str, *, assembled: bool = True) -> Image:
    """The image of the `gpu.module` `kernels` for `chip`; without ptxas, or where they are not to be `assembled`, it is
    PTX alone, which drivers compile."""
    text = ptx(llvm_ir(kernels), chip)
    if not assembled or ptxas() is None:
        return Image(chip, text, b"", {})
    cubin, use = assemble(text, chip)
    return Image(chip, text, cubin, use)
