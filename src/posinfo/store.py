"""The one store of results: a folder per result, under a key of all that it depends on.

A folder appears under its key when it is complete, so present means finished. One whose files are
not those that were written counts as absent: it is set aside when its result is computed again.

    result.json           what the result depends on, when it was made, small values, histories, and
                          the size and checksum of every other file
    rows.csv              rows of a result table
    tensors.safetensors   weights, answers, maps
    NAME.npy              arrays that are read memory-mapped
    files/                tables, texts and pictures of a report
"""

import json
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from posinfo import checksums
from posinfo.experiment import Result
from posinfo.stored_rows import column_types, read_rows
from posinfo.writing import UnwritableError, sync, writing

RECORD, ROWS, TENSORS, FILES = "result.json", "rows.csv", "tensors.safetensors", "files"
PARTIAL, DAMAGED = ".partial", ".damaged"

log = logging.getLogger(__name__)


class Store:
    """Results by key.

    Args:
        folder: the folder of the store; it is made with the first result.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The folder of a result, whether it is there or not."""
        return self.folder / key

    def checkpoint(self, key: str) -> Path:
        """The file from which the interrupted computation of a result goes on."""
        return self.folder / "checkpoints" / f"{key.replace('/', '-')}.pt"

    def checkpoints(self) -> set[Path]:
        """Of all computations that were begun and not finished."""
        return set((self.folder / "checkpoints").glob("*.pt"))

    def __contains__(self, key: str) -> bool:
        """Whether a result is finished and undamaged."""
        return bool(key) and is_finished(self.path(key))

    def __iter__(self) -> Iterator[str]:
        """The keys of all results, sorted."""
        for record in sorted(self.folder.rglob(RECORD)):
            if not record.parent.name.endswith((PARTIAL, DAMAGED)):
                yield record.parent.relative_to(self.folder).as_posix()

    def record(self, key: str) -> dict[str, Any]:
        """What a result depends on (``identity``), ``created`` (UTC), ``seconds``, ``history``.

        Raises:
            FileNotFoundError: there is no such result.
            ValueError: its record is damaged.
        """
        path = self.path(key) / RECORD
        if not path.is_file():
            raise FileNotFoundError(f"there is no result {key} in {self.folder}")
        try:
            return dict(json.loads(path.read_text()))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged; remove its folder: {error}") from error

    def open(self, key: str) -> Result:
        """A finished result; its arrays are memory-mapped and read-only.

        Raises:
            FileNotFoundError: there is no such result.
            ValueError: one of its files is damaged.
        """
        folder, record = self.path(key), self.record(key)
        if damage := damage_of(folder):
            raise ValueError(f"{damage}; run again, or remove {folder}")
        try:
            return Result(
                tensors=load_file(folder / TENSORS) if record["tensors"] else {},
                arrays={n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in record["arrays"]},
                rows=read_rows(folder / ROWS, record["columns"]),
                history=record["history"],
                facts=record["facts"],
                files={
                    name.removeprefix(f"{FILES}/"): (folder / name).read_bytes()
                    for name in record["files"]
                    if name.startswith(f"{FILES}/")
                },
            )
        except Exception as error:  # NumPy, pandas and safetensors each have errors of their own
            raise ValueError(f"a file in {folder} is damaged; remove that folder") from error

    def damage(self, key: str) -> str:
        """What is wrong with the files of a result, all of which are read; empty: nothing."""
        folder = self.path(key)
        return damage_of(folder) or next(
            (
                f"{folder / name} is not what was written"
                for name, written in self.record(key)["files"].items()
                if checksums.of_file(folder / name) != written["sha256"]
            ),
            "",
        )

    def add(
        self, key: str, identity: Mapping[str, Any], compute: Callable[[Path], Result]
    ) -> float:
        """Compute a result and keep it; another process may do the same at the same time.

        Args:
            key: the name under which ``open`` finds the result: ``experiment/step/hash``.
            identity: all that the result depends on, as JSON values.
            compute: function of a folder on the same disk, in which it may write arrays, that
                returns the result.

        Returns:
            How long ``compute`` took, in seconds.

        Raises:
            UnwritableError: the disk is full, or the folder cannot be written.
        """
        start = perf_counter()
        with self._partial(key) as folder:
            result = compute(folder)
            seconds = perf_counter() - start
            plain = _plain(result.tensors)
            with writing(f"the result {self.path(key)}"):
                _write(folder, result, plain)
                about = {"identity": dict(identity), "seconds": round(seconds, 3)}
                (folder / RECORD).write_text(_record(folder, result, about))
                sync(folder)
                _publish(folder, self.path(key))
        checkpoint = self.checkpoint(key)
        halves = checkpoint.parent.glob(f".{checkpoint.name}.*{PARTIAL}")
        for file in [checkpoint, *filter(_is_left, halves)]:
            file.unlink(missing_ok=True)
        return seconds

    def size(self, key: str) -> int:
        """Of a result in bytes."""
        return sum(path.stat().st_size for path in self.path(key).rglob("*") if path.is_file())

    def remove(self, key: str) -> None:
        """Delete a result; if that is interrupted, what is left counts as absent."""
        (self.path(key) / RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.path(key))

    def leftovers(self) -> list[Path]:
        """What processes of this host that were killed have half written, and damaged results."""
        left = filter(_is_left, self.folder.rglob(f"*{PARTIAL}"))
        return sorted([*left, *self.folder.glob(f"*/*/*{DAMAGED}")])

    @contextmanager
    def _partial(self, key: str) -> Iterator[Path]:
        """A folder beside the result's that no other process on any host writes into."""
        target = self.path(key)
        writer = f"{socket.gethostname()}.{os.getpid()}-{uuid4().hex[:8]}"
        folder = target.with_name(f".{target.name}.{writer}{PARTIAL}")
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            why = f"results cannot be written into {self.folder}: {error.strerror}: make it "
            raise UnwritableError(
                f"{why}writable, or set `data` in conf/local/globals.yml"
            ) from error
        for left in filter(_is_left, target.parent.glob(f".{target.name}.*{PARTIAL}")):
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_finished(folder: Path) -> bool:
    """Whether a folder holds an undamaged result."""
    return (folder / RECORD).is_file() and not damage_of(folder)


