"""Programs for a device that is not here: they can be looked at and kept, not called."""

from collections.abc import Sequence
from typing import NoReturn

from pit_mlir.errors import PlatformError
from pit_mlir.runtime.device import Device, current_gpu
from pit_mlir.runtime.program import Code, Program
from pit_mlir.target import Target


class AbsentProgram(Program):
    """The code of a program whose device is absent, for `reason`."""

    def __init__(self, code: Code, reason: str) -> None:
        self.code = code
        self.signature = code.signature
        self.device = None
        self._kernels = None
        self._reason = reason

    def call(
        self, pointers: Sequence[int], sizes: Sequence[int] = (), *, threads: int | None = None
    ) -> NoReturn:
        """Raises `PlatformError`."""
        images = images_text(self.code) or "no kernels"
        raise PlatformError(
            f"this program was compiled for a GPU ({images}) and there is none to run it: {self._reason}"
        )


def images_text(code: Code) -> str:
    """The kernels of a GPU that `code` has, for a message: "cubin for sm_90a, ptx for sm_80"; empty without any."""
    return ", ".join(f"{image.kind} for {image.chip}" for image in code.images)


def device_of(target: Target) -> Device | None:
    """The device that programs for `target` run on here, None for the CPU; raises `PlatformError` for an absent one."""
    if target.kind == "cuda":
        return current_gpu()
    if target.kind == "emulator":
        from pit_mlir.runtime.emulator import emulator_device

        return emulator_device(target.chip)
    return None


def program_of(code: Code, target: Target) -> Program:
    """`code`, which was compiled for `target`, to be called where its device is here."""
    try:
        device = device_of(target)
    except PlatformError as error:
        return AbsentProgram(code, str(error))
    return Program(code, device)
