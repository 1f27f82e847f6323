"""How lit finds and runs the tests here: the driver and FileCheck of the environment that lit itself runs in."""

import os
import sys
from pathlib import Path

import lit.formats

config.name = "pit_mlir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.test_source_root, "..", "build", "lit")

# Whole paths: the tests run the tools beside this Python, whatever PATH says. A name inside another is left alone.
tools = Path(sys.executable).parent
for tool in ("pit-mlir-opt", "pit-mlir", "filecheck"):
    config.substitutions.append((rf"(?<![\w/.-]){tool}(?![\w/.-])", str(tools / tool)))
config.substitutions.append((r"%python", sys.executable))

# What a test must not depend on.
config.environment.pop("PIT_LOG", None)
