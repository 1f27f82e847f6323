"""Pipelines as data: phases of passes, each with the reason why it stands where it stands."""

from collections.abc import Sequence


def rewrite_pipeline(padding: Sequence[int] = (), *, floats: str = "real", freeze: bool = False) -> tuple[str, ...]:
    """The phases from imported linalg to a sparse program on tensors.

    `padding` are the numbers of the arguments of @main that are masks of padded batches.
    """
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
        # The rules: R2 and R3 bring the indices in, R1 and R4 move them and cancel what meets.
        "pit-insert-sparsity",
        "pit-simplify",
        # One operation per contraction, with its tiles.
        "pit-select-tiles",
        *(("pit-split-frozen", "canonicalize, cse") if freeze else ()),
    )


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
