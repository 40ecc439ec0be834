import errno
import os

import pytest
import torch
from safetensors import SafetensorError

from posinfo.writing import UnwritableError, sync, writing


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError("read-only"),
        RuntimeError("PytorchStreamWriter failed writing file"),
        SafetensorError("I/O error"),
    ],
)
def test_errors_of_every_library_are_one(error):
    with pytest.raises(UnwritableError) as raised, writing("the result a/b"):
        raise error
    assert str(raised.value) == f"the result a/b cannot be written, is the disk full? {error}"
    assert raised.value.__cause__ is error


def test_what_is_said_already_is_not_said_again():
    said = UnwritableError("no room")
    with pytest.raises(UnwritableError) as raised, writing("the result a/b"):
        raise said
    assert raised.value is said


def test_other_errors_and_ctrl_c_stay_what_they_are():
    of_a_gpu = torch.AcceleratorError("illegal memory access"), torch.OutOfMemoryError("4 GiB")
    for error in (ValueError(), KeyboardInterrupt(), *of_a_gpu):
        with pytest.raises(type(error)), writing("a"):
            raise error


def test_every_file_and_folder_is_brought_to_the_disk(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("")
    synced = set()
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.add(os.readlink(f"/proc/self/fd/{number}"))
    )
    sync(tmp_path)
    assert synced == {str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a/b")}
