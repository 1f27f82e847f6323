"""`PIT_LOG`: what the compiler writes to stderr about its work, through Python's logger `pit_mlir`."""

import logging
import os

VARIABLE = "PIT_LOG"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(text: str | None = None) -> None:
    """Sets the levels that `text` (by default `$PIT_LOG`) gives and shows what passes them on stderr.

    `info` is for everything, `passes=debug,runtime=info` for parts of the package. Without text nothing is done: an
    application configures the logger `pit_mlir` as any other. A level that nobody knows is warned about.
    """
    text = os.environ.get(VARIABLE, "") if text is None else text
    root = logging.getLogger("pit_mlir")
    for item in filter(None, map(str.strip, text.split(","))):
        part, _, level = item.rpartition("=")
        if level.lower() not in LEVELS:
            root.warning("%s=%s: level '%s' is none of %s", VARIABLE, text, level, ", ".join(LEVELS))
            continue
        logging.getLogger(f"pit_mlir.{part}" if part else "pit_mlir").setLevel(LEVELS[level.lower()])
    if text and not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(levelname)s: %(message)s"))
        root.addHandler(handler)
        root.propagate = False
