"""Documents that run: the fenced blocks of a Markdown file, executed in order, outputs compared.

```python          runs, in one namespace for the whole document
```python name.py  becomes the file name.py, and so does ```mlir name.mlir
```sh              runs, in the same directory
```mlir, ```text   must be found in what the block before printed
```console         is only shown
"""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKEN = re.compile(r"\.\.\.|[%#]\w+|\s+|.", re.DOTALL)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word behind it, its text, and the line at which the text begins."""

    language: str
    name: str
    text: str
    line: int


def blocks_of(document: Path) -> Iterator[Block]:
    """The fenced blocks of `document` in order."""
    text = document.read_text()
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2], match[3], text.count("\n", 0, match.start(3)) + 1)


def run_document(document: Path, directory: Path) -> None:
    """Executes every block of `document` in `directory`, the current one; AssertionError names the line that fails."""
    namespace: dict[str, Any] = {"__name__": "document"}
    printed = ""
    for block in blocks_of(document):
        where = f"{document.name}:{block.line}"
        if block.language in ("python", "mlir") and block.name:
            (directory / block.name).write_text(block.text)
        elif block.language == "python":
            with redirect_stdout(io.StringIO()) as stream:
                # Lines of a traceback are those of the document.
                exec(compile("\n" * (block.line - 1) + block.text, str(document), "exec"), namespace)
            printed = stream.getvalue()
        elif block.language == "sh":
            printed = run_shell(block.text, directory, where)
        elif block.language in ("mlir", "text"):
            assert found(block.text, printed), f"{where}: not in the output:\n{printed}"
        elif block.language != "console":
            raise AssertionError(f"{where}: no rule for a block in {block.language}")


def run_shell(text: str, directory: Path, where: str) -> str:
    """What the commands print; they must succeed."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{where}: status {done.returncode}\n{done.stderr}"
    return done.stdout


def found(shown: str, printed: str) -> bool:
    """Whether `shown` is in `printed`: `...` is anything, white space is equal, and each %name and #name of `shown`
    stands for one name of `printed` throughout."""
    names: dict[str, str] = {}
    pattern = ""
    for token in TOKEN.findall(shown.strip()):
        if token == "...":
            pattern += r".*?"
        elif token.isspace():
            pattern += r"\s*" if pattern.endswith((".*?", r"\s*")) else r"\s+"
        elif token[0] in "%#" and len(token) > 1:
            pattern += (
                f"(?P={names[token]})(?!\\w)" if token in names else f"(?P<n{len(names)}>{token[0]}\\w+)"
            )
            names.setdefault(token, f"n{len(names)}")
        else:
            pattern += re.escape(token)
    return re.search(pattern, printed, re.DOTALL) is not None
