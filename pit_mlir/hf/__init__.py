"""Experts and attention of `transformers` models as programs of ours: import this, and name "pit".

    import pit_mlir.hf

    model.set_experts_implementation("pit")  # each expert computes its own tokens alone, its weights are read in place
    model.set_attn_implementation("pit")  # no tensor of scores; what the mask leaves out is not computed

Or `from_pretrained(..., experts_implementation="pit", attn_implementation="pit")`. The model stays a model of
`transformers`: `generate`, caches, `save_pretrained`, copies, and back to "eager" whenever you like.

**Called as usual**, an implementation runs a program that is compiled at the first call of each form (types, numbers of
heads and experts, kind of mask) for any number of tokens, and shared by the layers and models of that form. Weights are
arguments of it: an update is seen by the next call, and nothing is copied. Programs go when their models do.

**Inside of `pit_mlir.compile(model, ...)`**, torch.export and torch.compile the same definitions, `combine_experts`
and `attend`, are part of the model's graph, as ordinary tensor code: our rules find in it what is sparse, other
backends compute all of it.

What is not covered is an error that says so: gradients, devices other than the CPU, quantised weights, dropout,
`output_attentions`. `programs(model)` has what was compiled, to be asked to `explain()`.
"""

from pit_mlir.hf.attention import attend
from pit_mlir.hf.experts import combine_experts
from pit_mlir.hf.interfaces import NAME, register
from pit_mlir.hf.programs import programs

__all__ = ["NAME", "attend", "combine_experts", "programs"]

register()
