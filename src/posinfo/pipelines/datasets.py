"""Catalog dataset types that kedro-datasets lacks."""

import os
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset

from posinfo.store import is_finished, key_of


class ResultsDataset(AbstractDataset[dict[str, str], dict[str, str]]):
    """The results of a step: a folder of links into the store, one per label of a cell."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata
        self.expected: dict[str, str] | None = None
        """Keys by label that settings and code ask for: if others lie there, it does not exist."""

    def load(self) -> dict[str, str]:
        """Keys by label."""
        return {link.name: key_of(link.resolve()) for link in self._links()}

    def save(self, data: dict[str, str]) -> None:
        """Replace the links by those to folders of results by label."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        for link in self._links():
            if link.name not in data:
                link.unlink(missing_ok=True)
        for label, folder in data.items():
            target = os.path.relpath(Path(folder).resolve(), self._filepath.resolve())
            new = self._filepath / f".{label}.{os.getpid()}"
            new.symlink_to(target)
            new.replace(self._filepath / label)  # another run may be doing the same

    def _links(self) -> list[Path]:
        return [path for path in sorted(self._filepath.glob("*")) if path.is_symlink()]

    def _exists(self) -> bool:
        links = self._links()
        as_expected = self.expected is None or self.load() == self.expected
        return bool(links) and as_expected and all(map(is_finished, links))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class FilesFolder(AbstractDataset[dict[str, bytes], dict[str, bytes]]):
    """A folder of files by path inside of it; another run may write the same ones at the same time.

    Files in a folder inside of it are left alone as long as nothing is saved into that folder.

    Args:
        filepath: of the folder.
        pattern: of the paths that belong to it, as ``Path.glob`` takes it.
        metadata: Kedro-Viz's.
    """

    def __init__(
        self, *, filepath: str, pattern: str = "*", metadata: dict[str, Any] | None = None
    ) -> None:
        self._filepath, self._pattern = Path(filepath), pattern
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """Content by path, with slashes."""
        return {self._name(path): path.read_bytes() for path in self._files()}

    def save(self, data: dict[str, bytes]) -> None:
        """Write the files, and remove what else lies there."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        folders = {Path(name).parent for name in data} or {Path()}
        for path in self._files():
            if path.relative_to(self._filepath).parent in folders and self._name(path) not in data:
                path.unlink(missing_ok=True)
        for name, content in data.items():
            file = self._filepath / name
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_name(f".{file.name}.{os.getpid()}")
            new.write_bytes(content)
            new.replace(file)

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._filepath.glob(self._pattern)) if path.is_file()]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._filepath).as_posix()

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class TableFile(CSVDataset):
    """A CSV file that is saved as it is and loaded as a DataFrame."""

    expected: bytes | None = None
    """What settings and code ask for: if something else lies there, it does not exist."""

    def _exists(self) -> bool:
        file = Path(str(self._filepath))
        return file.is_file() and self.expected in (None, file.read_bytes())

    def save(self, data: bytes) -> None:
        """Write the file."""
        _write(self._filepath, data)


class PictureFile(MatplotlibDataset):
    """A picture that is saved as it is; Kedro-Viz previews it."""

    def save(self, data: bytes) -> None:
        """Write the file."""
        _write(self._filepath, data)


def _write(path: object, content: bytes) -> None:
    file = Path(str(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
