"""The import law: what stands left may not import what stands right, nowhere, not even lazily in a function."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pit_mlir"
FILES = sorted(PACKAGE.rglob("*.py"))

LEVELS = (
    ("errors", "diagnostics", "target", "log", "cache", "container", "plain"),
    ("bindings",),
    ("dialect",),
    ("analysis",),
    ("codegen",),
    ("passes",),
    ("frontend", "runtime"),
    (
        *("options", "snapshot", "borders", "sample", "sampler", "explanation", "artifact", "artifact_cache"),
        *("report", "compiled_module", "assembly", "program_file", "compile"),
    ),
    ("hf",),
    ("tools",),
)
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}
GATES = {
    "torch_mlir": ("bindings",),
    "z3": ("analysis.smt",),
    "torch": ("frontend", "borders", "compiled_module", "compile", "snapshot", "hf"),
    "transformers": ("hf",),
}
"""Packages that only some of our modules may import."""
MACHINES = ("cpu", "gpu", "emulator")
"""Parts of `codegen` that know nothing of each other: what two of them need stands above all."""


def module_name(path: Path) -> str:
    """The name of the module at `path` below the package: `passes.base`, empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the full name of each module or member that `tree` imports at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def breaches(name: str, tree: ast.AST) -> Iterator[str]:
    """What in the module `name` breaks the law."""
    own = LEVEL.get(name.split(".")[0], len(LEVELS))
    for line, imported in imports(tree):
        top, _, rest = imported.partition(".")
        if top in GATES and not any(name == gate or name.startswith(f"{gate}.") for gate in GATES[top]):
            yield f"line {line}: {imported}: only {', '.join(GATES[top])} may import {top}"
        part = rest.split(".")[0]
        if top == "pit_mlir" and LEVEL.get(part, -1) > own:
            yield f"line {line}: {imported} stands to the right of {name}"
        if part == "codegen" and name.startswith("codegen."):
            machine, own_machine = rest.split(".")[1], name.split(".")[1]
            if machine in MACHINES and machine != own_machine:
                yield f"line {line}: {imported} is for another machine than {name}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_only_from_the_left(path: Path) -> None:
    name = module_name(path)
    # The package's own file names its public members, which it loads lazily, from everywhere.
    found = list(breaches(name, ast.parse(path.read_text()))) if name else []
    assert not found, "\n".join(found)


def test_every_part_has_a_level() -> None:
    parts = {module_name(path).split(".")[0] for path in FILES} - {""}
    assert parts <= set(LEVEL), f"not in the import law: {sorted(parts - set(LEVEL))}"


def test_a_breach_is_found() -> None:
    source = "def f():\n    from pit_mlir.passes.base import Pass\n    import torch.fx\n    import z3\n"
    assert len(list(breaches("dialect.size", ast.parse(source)))) == 3
    assert not list(breaches("compile", ast.parse("import torch\nfrom pit_mlir.passes import base")))
    kernels = ast.parse(
        "from pit_mlir.codegen.cpu.rows import lower_sread\nfrom pit_mlir.codegen import build\n"
    )
    assert len(list(breaches("codegen.gpu.kernels.rows", kernels))) == 1
    assert len(list(breaches("codegen.rows", kernels))) == 1
    assert not list(breaches("codegen.cpu.lists", kernels))


@pytest.mark.parametrize(
    "code",
    [
        "import pit_mlir",
        "import pit_mlir.tools.pit_mlir_opt",
        "from pit_mlir.tools.pit_mlir_opt import main; main([{path!r}, '--cse', '--verify-each'])",
        "from pit_mlir.tools.pit_mlir_opt import main; main(['--list-passes'])",
    ],
)
def test_the_driver_loads_no_torch(code: str, tmp_path: Path) -> None:
    path = tmp_path / "in.mlir"
    path.write_text("func.func @f() {\n  return\n}\n")
    loaded = "sorted({'torch', 'torch_mlir.fx', 'transformers'} & set(sys.modules))"
    script = f"import sys\n{code.format(path=str(path))}\nassert not {loaded}, {loaded}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_no_mlir() -> None:
    script = "import sys, pit_mlir\nassert 'torch_mlir' not in sys.modules and 'numpy' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
