"""Affine expressions and maps of MLIR, on numbers."""

import ast
import re
from collections.abc import Sequence
from functools import lru_cache


def affine_value(text: str, dimensions: Sequence[int], symbols: Sequence[int] = ()) -> int:
    """The expression `text`, such as `d0 * 2 + s0`; raises `ZeroDivisionError`."""
    return _value(_parsed(text), dimensions, symbols)


def affine_values(text: str, operands: Sequence[int]) -> list[int]:
    """The results of the map `text`, such as `affine_map<(d0)[s0] -> (d0 * 2 + s0)>`; raises `ZeroDivisionError`."""
    leaves, results = text.removeprefix("affine_map<").removesuffix(">").split(" -> ")
    dimensions = len(re.findall(r"d\d+", leaves))
    return [
        affine_value(result, operands[:dimensions], operands[dimensions:])
        for result in results[1:-1].split(", ")
    ]


@lru_cache(maxsize=1024)
def _parsed(text: str) -> ast.expr:
    """An affine expression as a Python one: `floordiv`, `mod` and `ceildiv` are `//`, `%` and `@`, which bind alike."""
    for word, sign in (("floordiv", "//"), ("mod", "%"), ("ceildiv", "@")):
        text = text.replace(word, sign)
    return ast.parse(text, mode="eval").body


def _value(node: ast.expr, dimensions: Sequence[int], symbols: Sequence[int]) -> int:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int)
        return node.value
    if isinstance(node, ast.Name):
        return (dimensions if node.id[0] == "d" else symbols)[int(node.id[1:])]
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, dimensions, symbols)
    assert isinstance(node, ast.BinOp)
    a, b = _value(node.left, dimensions, symbols), _value(node.right, dimensions, symbols)
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
        return a * b if isinstance(node.op, ast.Mult) else a + b if isinstance(node.op, ast.Add) else a - b
    return (
        a // b if isinstance(node.op, ast.FloorDiv) else a % b if isinstance(node.op, ast.Mod) else -(-a // b)
    )
