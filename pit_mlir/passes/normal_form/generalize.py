"""Named linalg operations become `linalg.generic`, except those whose name says more than their maps."""

from pit_mlir.bindings import ir, transform_interpreter
from pit_mlir.passes.normal_form.scope import tensor_blocks

# Fills tell the init of a reduction from data. Windows are not isolated iterators, so nothing is gained by
# their generic form, and code generation knows them by name. The rest has no generic form.
_KEPT = frozenset({"linalg.fill", "linalg.generic", "linalg.pack", "linalg.softmax", "linalg.unpack"})
_KEPT_KINDS = (
    "linalg.conv",
    "linalg.depthwise_conv",
    "linalg.pooling",
    "linalg.quantized_conv",
    "linalg.winograd",
)


def generalize_named(module: ir.Operation) -> None:
    """Generalises the transposes, broadcasts, contractions and element-wise operations below `module`."""
    names = sorted({name for name in _operation_names(module) if _generalizes(name)})
    if not names:
        return
    quoted = ", ".join(f'"{name}"' for name in names)
    script = ir.Module.parse(
        f"""
        module attributes {{transform.with_named_sequence}} {{
          transform.named_sequence @__transform_main(%module: !transform.any_op) {{
            %named = transform.structured.match ops{{[{quoted}]}} in %module
              : (!transform.any_op) -> !transform.any_op
            %generic = transform.structured.generalize %named : (!transform.any_op) -> !transform.any_op
            transform.yield
          }}
        }}
        """,
        module.context,
    )
    sequence = script.body.operations[0]
    transform_interpreter.apply_named_sequence(module, sequence, script)


def _operation_names(module: ir.Operation) -> set[str]:
    return {child.operation.name for block in tensor_blocks(module) for child in block.operations}


def _generalizes(name: str) -> bool:
    return name.startswith("linalg.") and name not in _KEPT and not name.startswith(_KEPT_KINDS)
