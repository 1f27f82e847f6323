"""What all families share: the options of the shell, the run that collects rows, and how mistakes are told.

A family is a function `main(run, ...)`, its own options as typer understands them, that asks `run.each` for its cases
and hands each to `run.measure`. `start(main, ...)` makes a command of it.
"""

import inspect
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import pit_mlir
from bench import results
from bench.protocol import (
    DTYPES,
    ROUNDS,
    TOLERANCE,
    Case,
    Row,
    Side,
    interleaved,
    relative_error,
)
from bench.target import Programs, has_gpu_tensors, target_named, tensors_on, timer
from pit_mlir.target import CPU

T = TypeVar("T")
INDEX = "index"
EXTRA = "pip install 'pit_mlir[bench]'"


class Mistake(Exception):
    """An option that cannot be: which, and what was expected."""


class Absent(Exception):
    """A peer that cannot take part in a case: why."""


class Made(Exception):
    """A case whose programs are made, and that is measured elsewhere."""


class Wrong(Exception):
    """A side whose result is not the dense model's."""


def not_installed(package: str) -> Absent:
    """What to say of a peer whose package is missing."""
    return Absent(f"{package} is not installed: {EXTRA}")


def need(fits: bool, option: str, expected: str) -> None:
    """Raises `Mistake` unless `fits`."""
    if not fits:
        raise Mistake(f"{option}: expected {expected}")


def block_of(text: str, option: str = "--granularity") -> tuple[int, int]:
    """`32x64` as numbers."""
    return sides_of(text, 2, option)  # type: ignore[return-value]


def sides_of(text: str, count: int, option: str) -> tuple[int, ...]:
    """`4096x4096x512` as `count` numbers."""
    parts = text.lower().split("x")
    fits = len(parts) == count and all(part.isdigit() and int(part) > 0 for part in parts)
    need(fits, f"{option} {text}", f"{count} positive numbers, as {'x'.join(['32'] * count)}")
    return tuple(int(part) for part in parts)


def chosen(names: Sequence[str], known: Sequence[str], option: str) -> list[str]:
    """`names`, each of which must be `known`."""
    for name in names:
        need(name in known, f"{option} {name}", f"one of {', '.join(known)}")
    return list(dict.fromkeys(names))


def share(value: float, option: str) -> float:
    """A share of 0 to 1."""
    need(0 <= value <= 1, f"{option} {value:g}", "a share from 0 to 1")
    return value


def positive(values: Sequence[int], option: str) -> list[int]:
    """`values`, which must be positive."""
    for value in values:
        need(value > 0, f"{option} {value}", "a positive number")
    return list(values)


Dtypes = Annotated[
    list[str], typer.Option("--dtype", help=f"{', '.join(DTYPES)}. Repeat for more.", show_default=True)
]
Zeros = Annotated[list[float], typer.Option("--zeros", help="Share of zeros, 0 to 1. Repeat for more.")]
Granularities = Annotated[
    list[str],
    typer.Option(
        "--granularity", help="Block that is zero or not as a whole, rows x columns. Repeat for more."
    ),
]


