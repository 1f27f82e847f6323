"""Reproducers: a module and the pipeline that fails on it in one file, in the format of MLIR, so for mlir-opt too."""

import re
from dataclasses import dataclass

_ENTRY = re.compile(r"mlir_reproducer\s*:\s*\{(?P<body>(?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*)\}", re.DOTALL)
_FIELD = re.compile(r"(?P<key>\w+)\s*:\s*(?:\"(?P<text>(?:[^\"\\]|\\.)*)\"|(?P<word>\w+))", re.DOTALL)
_COMMENT = re.compile(r"// configuration: -{1,2}pass-pipeline='(.*)'")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)


@dataclass(frozen=True)
class Reproducer:
    """How to run the module of a reproducer: `pipeline` is text, anchored."""

    pipeline: str
    verify_each: bool = True
    disable_threading: bool = True

    @classmethod
    def find(cls, source: str) -> "Reproducer | None":
        """What `source` says: in its metadata, or in the comment that older versions of MLIR write first."""
        entry = _ENTRY.search(_metadata(source)[1])
        if entry is not None:
            fields = {field["key"]: field for field in _FIELD.finditer(entry["body"])}
            if "pipeline" not in fields:
                return None
            flags = {
                key: field["word"] == "true" for key, field in fields.items() if field["word"] is not None
            }
            return cls(
                _unescaped(fields["pipeline"]["text"] or ""),
                flags.get("verify_each", True),
                flags.get("disable_threading", True),
            )
        comment = _COMMENT.match(source)
        return cls(comment[1]) if comment is not None else None

    def text(self, module: str) -> str:
        """The reproducer of the module with the text `module`; resources that it carries stay."""
        quoted = self.pipeline.replace("\\", "\\\\").replace('"', "\\22")
        entry = (
            f'  external_resources: {{\n    mlir_reproducer: {{\n      pipeline: "{quoted}",\n'
            f"      disable_threading: {_word(self.disable_threading)},\n"
            f"      verify_each: {_word(self.verify_each)}\n    }}\n  }}\n"
        )
        program, kept = _metadata(module)
        others = f"  {kept},\n" if kept else ""
        return f"{program.rstrip()}\n\n{{-#\n{others}{entry}#-}}\n"


def _metadata(source: str) -> tuple[str, str]:
    """The program in `source`, and what stands behind it between `{-#` and `#-}`, empty if nothing does."""
    program, found, rest = source.rpartition("{-#")
    body = rest.rstrip()
    return (program, body.removesuffix("#-}").strip()) if found and body.endswith("#-}") else (source, "")


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _unescaped(text: str) -> str:
    """The characters of a quoted string of MLIR."""
    plain = {"n": "\n", "t": "\t"}

    def character(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code, 16)) if len(code) == 2 else plain.get(code, code)

    return _ESCAPE.sub(character, text)
