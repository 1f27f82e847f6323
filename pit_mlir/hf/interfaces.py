"""The places where `transformers` asks for implementations, and ours in them."""

from pit_mlir.errors import MissingPackageError
from pit_mlir.hf.attention import attention_forward
from pit_mlir.hf.experts import experts_forward, refuse_quantised

NAME = "pit"
"""What the implementations are called in `transformers`."""

NEEDED = "transformers>=5.20,<6"


def register() -> None:
    """Makes "pit" an experts and an attention implementation; raises `MissingPackageError` without `transformers`."""
    try:
        from transformers.integrations.finegrained_fp8 import FP8ExpertsInterface
        from transformers.integrations.moe import ExpertsInterface
        from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
        from transformers.modeling_utils import AttentionInterface
    except ImportError as error:
        raise MissingPackageError(
            f"pit_mlir.hf needs {NEEDED}, which cannot be imported ({error}): pip install 'pit-mlir[hf]'"
        ) from error
    ExpertsInterface.register(NAME, experts_forward)
    FP8ExpertsInterface.register(NAME, refuse_quantised)
    AttentionInterface.register(NAME, attention_forward)
    # The masks of torch's own attention: truth values, or None where `is_causal` or nothing at all says as much.
    AttentionMaskInterface.register(NAME, sdpa_mask)