@dataclass
class Run:
    """One run of a family: what the shared options say, and the rows so far."""

    name: str
    title: str
    rounds: int
    threads: int
    seed: int
    cpu_time: bool
    peers: list[str]
    path: Path | None
    programs: Programs = field(default_factory=lambda: Programs(CPU, None, make=False))
    rows: list[Row] = field(default_factory=list[Row])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    failures: list[str] = field(default_factory=list[str])
    console: Console = field(default_factory=lambda: Console(stderr=True))
    progress: Progress | None = None
    made: int = 0

    def __post_init__(self) -> None:
        need(self.rounds > 0, f"--rounds {self.rounds}", "a positive number")
        need(self.threads > 0, f"--threads {self.threads}", "a positive number")
        if self.cpu_time:
            # The time of a thread says nothing of what others did for it.
            self.threads = 1
        torch.manual_seed(self.seed)
        torch.set_num_threads(self.threads)
        torch.set_grad_enabled(False)

    @property
    def compile(self) -> Callable[..., pit_mlir.CompiledModule]:
        """What makes our side."""
        return self.programs.compile

    @property
    def timer(self) -> Callable[[Callable[[], object]], float]:
        """What counts the milliseconds of a call."""
        return timer(time.thread_time if self.cpu_time else time.perf_counter)

    def each(self, cases: Sequence[T], name: Callable[[T], object] = str) -> Iterator[T]:
        """`cases` one by one, the progress shown on a terminal."""
        columns = (
            TextColumn("{task.description:<50}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as shown:
            self.progress = shown
            task = shown.add_task("", total=len(cases))
            for case in cases:
                shown.update(task, description=str(name(case)))
                yield case
                shown.advance(task)

    def others(self, made: Mapping[str, Callable[[], Side]]) -> dict[str, Side]:
        """The peers that were asked for and can take part; why others cannot is noted."""
        found: dict[str, Side] = {}
        for name in () if self.programs.make else self.peers:
            try:
                if name == "dense" and not self.programs.has_compiler:
                    raise Absent("takes part where programs are compiled")
                found[name] = made[name]()
            except Absent as reason:
                self.notes[f"{name}: {reason}"] = None
        return found

    def measure(
        self,
        case: Case,
        sides: Mapping[str, Side],
        fresh: Callable[[], tuple[Any, ...]],
        exact: Callable[..., torch.Tensor],
        *,
        index: Callable[..., Callable[[], object]] | None = None,
        floor: float | Callable[..., float] | None = None,
        checks: Mapping[str, Side] | None = None,
        trusted: Collection[str] | None = None,
        figures: Mapping[str, float] | None = None,
        cold: bool = False,
    ) -> Row:
        """Compares all `sides` with `exact` on arguments from `fresh`, then times them on others; keeps the row.

        `index` makes of the arguments what lists their live parts; `floor` may depend on the arguments. All sides are
        compared, or what `checks` makes of some; one that is wrong is an error, unless only others are `trusted`.
        `cold` as in `interleaved`.
        """
        if self.programs.make:
            raise Made
        args = fresh()
        expected = exact(*args)
        bound = TOLERANCE[case.dtype]
        seen = sides if checks is None else checks
        errors = {side: relative_error(check(*args), expected) for side, check in seen.items()}
        for side, error in errors.items():
            if not error <= bound and (trusted is None or side in trusted):
                raise Wrong(f"{side} is wrong by {error:.1e} of the largest value, {bound:.0e} passes")
        del expected
        least = floor(*args) if callable(floor) else floor
        prepared = {INDEX: index} if index else {}
        times = interleaved(sides, self.rounds, self.timer, fresh, prepared, cold=cold)
        alone = times.pop(INDEX, None)
        compares = self.programs.target.kind != "emulator"
        row = Row(case, times, errors, alone, least, figures or {}, compares)
        self.add(row)
        return row

    def attempt(self, name: object, work: Callable[[], None]) -> None:
        """Does `work`; what the compiler cannot do, or does wrong, is told, and the other cases go on."""
        try:
            work()
        except Made:
            self.made += 1
        except (pit_mlir.PitError, Wrong) as error:
            self.failures.append(f"{name}: {' '.join(str(error).split())}")
            self.console.print(
                f"not measured: {self.failures[-1]}", style="red", markup=False, soft_wrap=True
            )

    def add(self, row: Row) -> None:
        """Keeps a row, on disk as well."""
        self.rows.append(row)
        if self.path is not None:
            results.write(self.path, results.flat(self.rows, self.settings()))
        if not self.console.is_terminal:
            ratios = ", ".join(f"{row.ratio(peer):.2f}x {peer}" for peer in row.peers if row.compares)
            print(f"{row.case}: {row.ours.median:.3f} ms  {ratios}", file=sys.stderr, flush=True)

    def settings(self) -> dict[str, Any]:
        """What every row says of its run."""
        clock = "thread" if self.cpu_time else "wall"
        target = str(self.programs.target)
        shared = {"threads": self.threads, "rounds": self.rounds, "seed": self.seed}
        return shared | {"clock": "event" if has_gpu_tensors() else clock, "target": target}

    def finish(self) -> None:
        """Prints the table and what is to be said."""
        if self.rows:
            threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            where = str(self.programs.target) if self.programs.target.is_gpu else threads
            clock = ", its own time" if self.cpu_time else ""
            results.show(f"{self.title}, {where}{clock}", self.rows)
        if any(not row.compares for row in self.rows):
            print("emulated: times say nothing of a GPU, errors do")
        for note in self.notes:
            print(note)
        if self.programs.make:
            print(f"the programs of {self.made} cases are in {self.programs.folder}")
        if self.path is not None and self.rows:
            print(f"rows: {self.path}")


def shared(peers: Sequence[str], defaults: Sequence[str]) -> list[inspect.Parameter]:
    """The options that every family has."""
    threads = min(2, torch.get_num_threads())
    options: list[tuple[str, Any, Any]] = [
        (
            "peer",
            Annotated[list[str], typer.Option(help=f"{', '.join(peers)}; or none. Repeat for more.")],
            list(defaults),
        ),
        ("threads", Annotated[int, typer.Option(help="Threads of every side.")], threads),
        (
            "rounds",
            Annotated[int, typer.Option(help="Calls of every side that are timed, after two that are not.")],
            ROUNDS,
        ),
        ("seed", Annotated[int, typer.Option(help="Where random numbers begin.")], 0),
        (
            "cpu_time",
            Annotated[
                bool,
                typer.Option("--cpu-time", help="One thread, its own time: for a machine with others on it."),
            ],
            False,
        ),
        (
            "json",
            Annotated[Path | None, typer.Option(help="Write the rows to this file.", metavar="FILE")],
            None,
        ),
        (
            "target",
            Annotated[str, typer.Option(help="What our side is compiled for: cpu, cuda, cuda:sm_90a, ..")],
            "cpu",
        ),
        (
            "programs",
            Annotated[Path | None, typer.Option(help="Read compiled programs there.", metavar="FOLDER")],
            None,
        ),
        (
            "make",
            Annotated[bool, typer.Option("--make", help="Write them there, and measure nothing.")],
            False,
        ),
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=value, annotation=type_) for name, type_, value in options]


def programs_of(target: str, folder: Path | None, *, make: bool) -> Programs:
    """The programs that the shared options ask for."""
    need(folder is not None or not make, "--make", "--programs with it, the folder to write to")
    try:
        found = Programs(target_named(target), folder, make=make)
    except pit_mlir.PitError as error:
        raise Mistake(f"--target: {error.message}") from None
    has_gpu = found.target.kind != "cuda" or make or torch.cuda.is_available()
    need(has_gpu, f"--target {target}", "a GPU that torch sees; --make compiles without one")
    return found


def command(
    main: Callable[..., None],
    name: str,
    title: str,
    peers: Sequence[str],
    defaults: Sequence[str] | None = None,
) -> Callable[..., None]:
    """`main(run, ...)` as a function of its options and the shared ones, as typer wants it."""

    def wrapper(**options: Any) -> None:
        named = [peer for peer in options.pop("peer") if peer != "none"]
        programs = programs_of(options.pop("target"), options.pop("programs"), make=options.pop("make"))
        run = Run(
            name,
            title,
            options.pop("rounds"),
            options.pop("threads"),
            options.pop("seed"),
            options.pop("cpu_time"),
            chosen(named, peers, "--peer"),
            options.pop("json"),
            programs,
        )
        try:
            with tensors_on(programs.target, make=programs.make):
                main(run, **options)
        except KeyboardInterrupt:
            run.finish()
            print(f"interrupted: {len(run.rows)} rows kept", file=sys.stderr)
            raise typer.Exit(130) from None
        run.finish()
        if run.failures:
            raise typer.Exit(1)

    own = list(inspect.signature(main).parameters.values())[1:]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    parameters += shared(peers, peers if defaults is None else defaults)
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    about = sys.modules[main.__module__].__doc__ or ""
    wrapper.__doc__ = "\n\n".join(" ".join(part.split()) for part in about.split("\n\n"))
    return wrapper


def start(
    main: Callable[..., None],
    name: str,
    title: str,
    peers: Sequence[str],
    defaults: Sequence[str] | None = None,
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Runs a family from the shell and ends the process: 0, 1 if a case failed, 2 for options that cannot be."""
    # What torch says of its own formats being young is of no use to who measures.
    warnings.filterwarnings(
        "ignore", message="Sparse (CSR|BSR) tensor support|.*nested tensors is in prototype"
    )
    app = typer.Typer(add_completion=False)
    app.command(help=None)(command(main, name, title, peers, defaults))
    usage = typer.BadParameter.__mro__[1]
    program = f"python -m bench.{name}"
    try:
        code = typer.main.get_command(app)(arguments, prog_name=program, standalone_mode=False)
    except (Mistake, usage) as error:  # type: ignore[misc]
        text = error.format_message() if isinstance(error, typer.BadParameter.__mro__[1]) else str(error)
        print(f"{program}: {text} (--help lists the options)", file=sys.stderr)
        code = 2
    sys.exit(code or 0)
