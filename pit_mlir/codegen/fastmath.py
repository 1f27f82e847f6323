"""What code may do with floats: fuse, and reorder what is summed up."""

from pit_mlir.bindings import ir


def relax(body: ir.Block, inputs: int, *, reassociate: bool) -> None:
    """Floats are reals: products and sums may fuse, and what folds into an accumulator may be reordered."""
    accumulators = {(argument.arg_number) for argument in list(body.arguments)[inputs:]}
    for op in body.operations:
        operation = op.operation
        if operation.name == "arith.divf" and is_narrowed(operation):
            operation.attributes["fastmath"] = ir.Attribute.parse("#arith.fastmath<arcp>")
        if operation.name not in ("arith.addf", "arith.subf", "arith.mulf"):
            continue
        folds = reassociate and any(
            isinstance(operand.owner, ir.Block)
            and operand.owner == body
            and ir.BlockArgument(operand).arg_number in accumulators
            for operand in operation.operands
        )
        flags = "reassoc,contract" if folds else "contract"
        operation.attributes["fastmath"] = ir.Attribute.parse(f"#arith.fastmath<{flags}>")


def is_narrowed(quotient: ir.Operation) -> bool:
    """Whether `quotient` is next rounded to 16 bits, where the last bits of a product with the reciprocal are lost."""
    users = [use.owner.operation for use in quotient.results[0].uses]
    return bool(users) and all(
        user.name == "arith.truncf" and isinstance(user.results[0].type, ir.BF16Type | ir.F16Type)
        for user in users
    )
