"""What the code that computes a result is given: where it computes, and whom it tells."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import DTypeLike
from rich.filesize import decimal

from posinfo.writing import UnwritableError, writing

FREE_SPACE_MARGIN = 1.05
CPU = torch.device("cpu")

OnEpoch = Callable[[int, float, float], object]
"""Called after each epoch with its number, counted from 1, its train loss and its score."""


class Stopped(Exception):
    """A callback raises it to end a computation; of a training, the last checkpoint is kept."""


def silent(*_: object) -> None:
    """The callback of a caller who does not listen."""


@dataclass(frozen=True)
class Work:
    """Device, precision, files and callbacks of one computation.

    Attributes:
        device: computes.
        dtype: of forward passes: float32 or bfloat16.
        folder: in which arrays that outgrow memory are written; None: they stay in memory.
        checkpoint: the file from which an interrupted training goes on; None: there is none.
        on_total: called once, with the number of images or steps that will be done.
        on_progress: called with the number of images or steps done since the last call.
        on_epoch: called after each epoch of a training.
    """

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    folder: Path | None = None
    checkpoint: Path | None = None
    on_total: Callable[[int], object] = silent
    on_progress: Callable[[int], object] = silent
    on_epoch: OnEpoch = silent

    def autocast(self) -> AbstractContextManager:
        """Forward passes inside it compute in ``dtype``."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def array(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, batches: Iterable[np.ndarray]
    ) -> np.ndarray:
        """An array that is made batch by batch, on disk where there is a folder for it.

        Args:
            name: of the file, without suffix.
            shape: of the whole array; batches follow each other along its first axis.
            dtype: of the whole array.
            batches: its parts in order.

        Returns:
            The array, memory-mapped and read-only if it is on disk.

        Raises:
            UnwritableError: the disk has no room for it.
            ValueError: it is larger than the whole disk, or the batches do not add up to the shape.
        """
        parts = _fitting(name, shape, dtype, batches)
        if self.folder is None:
            return np.concatenate([np.empty((0, *shape[1:]), dtype), *parts])
        path = self.folder / f"{name}.npy"
        _require_room(path.parent, prod(shape) * np.dtype(dtype).itemsize)
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        with writing(path):
            file = path.open("wb")
        try:
            with writing(path):
                np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                with writing(path):
                    file.write(part.data)
            with writing(path):  # the last bytes
                file.close()
        finally:
            with suppress(OSError):
                file.close()
        return np.load(path, mmap_mode="r")


def _fitting(
    name: str, shape: tuple[int, ...], dtype: DTypeLike, batches: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """The batches as contiguous parts of an array."""
    rows = 0
    for batch in batches:
        if batch.shape[1:] != shape[1:]:
            raise ValueError(f"rows of {name} should have shape {shape[1:]}; got {batch.shape[1:]}")
        rows += len(batch)
        yield np.ascontiguousarray(batch, dtype=dtype)
    if rows != shape[0]:
        raise ValueError(f"{name} should have {shape[0]} rows; {rows} were made")


def _require_room(folder: Path, needed: int) -> None:
    total, _, free = shutil.disk_usage(folder)
    if needed * FREE_SPACE_MARGIN > free:
        of_the_settings = needed > total  # no tidying up would help
        raise (ValueError if of_the_settings else UnwritableError)(
            f"{decimal(needed)} are needed in {folder}, where {decimal(free)} are free: "
            "make room (`posinfo store` lists what lies there), use fewer images or a smaller "
            "feature_size, or set `data` in conf/local/globals.yml to a larger disk"
        )
