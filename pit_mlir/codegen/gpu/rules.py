"""Which code stands for which operation on a GPU."""

from pit_mlir.codegen.gpu.contract import lower_contract
from pit_mlir.codegen.gpu.kernels.attend import lower_attend
from pit_mlir.codegen.gpu.kernels.block_mask import lower_block_mask
from pit_mlir.codegen.gpu.kernels.check import lower_check
from pit_mlir.codegen.gpu.kernels.detect import lower_detect, lower_segment, lower_size
from pit_mlir.codegen.gpu.kernels.generic import lower_generic
from pit_mlir.codegen.gpu.kernels.lists import lower_lists
from pit_mlir.codegen.gpu.kernels.rows import lower_sread, lower_swrite
from pit_mlir.codegen.gpu.kernels.scan import lower_scan
from pit_mlir.codegen.gpu.kernels.scatter import lower_scatter
from pit_mlir.codegen.gpu.kernels.sort import lower_sort
from pit_mlir.codegen.gpu.kernels.topk import lower_topk
from pit_mlir.codegen.gpu.lowering import Rule
from pit_mlir.codegen.lowering import lower_mark
from pit_mlir.codegen.windows import lower_window

RULES: dict[str, Rule] = {
    "pit.attend": lower_attend,
    "pit.block_mask": lower_block_mask,
    "pit.check": lower_check,
    "pit.contract": lower_contract,
    "pit.detect": lower_detect,
    "pit.generic": lower_generic,
    "pit.lists": lower_lists,
    "pit.mark": lower_mark,
    "pit.segment": lower_segment,
    "pit.size": lower_size,
    "pit.sread": lower_sread,
    "pit.swrite": lower_swrite,
    "pit.window": lower_window,
    "tm_tensor.scan": lower_scan,
    "tm_tensor.scatter": lower_scatter,
    "tm_tensor.sort": lower_sort,
    "tm_tensor.topk": lower_topk,
}
"""For each operation that `pit-lower-to-gpu` lowers, the rule that does it."""
