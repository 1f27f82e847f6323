"""Processes that run cases: forked, killed when they hang, replaced when they die."""

import itertools
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.fuzz.outcome import Outcome

Run = Callable[[Any], Outcome]
LONGEST_LIFE = 150
"""Cases of one process: what it leaks goes with it."""

PATIENCE = 10
"""A process that waits is given so many times the seconds that one that works is."""

_numbers = itertools.count()
_fork = multiprocessing.get_context("fork")


@dataclass
class Worker:
    """A process, its pipe, what it works at and since when."""

    process: BaseProcess
    pipe: Connection
    log: Path
    case: Any = None
    since: float = 0.0
    spent: float = 0.0
    """Seconds of processor time when the case began: a busy machine makes nothing hang."""
    done: int = 0


def run_all(
    run: Run, cases: Iterable[Any], *, jobs: int, seconds: float, folder: Path
) -> Iterator[tuple[Any, Outcome]]:
    """Each case with its outcome, in the order in which they end; a case may use `seconds` of processor time."""
    waiting = iter(cases)
    folder.mkdir(parents=True, exist_ok=True)
    workers = [start(run, folder / f"worker-{os.getpid()}-{next(_numbers)}.log") for _ in range(jobs)]
    try:
        busy = [worker for worker in workers if give(worker, waiting)]
        while busy:
            wait([worker.pipe for worker in busy], timeout=0.5)
            for position, worker in enumerate(busy):
                outcome = ended(worker, seconds)
                if outcome is None:
                    continue
                yield worker.case, outcome
                if not worker.process.is_alive() or worker.done >= LONGEST_LIFE:
                    stop(worker)
                    busy[position] = worker = start(run, worker.log)
                    workers.append(worker)
                if not give(worker, waiting):
                    worker.case = None
            busy = [worker for worker in busy if worker.case is not None]
    finally:
        for worker in workers:
            stop(worker)
            worker.log.unlink(missing_ok=True)


def start(run: Run, log: Path) -> Worker:
    """A new process that waits for cases."""
    mine, theirs = _fork.Pipe()
    process = _fork.Process(target=serve, args=(run, theirs, log), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, mine, log)


def give(worker: Worker, waiting: Iterator[Any]) -> bool:
    """Hands the next case to `worker`; False if there is none left."""
    case = next(waiting, None)
    if case is None:
        return False
    worker.case, worker.since, worker.spent = case, time.monotonic(), processor_seconds(worker)
    worker.pipe.send(case)
    return True


def ended(worker: Worker, seconds: float) -> Outcome | None:
    """What became of the case of `worker`; None while it runs."""
    try:
        if worker.pipe.poll():
            worker.done += 1
            return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(5)
        code = worker.process.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return Outcome("crashed", f"{name} {stack(worker.log)}", tail(worker.log))
    if (
        processor_seconds(worker) - worker.spent > seconds
        or time.monotonic() - worker.since > PATIENCE * seconds
    ):
        worker.process.kill()
        worker.process.join(5)
        return Outcome("hung", f"more than {seconds:.0f} s", tail(worker.log))
    return None


def processor_seconds(worker: Worker) -> float:
    """What the process has used of all processors."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop(worker: Worker) -> None:
    worker.process.kill()
    worker.process.join(5)
    worker.pipe.close()


def serve(run: Run, pipe: Connection, log: Path) -> None:
    """The life of a process: what it prints goes to `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sink = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            os._exit(0)
        os.ftruncate(sink, 0)
        os.lseek(sink, 0, os.SEEK_SET)
        pipe.send(guarded(run, case))


def guarded(run: Run, case: Any) -> Outcome:
    """The outcome of `case`; an exception that reaches this place is a finding as well."""
    try:
        return run(case)
    except Exception as error:  # noqa: BLE001
        frames = traceback.extract_tb(error.__traceback__)
        ours = next(
            (f for f in reversed(frames) if "/pit_mlir/" in f.filename or "/fuzz/" in f.filename), frames[-1]
        )
        place = f"{Path(ours.filename).name}:{ours.name}"
        detail = "".join(traceback.format_exception(error))[-4000:]
        traceback.clear_frames(error.__traceback__)
        return Outcome("failed", f"{type(error).__name__} in {place}", detail)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def tail(log: Path) -> str:
    """The end of what a process printed."""
    return log.read_text(errors="replace")[-400_000:] if log.exists() else ""


def stack(log: Path) -> str:
    """The name of the first function of MLIR in a stack that LLVM printed before the process died."""
    for line in tail(log).splitlines():
        words = [word for word in line.split() if "(" in word or "::" in word]
        if line.lstrip().startswith("#") and words and "Signal" not in line:
            return words[0][:80]
    return ""
