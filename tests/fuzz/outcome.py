"""What became of one case."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "refused", "failed", "crashed", "hung", "upstream"]


@dataclass
class Outcome:
    """How a case ended; `signature` tells faults apart, `facts` are counted over all cases, `files` are kept."""

    status: Status
    signature: str = ""
    detail: str = ""
    facts: Counter[str] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def is_finding(self) -> bool:
        return self.status in ("failed", "crashed", "hung")

    @property
    def is_death(self) -> bool:
        """Whether the process died or hung, or its memory was corrupted."""
        return self.status in ("crashed", "hung") or "bad_alloc" in self.signature
