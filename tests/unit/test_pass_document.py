"""`docs/passes.md` says what the registry says, and every pass has an example."""

import importlib.util
from pathlib import Path
from types import ModuleType

from pit_mlir.passes.registry import PASSES

ROOT = Path(__file__).parent.parent.parent


def generator() -> ModuleType:
    """The script that writes the document; `docs` is no package."""
    spec = importlib.util.spec_from_file_location("make_passes", ROOT / "docs" / "make_passes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_document_is_up_to_date() -> None:
    made = generator().document()
    assert (ROOT / "docs" / "passes.md").read_text() == made, "run: python docs/make_passes.py"
    for name in PASSES:
        assert f"### {name}\n" in made


def test_every_pass_has_a_lit_test() -> None:
    missing = [name for name in PASSES if not (ROOT / "lit_tests" / "passes" / f"{name}.mlir").exists()]
    assert missing in ([], ["pit-insert-sparsity"]), "its test is in three files"