def damage_of(folder: Path) -> str:
    """What is wrong with the files of a finished result; empty: nothing is.

    Sizes are compared, and a checksum of both ends of each file, among them the dtype and shape of
    an array; what stands between is left to ``Store.damage``.
    """
    file = folder / RECORD
    try:
        record = json.loads(file.read_text())
        if record["checksum"] != checksums.of_record(record):
            return f"{file} is not what was written"
        for name, written in record["files"].items():
            file = folder / name
            found = file.stat()
            if found.st_size != written["bytes"]:
                return f"{file} has {found.st_size} bytes, {written['bytes']} were written"
            if checksums.of_ends(file, found.st_size, found.st_mtime_ns) != written["ends"]:
                return f"{file} is not what was written"
    except FileNotFoundError:
        return f"{file} is missing"
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        return f"{file} is damaged ({error})"
    return ""


def key_of(folder: Path) -> str:
    """The key of the result in a folder: its last three parts."""
    return "/".join(folder.parts[-3:])


def _is_left(path: Path) -> bool:
    """Whether a process of this host wrote it that is no more."""
    writer, _, process = path.name.removesuffix(PARTIAL).rpartition(".")
    number = process.partition("-")[0]
    here = writer.endswith(f".{socket.gethostname()}") and number.isdigit()
    return here and not psutil.pid_exists(int(number))


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Clones, as the format refuses tensors that share memory: a weight under two names."""
    layout = torch.contiguous_format
    return {name: tensor.cpu().clone(memory_format=layout) for name, tensor in tensors.items()}


def _write(folder: Path, result: Result, plain: dict[str, Tensor]) -> None:
    if plain:
        save_file(plain, folder / TENSORS)
    for name, array in result.arrays.items():
        if not (folder / f"{name}.npy").exists():  # those of Work.array are there already
            np.save(folder / f"{name}.npy", array)
    if result.rows is not None:
        result.rows.to_csv(folder / ROWS, index=False)
    for name, content in result.files.items():
        (folder / FILES / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / FILES / name).write_bytes(content)


def _record(folder: Path, result: Result, about: dict[str, Any]) -> str:
    """What is known of a result and of its files, as JSON."""
    record = {
        **about,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "threads": torch.get_num_threads(),
        "tensors": len(result.tensors),
        "arrays": sorted(result.arrays),
        "history": {name: list(values) for name, values in result.history.items()},
        "facts": dict(result.facts),
        "columns": column_types(result.rows),
        "files": checksums.of_files(folder, RECORD),
    }
    record["checksum"] = checksums.of_record(record)
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _publish(folder: Path, target: Path) -> None:
    if (target / RECORD).is_file() and (damage := damage_of(target)):
        aside = target.with_name(f"{target.name}.{uuid4().hex[:8]}{DAMAGED}")
        with suppress(FileNotFoundError):  # another process has found the same
            target.rename(aside)
            log.warning("%s; it was computed again, and what was there is in %s", damage, aside)
    elif target.is_dir() and not is_finished(target):  # its removal was interrupted
        shutil.rmtree(target)
    try:
        folder.rename(target)
    except OSError:
        if not is_finished(target):  # or another process was faster
            raise
