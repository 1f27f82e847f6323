"""The table of our passes: name to class, loaded only when a pipeline asks for it."""

from importlib import import_module

from pit_mlir.errors import PassError
from pit_mlir.passes.base import Pass

PASSES: dict[str, str] = {
    "pit-check-determinism": "pit_mlir.passes.pit_check_determinism:CheckDeterminism",
    "pit-declare-padding": "pit_mlir.passes.pit_declare_padding:DeclarePadding",
    "pit-erase-launches": "pit_mlir.passes.pit_erase_launches:EraseLaunches",
    "pit-expand-math": "pit_mlir.passes.pit_expand_math:ExpandMath",
    "pit-expose-entry": "pit_mlir.passes.pit_expose_entry:ExposeEntry",
    "pit-expose-indices": "pit_mlir.passes.pit_expose_indices:ExposeIndices",
    "pit-form-attention": "pit_mlir.passes.pit_form_attention:FormAttention",
    "pit-free-buffers": "pit_mlir.passes.pit_free_buffers:FreeBuffers",
    "pit-guard-bodies": "pit_mlir.passes.pit_guard_bodies:GuardBodies",
    "pit-hide-functions": "pit_mlir.passes.pit_hide_functions:HideFunctions",
    "pit-infer-zeros": "pit_mlir.passes.pit_infer_zeros:InferZeros",
    "pit-insert-sparsity": "pit_mlir.passes.pit_insert_sparsity:InsertSparsity",
    "pit-lay-out-weights": "pit_mlir.passes.pit_lay_out_weights:LayOutWeights",
    "pit-join-siblings": "pit_mlir.passes.pit_join_siblings:JoinSiblings",
    "pit-limit-unrolling": "pit_mlir.passes.pit_limit_unrolling:LimitUnrolling",
    "pit-lower-intrinsics": "pit_mlir.passes.pit_lower_intrinsics:LowerIntrinsics",
    "pit-lower-launches": "pit_mlir.passes.pit_lower_launches:LowerLaunches",
    "pit-lower-loops": "pit_mlir.passes.pit_lower_loops:LowerLoops",
    "pit-lower-parallel": "pit_mlir.passes.pit_lower_parallel:LowerParallel",
    "pit-lower-to-cpu": "pit_mlir.passes.pit_lower_to_cpu:LowerToCpu",
    "pit-lower-to-gpu": "pit_mlir.passes.pit_lower_to_gpu:LowerToGpu",
    "pit-map-loops-to-gpu": "pit_mlir.passes.pit_map_loops_to_gpu:MapLoopsToGpu",
    "pit-merge-kernels": "pit_mlir.passes.pit_merge_kernels:MergeKernels",
    "pit-normalize": "pit_mlir.passes.pit_normalize:Normalize",
    "pit-own-fills": "pit_mlir.passes.pit_own_fills:OwnFills",
    "pit-own-results": "pit_mlir.passes.pit_own_results:OwnResults",
    "pit-prove-permutation": "pit_mlir.passes.pit_prove_permutation:ProvePermutation",
    "pit-select-tiles": "pit_mlir.passes.pit_select_tiles:SelectTiles",
    "pit-serialize-kernels": "pit_mlir.passes.pit_serialize_kernels:SerializeKernels",
    "pit-share-loops": "pit_mlir.passes.pit_share_loops:ShareLoops",
    "pit-simplify": "pit_mlir.passes.pit_simplify:Simplify",
    "pit-sink-sizes": "pit_mlir.passes.pit_sink_sizes:SinkSizes",
    "pit-split-frozen": "pit_mlir.passes.pit_split_frozen:SplitFrozen",
    "pit-widen-booleans": "pit_mlir.passes.pit_widen_booleans:WidenBooleans",
}


def pass_class(name: str) -> type[Pass]:
    """The class of the pass called `name`; raises `PassError` for a name that is not ours."""
    if name not in PASSES:
        raise PassError(f"unknown pass '{name}'; known: {', '.join(sorted(PASSES))}")
    module, attribute = PASSES[name].split(":")
    return getattr(import_module(module), attribute)
