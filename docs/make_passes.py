"""Writes `passes.md` beside this file, from the registry: python docs/make_passes.py."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from pit_mlir.passes.options import option_lines
from pit_mlir.passes.pipelines import phases
from pit_mlir.passes.registry import PASSES, pass_class

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "passes.md"

HEAD = """\
# Passes

Made from the registry by `python docs/make_passes.py`; a test compares. The order is that of the pipelines in
`pit_mlir/passes/pipelines.py`, where each stands with its reason. Any of them runs by hand, mixed with upstream passes:

```sh
pit-mlir-opt model.mlir -p 'pit-normalize, cse, pit-prove-permutation{floats=strict}'
pit-mlir-opt model.mlir --pit-normalize --mlir-print-ir-after-all
```

Behind each pass stands a lit test, which is its example: input, command and what must come out.
"""


def document() -> str:
    """The text of `passes.md`."""
    parts = [HEAD]
    for title, names in phases().items():
        parts += [f"## {title}\n", *("\n".join(section(name)) for name in names)]
    return "\n".join(parts)


def section(name: str) -> Iterator[str]:
    """What there is to say about the pass `name`, line by line."""
    cls = pass_class(name)
    yield f"### {name}\n"
    yield inspect.cleandoc(cls.__doc__ or "") + "\n"
    options = option_lines(cls)
    if options:
        yield "Options:\n"
        yield from (f"- `{option}`" for option in options)
        yield ""
    if cls.anchors:
        yield f"Runs on {' and '.join(f'`{anchor}`' for anchor in cls.anchors)}.\n"
    if cls.statistics:
        yield "Counts:\n"
        yield from (f"- `{name}`: {text}" for name, text in cls.statistics.items())
        yield ""
    examples = sorted(
        (path.name for path in (ROOT / "lit_tests" / "passes").glob(f"{name}*.mlir")),
        key=lambda name: (len(name), name),
    )
    links = ", ".join(f"[{example}](../lit_tests/passes/{example})" for example in examples)
    module = PASSES[name].partition(":")[0].replace(".", "/") + ".py"
    yield f"Code: [{Path(module).name}](../{module}). Example: {links}.\n"


if __name__ == "__main__":
    TARGET.write_text(document())
