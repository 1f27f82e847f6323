"""`docs/proofs.md` says what the prover answers, of every operation there is, and execution agrees with it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from interpreter import run

from pit_mlir.bindings import PassManager, ir, linalg
from pit_mlir.dialect import make_context

ROOT = Path(__file__).parent.parent.parent


def generator() -> ModuleType:
    """The script that writes the document; `docs` is no package."""
    spec = importlib.util.spec_from_file_location("make_proofs", ROOT / "docs" / "make_proofs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_proofs"] = module
    spec.loader.exec_module(module)
    return module


MAKE_PROOFS = generator()
OPERATIONS = MAKE_PROOFS.named_operations()
PROVED = [operation for operation in OPERATIONS if operation.text and not operation.reason]


def test_document_is_up_to_date() -> None:
    made = MAKE_PROOFS.document()
    assert (ROOT / "docs" / "proofs.md").read_text() == made, "run: python docs/make_proofs.py"


def test_every_operation_of_the_dialect_is_in_it() -> None:
    classes = [item for item in vars(linalg).values() if isinstance(item, type)]
    names = {item.OPERATION_NAME for item in classes if hasattr(item, "OPERATION_NAME")}
    listed = {operation.name.split()[0] for operation in OPERATIONS}
    assert listed == names and len(names) > 90
    kinds = {operation.name.split()[1] for operation in OPERATIONS if " " in operation.name}
    assert kinds == {kind.name for kind in linalg.ElementwiseKind}


def test_what_has_no_proof_has_a_reason() -> None:
    # The others have a proof, or the test below fails.
    for operation in OPERATIONS:
        if operation.reason:
            assert MAKE_PROOFS.proved(operation).proof is None, operation.name


def random_array(type_: ir.Type, rng: np.random.Generator) -> np.ndarray:
    """Small positive numbers, quarters for floats: sums of products of them are exact. Scalars are larger."""
    if not isinstance(type_, ir.RankedTensorType):
        return np.array(rng.integers(1, 100), "float64" if isinstance(type_, ir.FloatType) else "int64")
    if str(type_.element_type) == "i1":
        return rng.integers(0, 2, type_.shape).astype(bool)
    numbers = rng.integers(1, 8, type_.shape)
    return numbers / 4 if isinstance(type_.element_type, ir.FloatType) else numbers


@pytest.mark.filterwarnings("ignore:.*encountered in arc:RuntimeWarning")
@pytest.mark.parametrize("operation", PROVED, ids=[operation.name.partition(".")[2] for operation in PROVED])
def test_execution_agrees(operation: object) -> None:
    """Upstream's own generic form is run with each iterator permuted in all operands that have it."""
    proof = MAKE_PROOFS.proved(operation).proof
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(operation.text)  # type: ignore[attr-defined]
        PassManager.parse("builtin.module(func.func(linalg-generalize-named-ops))").run(module.operation)
        block = module.body.operations[0].regions[0].blocks[0]
        generic = next(op for op in block.operations if op.operation.name == "linalg.generic")
        maps = [attribute.value for attribute in generic.attributes["indexing_maps"]]
        whole = [
            [e.position if isinstance(e, ir.AffineDimExpr) else None for e in map_.results] for map_ in maps
        ]
        rng = np.random.default_rng(0)
        for iterator, axis in enumerate(proof.axes):
            differs = False
            for _ in range(2):
                given = [random_array(argument.type, rng) for argument in block.arguments]
                moved = [flipped(array, dims, iterator) for array, dims in zip(given, whole, strict=True)]
                due = flipped(run(module, *given)[0], whole[-1], iterator)
                differs |= not np.array_equal(due, run(module, *moved)[0], equal_nan=True)
            untouched = axis.reason.endswith(MAKE_PROOFS.UNTOUCHED)
            assert differs == (axis.verdict == "none" and not untouched), f"d{iterator}: {axis}"


def flipped(array: np.ndarray, dims: list[int | None], iterator: int) -> np.ndarray:
    """`array` with its slices along `iterator`, where it is a dimension as a whole, in reverse order."""
    return np.flip(array, [dim for dim, position in enumerate(dims) if position == iterator])
