"""Parameters that every experiment shares (conf/base/parameters.yml)."""

import torch
from pydantic import RootModel, field_validator

from posinfo.networks.devices import pick_device, pick_precision


class Device(RootModel[str], frozen=True):
    """``auto`` (CUDA, then Apple's MPS, then the CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""

    @field_validator("root")
    @classmethod
    def _exists(cls, name: str) -> str:
        pick_device(name)
        return name

    def pick(self) -> torch.device:
        """The device itself; float32 then means float32 there, not TF32."""
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        return pick_device(self.root)


class Precision(RootModel[str], frozen=True):
    """Of forward passes: ``auto`` (bfloat16 where it is fast), ``bfloat16`` or ``float32``."""

    @field_validator("root")
    @classmethod
    def _known(cls, name: str) -> str:
        pick_precision(name, torch.device("cpu"))
        return name

    def pick(self, device: torch.device) -> torch.dtype:
        """The number format on this device."""
        return pick_precision(self.root, device)
