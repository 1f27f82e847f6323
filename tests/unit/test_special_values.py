"""Special values: which a type has, and that attributes read as they were written."""

import math

import pytest

from pit_mlir.analysis.special_values import LOWEST, candidates, special_text, special_value

TYPES = ["f32", "bf16", "f8E4M3FN", "i1", "i2", "i8", "i32", "i64", "index", "i128"]


@pytest.mark.parametrize("type_", TYPES)
def test_texts_are_read_as_they_were_written(type_: str) -> None:
    values = candidates(type_)
    texts = [special_text(value, type_) for value in values]
    assert len(set(texts)) == len(texts)
    assert [special_value(text, type_) for text in texts] == list(values)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (-128, "i8", "signed-min"),
        (127, "i8", "signed-max"),
        (-1, "i8", "all-ones"),
        (-128, "i16", "-128"),
        (1 << 63, "i64", "9223372036854775808"),
        (1, "i2", "1"),
        (1, "i1", "1"),
        (0.0, "f32", "0"),
        (-0.0, "f32", "-0"),
        (0.1, "f64", "0.1"),
        (-math.inf, "f16", "-inf"),
        (math.inf, "f16", "+inf"),
        (LOWEST, "f32", "lowest"),
    ],
)
def test_text(value: float, type_: str, text: str) -> None:
    assert special_text(value, type_) == text
    read = special_value(text, type_)
    assert read == value or (isinstance(read, int) and read % (1 << 64) == value)
    assert str(read).startswith("-") == str(value).startswith("-") or value == 1 << 63


def test_types_without_numbers_have_none() -> None:
    assert candidates("complex<f32>") == candidates("vector<4xi8>") == ()
    with pytest.raises(ValueError, match="complex"):
        special_value("0", "complex<f32>")
