"""Parameters that every experiment shares (conf/base/parameters.yml)."""

from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from posinfo.choices import one_of
from posinfo.networks.devices import PRECISIONS, check_device, pick_device, pick_precision


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


class Parallel(BaseModel):
    """How many cells of a step are computed at the same time.

    Attributes:
        n_jobs: processes; 1: this one.
        threads_per_job: of PyTorch in each; None: as many as it takes by itself, shared by the
            processes. Results depend on it in their last bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_jobs: int = Field(ge=1)
    threads_per_job: int | None = Field(ge=1)

    @property
    def threads(self) -> int:
        """Of PyTorch in each process."""
        return self.threads_per_job or max(1, torch.get_num_threads() // self.n_jobs)


class Machine(NamedTuple):
    """Where a run computes: its device, the dtype of forward passes, and its processes."""

    device: torch.device
    dtype: torch.dtype
    parallel: Parallel

    def parameters(self) -> dict[str, str]:
        """For the tracker."""
        return {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}
