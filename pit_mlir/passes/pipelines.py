"""Pipelines as data: phases of passes, each with the reason why it stands where it stands."""

import re
from collections.abc import Sequence

from pit_mlir.passes.registry import PASSES
from pit_mlir.target import Target


def rewrite_pipeline(
    padding: Sequence[int] = (),
    *,
    floats: str = "real",
    freeze: bool = False,
    select: str = "",
    chip: str = "",
) -> tuple[str, ...]:
    """The phases from imported linalg to a sparse program on tensors.

    `padding` are the numbers of the arguments of @main that are masks of padded batches; `select` as in
    `CompileOptions`; `chip` is that of a GPU.
    """
    options = [f"{name}={text}" for name, text in (("choice", select), ("chip", chip)) if text]
    return (
        # One iterator per axis of the model: nothing after this looks through a reshape or a transpose.
        "pit-normalize",
        # What is unused becomes a select that the rules can see.
        *(f"pit-declare-padding{{argument={number}}}" for number in padding),
        # Before the proof, since attention is one operation for the rules.
        "pit-form-attention",
        # After the last upstream pass that drops attributes.
        f"pit-prove-permutation{{floats={floats}}}",
        "pit-infer-zeros",
        # What is returned first, as padding and dead images: experts are then chosen by what is live of it alone.
        "pit-insert-sparsity{only=results}",
        "pit-simplify",
        # The rules: R2, R3 and R5 bring the indices in, R1 and R4 move them and cancel what meets.
        "pit-insert-sparsity{only=rows}",
        "pit-simplify",
        # R6 sorts rows by a key, of what is compact by now; the order of a padded batch would not pass through it.
        "pit-insert-sparsity{only=keys}",
        "pit-simplify",
        # Lists inside contractions stop a read that moves up, so they come once the rows are compact.
        "pit-insert-sparsity{only=lists}",
        # One operation per contraction, with its tiles.
        f"pit-select-tiles{{{' '.join(options)}}}" if options else "pit-select-tiles",
        # Weights may lie differently from how torch keeps them only where a snapshot of them is taken; kernels of GPUs
        # read them as they are.
        *(("pit-lay-out-weights",) if freeze and not chip else ()),
        *(("pit-split-frozen", "canonicalize, cse") if freeze else ()),
    )


CPU_PIPELINE: tuple[str, ...] = (
    # Gate and up of experts are one kernel.
    "pit-join-siblings",
    # The border to the caller: read-only arguments, a C interface.
    "pit-expose-entry",
    # Element-wise chains that no contraction took become one loop each; tensors that bufferization has no rule for
    # become ones that it has.
    "linalg-generalize-named-ops, linalg-fuse-elementwise-ops, canonicalize, cse",
    "func.func(refback-generalize-tensor-concat, refback-generalize-tensor-pad), linalg-generalize-named-ops",
    # Nothing in a body may crash the process, whatever the data.
    "pit-guard-bodies",
    # Indices and contractions become code on buffers, between brackets that bufferization folds. It sees a buffer read
    # where the bracket stands, so nothing may merge or fold brackets before it: no canonicalize, no cse here.
    "pit-lower-to-cpu",
    # Tensors become buffers; what may be written in place is.
    "eliminate-empty-tensors, pit-own-fills, pit-own-results, one-shot-bufferize{bufferize-function-boundaries "
    "function-boundary-type-conversion=identity-layout-map unknown-type-conversion=identity-layout-map "
    "allow-return-allocs-from-loops}, canonicalize, cse",
    # Loops: the order of iterators, what runs in parallel.
    "linalg-generalize-named-ops, pit-lower-loops, func.func(tm-tensor-to-loops), canonicalize, cse",
    # What the layers of a model repeat is compiled once.
    "pit-share-loops",
    # Buffers go back as soon as nobody reads them, so that the next one is still in the cache.
    "pit-free-buffers",
    # Math that LLVM can vectorise; floats that the processor lacks go through f32.
    "arith-emulate-unsupported-floats{source-types=bf16,f16 target-type=f32}, math-extend-to-supported-types, "
    "pit-expand-math, canonicalize, cse, loop-invariant-code-motion",
    # Parallel loops become calls of the runtime's team.
    "pit-lower-parallel",
    # While loops are still loops: half of what LLVM takes, it took for copies of bodies that no one gains by.
    "pit-limit-unrolling",
    "convert-bufferization-to-memref, expand-realloc, memref-expand, expand-strided-metadata, lower-affine, "
    # A fused multiply-add stays one; ceilings and even roundings are instructions too.
    "convert-scf-to-cf, arith-expand, math-expand-ops{ops=sinh,cosh,tan,tanh,asinh,acosh,atanh,exp2,powf,fpowi,"
    "round,rsqrt,clampf}",
    # The LLVM dialect. Buffers before OpenMP, whose pass would convert them too, and allocate by malloc.
    # Math first: the C library's functions take a vector apart with operations of the vector dialect.
    "convert-math-to-llvm, convert-math-to-libm, convert-vector-to-llvm{enable-x86=true}, convert-complex-to-llvm, "
    "lower-affine, finalize-memref-to-llvm{use-generic-functions}, convert-openmp-to-llvm, convert-arith-to-llvm, "
    "convert-index-to-llvm, convert-func-to-llvm, convert-cf-to-llvm, convert-ub-to-llvm, "
    "reconcile-unrealized-casts, pit-widen-booleans",
    # Only the C interface is called from outside: LLVM need not keep the rest callable.
    "pit-hide-functions",
)


