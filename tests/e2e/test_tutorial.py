"""The tutorial and the README do what they show."""

from pathlib import Path

import pytest

from tests.e2e.documents import found, run_document

ROOT = Path(__file__).parent.parent.parent


# What the documents show is of programs for the CPU.
@pytest.mark.cpu
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/ahead-of-time.md"])
def test_document(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    run_document(ROOT / name, tmp_path)


def test_found() -> None:
    printed = "%0 = a %arg1\n  %2 = b %0, %0 : tensor<4xf32>\n"
    assert found("%y = b %x, %x : ...", printed)
    assert found("%x = a %arg1\n...\n%y = b %x", printed)
    assert not found("%x = a %y ... %z = b %y", printed), "one name is one value"
    assert not found("= c", printed)
