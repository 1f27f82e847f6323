"""Pipelines as data: phases of passes, each with the reason why it stands where it stands."""

CPU_PIPELINE: tuple[str, ...] = (
    # The border to the caller: read-only arguments, a C interface.
    "pit-expose-entry",
    # Tensors that bufferization knows no rule for become ones that it does.
    "func.func(refback-generalize-tensor-concat, refback-generalize-tensor-pad), canonicalize, cse",
    # Tensors become buffers; what may be written in place is.
    "func.func(tm-tensor-bufferize), one-shot-bufferize{bufferize-function-boundaries copy-before-write=0 "
    "function-boundary-type-conversion=identity-layout-map unknown-type-conversion=identity-layout-map "
    "allow-return-allocs-from-loops}, canonicalize, cse",
    "ownership-based-buffer-deallocation, canonicalize, buffer-deallocation-simplification, "
    "bufferization-lower-deallocations, cse, canonicalize",
    # Loops.
    "func.func(convert-linalg-to-loops, tm-tensor-to-loops)",
    "convert-bufferization-to-memref, expand-realloc, memref-expand, expand-strided-metadata, lower-affine, "
    "convert-scf-to-cf, arith-expand, math-expand-ops",
    # The LLVM dialect.
    "convert-vector-to-llvm, convert-math-to-llvm, convert-math-to-libm, convert-complex-to-llvm, "
    "lower-affine, finalize-memref-to-llvm{use-generic-functions}, convert-arith-to-llvm, convert-index-to-llvm, "
    "convert-func-to-llvm, convert-cf-to-llvm, convert-ub-to-llvm, reconcile-unrealized-casts",
)