GPU_PIPELINE: tuple[str, ...] = (
    # As for the CPU, up to indices and contractions.
    "pit-expose-entry",
    "linalg-generalize-named-ops, linalg-fuse-elementwise-ops, canonicalize, cse",
    "func.func(refback-generalize-tensor-concat, refback-generalize-tensor-pad), linalg-generalize-named-ops",
    "pit-guard-bodies",
    # What is done through indices becomes kernels, between brackets that bufferization folds.
    "pit-lower-to-gpu",
    "eliminate-empty-tensors, pit-own-fills, pit-own-results, one-shot-bufferize{bufferize-function-boundaries "
    "function-boundary-type-conversion=identity-layout-map unknown-type-conversion=identity-layout-map "
    "allow-return-allocs-from-loops}, canonicalize, cse",
    # What is left becomes kernels too.
    "linalg-generalize-named-ops, pit-map-loops-to-gpu, canonicalize, cse",
    # The host only allocates and launches: what it would read in the memory of the device, kernels read.
    "pit-sink-sizes, canonicalize, cse",
    # In the order of the stream, a buffer may be the next one's as soon as its last kernel is launched.
    "pit-free-buffers",
    # Arithmetic that the chip has.
    "arith-emulate-unsupported-floats{source-types=bf16,f16 target-type=f32}, math-extend-to-supported-types, "
    "pit-expand-math, canonicalize, cse, loop-invariant-code-motion",
    "convert-bufferization-to-memref, memref-expand, expand-strided-metadata, lower-affine, canonicalize, cse",
    # Kernels leave the function, constants went into them before; those that layers repeat are one. None has an empty
    # grid.
    "pit-erase-launches, gpu-launch-sink-index-computations, gpu-kernel-outlining, pit-merge-kernels",
    "convert-scf-to-cf, arith-expand, math-expand-ops{ops=sinh,cosh,tan,tanh,asinh,acosh,atanh,exp2,fpowi,round,"
    "roundeven,clampf}",
    # Kernels in the NVVM dialect, then what host and kernels have in common.
    "gpu.module(convert-nvgpu-to-nvvm, "
    "convert-gpu-to-nvvm{index-bitwidth=64}, reconcile-unrealized-casts), "
    "pit-lower-intrinsics, convert-math-to-llvm, convert-vector-to-llvm, "
    "finalize-memref-to-llvm{use-generic-functions}, convert-arith-to-llvm, convert-index-to-llvm, "
    "convert-func-to-llvm, convert-cf-to-llvm, convert-ub-to-llvm",
    # Launches become calls of the runtime.
    "pit-lower-launches, reconcile-unrealized-casts, pit-widen-booleans, canonicalize, cse",
    "pit-hide-functions",
)


def cpu_pipeline(*, deterministic: bool = False) -> tuple[str, ...]:
    """`CPU_PIPELINE`; with `deterministic` it ends in an error where the order of threads would show."""
    place = CPU_PIPELINE.index("pit-lower-parallel")
    # The last place where loops are still loops.
    check = ("pit-check-determinism",) if deterministic else ()
    return (*CPU_PIPELINE[:place], *check, *CPU_PIPELINE[place:])


def gpu_pipeline(chip: str, *, deterministic: bool = False, tf32: bool = False) -> tuple[str, ...]:
    """`GPU_PIPELINE` for `chip`; with `deterministic` no result depends on the order of threads.

    With `tf32` factors of f32 are rounded, and multiplied by tensor cores.
    """
    options = f"{{chip={chip} deterministic={str(deterministic).lower()} tf32={str(tf32).lower()}}}"
    return tuple(f"{phase}{options}" if phase == "pit-lower-to-gpu" else phase for phase in GPU_PIPELINE)


def target_pipeline(
    target: Target, *, deterministic: bool = False, tf32: bool = False, is_assembled: bool = True
) -> tuple[str, ...]:
    """The phases from a sparse program to code for `target`; kernels for the emulator are left in the LLVM dialect, and
    those that are not `is_assembled` as PTX.

    The CPU knows no `tf32`.
    """
    if not target.is_gpu:
        return cpu_pipeline(deterministic=deterministic)
    # Instructions that LLVM has no name for become text, which only the assembler reads.
    options = f"chip={target.chip} assembled={str(is_assembled).lower()}"
    images = ("gpu.module(convert-nvvm-to-llvm)", f"pit-serialize-kernels{{{options}}}")
    return (
        *gpu_pipeline(target.chip, deterministic=deterministic, tf32=tf32),
        *(images if target.kind == "cuda" else ()),
    )


def phases() -> dict[str, tuple[str, ...]]:
    """All our passes, each once, by the phase of the compiler in which it runs first, in order."""
    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for title, pipeline in (
        ("From linalg on tensors to a sparse program", rewrite_pipeline([0])),
        ("With frozen weights", rewrite_pipeline([0], freeze=True)),
        ("From a sparse program to code for the CPU", cpu_pipeline(deterministic=True)),
        ("From a sparse program to code for a GPU", target_pipeline(Target("cuda", "sm_80"))),
        ("Others", sorted(PASSES)),
    ):
        named = re.findall(r"pit-[a-z-]+", ", ".join(pipeline))
        names = tuple(name for name in dict.fromkeys(named) if name in PASSES and name not in seen)
        seen.update(names)
        if names:
            found[title] = names
    return found
