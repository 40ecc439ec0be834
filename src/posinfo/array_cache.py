"""Arrays that are made once and then read from a memory-mapped file.

Decoded photographs and backbone features both outgrow memory, so they are written to disk batch
by batch, and a process that reads them holds no more than the rows it asks for.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import DTypeLike

FREE_SPACE_MARGIN = 1.05


class ArrayCache:
    """A folder of ``.npy`` files named by the key of what they hold.

    A file appears under its name only when it is complete, so that an interrupted run leaves
    nothing that a later one would trust.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where the array of this key is, or would be."""
        return self.folder / f"{key}.npy"

    def open(self, key: str) -> np.ndarray:
        """The finished array of this key, memory-mapped and read-only.

        Raises:
            FileNotFoundError: no array has been stored under this key.
        """
        if not self.path(key).exists():
            raise FileNotFoundError(
                f"{self.path(key)} is missing: it was deleted, or its stage has not run; "
                "run the stage `modeling`, or the whole pipeline, again"
            )
        return np.load(self.path(key), mmap_mode="r")

    def get(
        self,
        key: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        make: Callable[[], Iterable[np.ndarray]],
    ) -> np.ndarray:
        """The array of this key, made now if it is not there yet.

        Args:
            key: a file name that changes whenever the content would.
            shape: of the whole array; the first axis is the one that is written in batches.
            dtype: of the whole array.
            make: called only if the array is missing; yields its batches in order.

        Returns:
            The memory-mapped, read-only array.

        Raises:
            OSError: the disk has no room for it.
            ValueError: the batches do not add up to the shape.
        """
        if not self.path(key).exists():
            self._write(key, shape, np.dtype(dtype), make)
        return self.open(key)

    def _write(
        self,
        key: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        make: Callable[[], Iterable[np.ndarray]],
    ) -> None:
        self.require(prod(shape) * dtype.itemsize)
        self._sweep(key)
        partial = self.folder / f".{key}.{os.getpid()}.partial"
        try:
            with partial.open("wb") as file:
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                rows = 0
                for batch in make():
                    file.write(np.ascontiguousarray(batch, dtype=dtype).data)
                    rows += len(batch)
            if rows != shape[0]:
                raise ValueError(f"{key} should have {shape[0]} rows; {rows} were made")
            partial.replace(self.path(key))
        finally:
            partial.unlink(missing_ok=True)

    def _sweep(self, key: str) -> None:
        """Remove what processes that were killed have left of this array."""
        for partial in self.folder.glob(f".{key}.*.partial"):
            if not psutil.pid_exists(int(partial.name.split(".")[-2])):
                partial.unlink(missing_ok=True)

    def require(self, needed: int) -> None:
        """Whether the disk has room for so many bytes.

        Raises:
            OSError: it has not; the message says what to change.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if needed * FREE_SPACE_MARGIN > free:
            raise OSError(
                f"{needed / 1e9:.1f} GB are needed in {self.folder}, where {free / 1e9:.1f} GB are "
                "free: make room, use fewer images or a smaller feature_size, or point the "
                "catalog entry `array_cache` at a larger disk"
            )
