"""The size budget: 500 lines a file, 80 lines a function."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 500
FUNCTION_LINES = 80
FOLDERS = ("pit_mlir", "tests", "examples", "bench", ".ci")
SUFFIXES = (".py", ".cpp", ".h")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_size(path: Path) -> None:
    text = path.read_text()
    lines = len(text.splitlines())
    assert lines <= FILE_LINES, f"{lines} lines, budget {FILE_LINES}: split the file by concept"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            size = node.end_lineno - node.lineno + 1
            assert size <= FUNCTION_LINES, f"{node.name} has {size} lines, budget {FUNCTION_LINES}"
