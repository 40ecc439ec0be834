"""Which processor computes, and in which precision."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, Field, RootModel, model_validator

from posinfo.choices import Section, check, one_of

KINDS = ("auto", "cpu", "cuda", "mps")
BACKENDS = ("sequential", "loky", "ray")
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def pick_device(name: str) -> torch.device:
    """A device by name; ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Args:
        name: one of ``KINDS``, with an index behind it if wanted (``cuda:1``).

    Raises:
        ValueError: an unknown name, or a device that this machine does not have.
    """
    kind, _, index = name.partition(":")
    check("device", name if index and not index.isdigit() else kind, KINDS)
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device("mps" if kind == "cpu" and torch.backends.mps.is_available() else kind)
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": torch.backends.mps.is_available()}
    if int(index or 0) >= counts[kind]:
        raise ValueError(f"device {name!r} is not on this machine; `auto` takes what there is")
    return torch.device(name)


@contextmanager
def true_float32() -> Iterator[None]:
    """Without TF32: float32 means float32. Afterwards the caller's choice holds again."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with ExitStack() as restored:
        for backend, parts in ((cudnn, (cudnn.conv, cudnn.rnn)), (matmul, (matmul,))):
            try:
                restored.callback(setattr, backend, "allow_tf32", backend.allow_tf32)
            except RuntimeError:  # the caller has set fp32_precision, which does not go with it
                for part in parts:
                    restored.callback(setattr, part, "fp32_precision", part.fp32_precision)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        yield


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of forward passes by name; ``auto`` takes bfloat16 where it is faster.

    Args:
        name: ``auto`` or a key of ``PRECISIONS``.
        device: the device that computes.

    Raises:
        ValueError: an unknown name.
    """
    check("precision", name, ["auto", *PRECISIONS])
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
        fast = onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def check_device(name: str) -> str:
    """The name itself, when this machine has the device.

    Raises:
        ValueError: see ``pick_device``.
    """
    pick_device(name)
    return name


class Device(RootModel[Annotated[str, AfterValidator(check_device)]], frozen=True):
    """``auto`` (CUDA, then Apple's MPS, then the CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""

    def pick(self) -> torch.device:
        """The device itself."""
        return pick_device(self.root)


class Precision(RootModel[Annotated[str, one_of("precision", ["auto", *PRECISIONS])]], frozen=True):
    """Of forward passes: ``auto`` (bfloat16 where it is fast), ``bfloat16`` or ``float32``."""

    def pick(self, device: torch.device) -> torch.dtype:
        """The dtype on this device."""
        return pick_precision(self.root, device)


class Parallel(Section):
    """How many cells of a step are computed at the same time, and by whom.

    Attributes:
        n_jobs: processes; 1: this one.
        threads_per_job: of PyTorch in each; None: as many as it takes by itself, shared by the
            processes. Results depend on it in their last bits.
        backend: ``loky`` (processes of this machine), ``ray`` (of a Ray cluster), or ``sequential``
            (this process).
        gpus_per_job: of each process: a part of a GPU for ``ray``, whole ones for ``loky``, which
            shows each process its own; None: all processes share the GPU of ``device``.
    """

    n_jobs: int = Field(ge=1)
    threads_per_job: int | None = Field(ge=1)
    backend: Annotated[str, one_of("parallel.backend", BACKENDS)] = "loky"
    gpus_per_job: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "Parallel":
        if self.backend == "sequential" and self.n_jobs > 1:
            raise ValueError(
                f"parallel.backend sequential computes in one process; got n_jobs {self.n_jobs}"
            )
        if self.backend == "ray" and self.n_jobs == 1:
            raise ValueError(
                "parallel.backend ray needs n_jobs of 2 or more: this process computes a single job"
            )
        if self.gpus_per_job is not None and self.n_jobs == 1:
            raise ValueError(
                "parallel.gpus_per_job needs n_jobs of 2 or more; `device` names a GPU"
            )
        if self.gpus_per_job is not None and self.gpus_per_job > 1 and self.gpus_per_job % 1:
            raise ValueError(
                "parallel.gpus_per_job is a part of one GPU, or whole ones; got "
                f"{self.gpus_per_job:g}"
            )
        if self.backend == "loky" and self.gpus_per_job is not None and self.gpus_per_job % 1:
            raise ValueError(
                "parallel.backend loky gives each process whole GPUs; got gpus_per_job "
                f"{self.gpus_per_job:g}. Parts of one are for the backend ray"
            )
        return self

    @property
    def threads(self) -> int:
        """Of PyTorch in each process."""
        return self.threads_per_job or max(1, torch.get_num_threads() // self.n_jobs)

    @property
    def in_this_process(self) -> bool:
        """Whether nothing is given to other processes."""
        return self.n_jobs == 1


class Machine(NamedTuple):
    """Where a run computes: its device, the dtype of forward passes, and its processes."""

    device: torch.device
    dtype: torch.dtype
    parallel: Parallel
