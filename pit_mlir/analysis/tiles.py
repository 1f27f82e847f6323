"""The tile database: what the steps of contractions cost on a machine, in picoseconds of one thread.

Only the ratios matter: they decide in every call whether a list is followed, and which. `pit-mlir tune` measures them;
what was measured on processors at hand is shipped, beside a general one. Nothing here knows MLIR.
"""

import hashlib
import json
import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pit_mlir.cache import cache_directory
from pit_mlir.container import written_whole
from pit_mlir.errors import InputError
from pit_mlir.target import CPUINFO, cpu_features, vector_bits

UNITS: Mapping[str, str] = {
    "bit": "finding out whether an element is live",
    "place": "making a list, for each entry that it could have",
    "whole": "an element of a row that is read in order, to pack what is live in it",
    "gathered": "gathering and packing an element of a listed row",
    "row": "packing an element of a row",
    "part": "packing an element of a row listed for a part of the depth",
    "listed_8": "a multiply-add of a listed step, micro-tiles of 8 rows",
    "listed_16": "a multiply-add of a listed step, micro-tiles of 16 rows",
    "listed_32": "a multiply-add of a listed step, micro-tiles of 32 rows",
    "fetched": "an element of columns at a listed step that is not in the nearest caches",
    "missed": "an element of columns at a listed step that is in no cache",
    "added": "adding a product of a listed row and a part of the depth to its sum",
    "dense": "a multiply-add without a list",
    "dense_pair": "a multiply-add without a list, in pairs of bf16",
    "column": "packing an element of columns that lie across the depth",
    "column_pair": "the same as half of a pair",
    "turned": "packing an element of columns that lie along the depth",
    "turned_pair": "the same as half of a pair",
    "far": "a byte that comes from memory, not from the last-level cache",
    "byte": "reading a byte of columns that are streamed for few rows",
    "streamed": "a multiply-add of columns that are streamed",
    "streamed_turned": "the same where they lie along the depth",
}
"""The work whose cost is known, and what it is."""
FORMAT = 4
SHIPPED = Path(__file__).parent / "machines"
GENERAL = "any"
MEASURED = "AuthenticAMD-26-512"
"""The processor whose costs those of an unknown one are derived from."""
MEMORY, LATENCY, VECTORS = 1.5, 1.25, 2.0
CAUTION = 1.1
"""An unknown processor: memory gives two thirds of the bytes, what waits for it takes a fourth longer, registers are
half as wide, and following a list is a tenth dearer beside the loop without one. Only ratios matter."""
SLOWER: Mapping[str, float] = {
    **dict.fromkeys(("far", "missed", "byte"), MEMORY),
    **dict.fromkeys(("gathered", "fetched"), LATENCY),
    **dict.fromkeys((f"listed_{height}" for height in (8, 16, 32)), VECTORS * CAUTION),
}
"""By how much, where it is not by `VECTORS`."""
LEAST, MOST = 0.01, 1e5
"""Picoseconds that a unit may take; what is outside was not measured right."""


@dataclass(frozen=True)
class Database:
    """`costs` of the units on `machine`, read from `source`."""

    machine: str
    costs: Mapping[str, float]
    source: Path

    @property
    def digest(self) -> str:
        """A name for these costs: equal ones decide equally."""
        return hashlib.sha256(json.dumps(dict(sorted(self.costs.items()))).encode()).hexdigest()[:16]

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.source.parent != SHIPPED:
            return f"measured here by `pit-mlir tune` ({self.source})"
        if self.machine == GENERAL:
            return f"general, derived from {MEASURED}: `pit-mlir tune` measures this processor"
        return f"shipped for {self.machine}"


def machine_name() -> str:
    """The kind of processor, as the database files are named: vendor, family and width of vectors."""
    fields = {"vendor_id": "", "cpu family": "", "CPU implementer": "", "CPU part": ""}
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            name, _, text = line.partition(":")
            if name.strip() in fields and not fields[name.strip()]:
                fields[name.strip()] = text.strip()
    bits = vector_bits(platform.machine(), cpu_features())
    known = [text for text in fields.values() if text] or [platform.machine()]
    return "-".join([*known, str(bits)])


def measured_path() -> Path:
    """The file of what was measured on this kind of processor."""
    return cache_directory() / f"tiles-{machine_name()}.json"


def database() -> Database:
    """The database in use: what was measured here, else what is shipped for the processor, else the general one.

    A file that cannot be used is ignored with a warning that says so, and what to do.
    """
    path = measured_path()
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return shipped()
    found = _measured(path, stamp)
    return shipped() if found is None else found


def costs() -> Mapping[str, float]:
    """The costs in use, by unit."""
    return database().costs


@lru_cache(maxsize=1)
def _measured(path: Path, stamp: int) -> Database | None:
    """The database at `path`, read once for each time it is written; None, and a warning, if it is of no use."""
    del stamp
    try:
        return load(path)
    except InputError as error:
        warnings.warn(f"{error.message}; shipped costs are used instead", RuntimeWarning, stacklevel=3)
        return None


@lru_cache(maxsize=1)
def shipped() -> Database:
    """What is shipped for this kind of processor, or for any."""
    path = SHIPPED / f"{machine_name()}.json"
    return load(path) if path.exists() else general()


def general() -> Database:
    """Costs of a processor that nobody measured: milder than the one that was in each respect."""
    known = load(SHIPPED / f"{MEASURED}.json", any_machine=True)
    found = {unit: round(cost * SLOWER.get(unit, VECTORS), 2) for unit, cost in known.costs.items()}
    return Database(GENERAL, found, known.source)


def load(path: Path, *, any_machine: bool = False) -> Database:
    """The database at `path`; raises `InputError` for one that is damaged, or of another kind of processor."""
    advice = "run `pit-mlir tune` to measure this machine anew, or delete the file"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the tile database '{path}': {error.strerror}; {advice}") from None
    except ValueError as error:
        raise InputError(f"the tile database '{path}' is damaged, {error}; {advice}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        given = data.get("format") if isinstance(data, dict) else data
        raise InputError(f"the tile database '{path}' has format {given!r}, expected {FORMAT}; {advice}")
    found, machine = data.get("costs"), data.get("machine")
    if not isinstance(found, dict) or set(found) != set(UNITS) or not all(map(is_cost, found.values())):
        raise InputError(
            f"the tile database '{path}' must have for each of {', '.join(UNITS)} a number of picoseconds "
            f"from {LEAST} to {MOST:g}; {advice}"
        )
    if not isinstance(machine, str) or (not any_machine and machine != machine_name()):
        raise InputError(
            f"the tile database '{path}' is of {machine!r}, this machine is {machine_name()!r}; {advice}"
        )
    return Database(machine, {unit: float(found[unit]) for unit in UNITS}, path)


def is_cost(number: object) -> bool:
    """Whether `number` can be what a unit takes."""
    return isinstance(number, int | float) and not isinstance(number, bool) and LEAST <= number <= MOST


def save(path: Path, measured: Mapping[str, float]) -> Database:
    """Writes `measured` for this machine to `path`, at once or not at all; raises `InputError` where it cannot."""
    text = json.dumps(
        {"format": FORMAT, "machine": machine_name(), "unit": "picoseconds", "costs": dict(measured)},
        indent=2,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(f"{text}\n".encode())
    except OSError as error:
        raise InputError(f"cannot write the tile database '{path}': {error.strerror}") from None
    return load(path)
