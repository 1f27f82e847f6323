"""Prints what pyproject.toml requires, with the extras named on the command line, one requirement a line."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = [project["optional-dependencies"][extra] for extra in sys.argv[1:]]
print("\n".join(sorted({*project["dependencies"], *(line for extra in extras for line in extra)})))
