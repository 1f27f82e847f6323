"""`CASES` of `test_operators`: what torch-mlir lowers for encoders, decoders, experts and graph models, in groups."""

import torch
from element_cases import ACTIVATIONS, BINARY, INTEGERS, NORMS, REDUCTIONS, UNARY
from layer_cases import CONTRACTIONS, EMPTY, MODELS, SCALARS, typed
from movement_cases import CONVOLUTIONS, GATHERS, MOVEMENT, SCATTERS, SORTS
from operator_inputs import Group

CASES: dict[str, Group] = {
    "unary": UNARY,
    "activations": ACTIVATIONS,
    "binary": BINARY,
    "integers": INTEGERS,
    "reductions": REDUCTIONS,
    "norms": NORMS,
    "movement": MOVEMENT,
    "gathers": GATHERS,
    "scatters": SCATTERS,
    "sorts": SORTS,
    "convolutions": CONVOLUTIONS,
    "contractions": CONTRACTIONS,
    "models": MODELS,
    "empty": EMPTY,
    "scalars": SCALARS,
    "float64": typed(torch.float64, 1e-12),
    "bfloat16": typed(torch.bfloat16, 2e-2),
    "float16": typed(torch.float16, 2e-3),
}
