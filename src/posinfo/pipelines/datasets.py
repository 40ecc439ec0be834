"""Catalog dataset types that kedro-datasets lacks."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from posinfo.array_cache import ArrayCache


class ArrayCacheDataset(AbstractDataset[object, ArrayCache]):
    """The folder that holds decoded images and features.

    Nodes load it as an ``ArrayCache`` and write through that, batch by batch, because what it
    holds does not fit memory.

    Example:
        .. code-block:: yaml

            array_cache:
              type: posinfo.pipelines.datasets.ArrayCacheDataset
              filepath: data/04_feature
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> ArrayCache:
        """The cache; its folder appears with its first array."""
        return ArrayCache(self._filepath)

    def save(self, data: object) -> None:
        """Always refused: arrays are written through the cache that ``load`` returns."""
        raise DatasetError("the array cache is an input; nodes write through ArrayCache.get")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return True


class FolderDataset(AbstractDataset[object, Path]):
    """A folder in which long work keeps what it needs to go on after an interruption.

    Example:
        .. code-block:: yaml

            checkpoints:
              type: posinfo.pipelines.datasets.FolderDataset
              filepath: data/06_models/checkpoints
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """Its path; the folder appears with its first file."""
        return self._filepath

    def save(self, data: object) -> None:
        """Always refused: files are written by the work itself."""
        raise DatasetError("a folder of checkpoints is an input; training writes into it")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return True
