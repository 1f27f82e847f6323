"""Which code stands for which operation on a CPU."""

from pit_mlir.codegen.cpu.attend import lower_attend
from pit_mlir.codegen.cpu.block_mask import lower_block_mask
from pit_mlir.codegen.cpu.check import lower_check
from pit_mlir.codegen.cpu.contract import lower_contract
from pit_mlir.codegen.cpu.detect import lower_detect
from pit_mlir.codegen.cpu.detect_keys import lower_segment
from pit_mlir.codegen.cpu.library import lower_library
from pit_mlir.codegen.cpu.lists import lower_choice, lower_lists
from pit_mlir.codegen.cpu.lowering import Rule
from pit_mlir.codegen.cpu.rows import lower_size, lower_sread, lower_swrite
from pit_mlir.codegen.cpu.scatter import lower_scatter
from pit_mlir.codegen.cpu.segments import lower_generic
from pit_mlir.codegen.cpu.sort import lower_sort
from pit_mlir.codegen.lowering import lower_mark
from pit_mlir.codegen.windows import lower_window

RULES: dict[str, Rule] = {
    "pit.attend": lower_attend,
    "pit.block_mask": lower_block_mask,
    "pit.check": lower_check,
    "pit.choice": lower_choice,
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
    "tm_tensor.scan": lower_library,
    "tm_tensor.scatter": lower_scatter,
    "tm_tensor.sort": lower_sort,
    "tm_tensor.topk": lower_library,
}
"""For each operation that `pit-lower-to-cpu` lowers, the rule that does it."""
