"""Checksums of what the store keeps: of whole files, and of their ends, which is quick."""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

END = 2**16  # bytes at the beginning and at the end of a file that are read whenever it is opened


def of_record(record: Mapping[str, Any]) -> str:
    """Of JSON values but for their own ``checksum``."""
    plain = {name: value for name, value in record.items() if name != "checksum"}
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def of_files(folder: Path, record: str) -> dict[str, dict[str, Any]]:
    """Size, both ends and whole of each file by its path inside of the folder."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "ends": of_ends(path, path.stat().st_size, path.stat().st_mtime_ns),
            "sha256": of_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / record
    }


def of_file(path: Path) -> str:
    """Of a whole file: SHA-256."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4096)
def of_ends(path: Path, size: int, modified: int) -> str:
    """A checksum of both ends; not read again while size and time (ns) stay as they are."""
    with path.open("rb") as file:
        first = file.read(END)
        file.seek(max(len(first), size - END))
        return sha256(first + file.read()).hexdigest()
